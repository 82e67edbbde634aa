// What a tree looks like, as data: made with node:fs alone, so that it does not trust what it tests.

import * as fs from 'node:fs'

/** One object, as text, by its name (latin1 of its bytes). */
export type Snapshot = ReadonlyMap<string, string>

/** What to leave out. */
export interface SnapshotOptions {
  /** Names, relative to the top, that are not looked at, with all below them. */
  readonly without?: readonly string[]
  /** Whether directories' mtimes count. */
  readonly directoryTimes?: boolean
}

/** Type (of a device with its number), mode, owner, mtime, size, bytes, target, and which names share an inode, of everything below `top`. */
export function snapshot(top: string, { without = [], directoryTimes = true }: SnapshotOptions = {}): Snapshot {
  const found = new Map<string, string>()
  const firstNames = new Map<bigint, string>()
  const visit = (name: string) => {
    if (without.includes(name)) return
    const path = Buffer.from(name === '' ? top : `${top}/${name}`, 'latin1')
    const stat = fs.lstatSync(path, { bigint: true })
    const words = [typeOf(stat), (stat.mode & 0o7777n).toString(8), `${stat.uid}:${stat.gid}`]
    if (!stat.isDirectory()) words.push(`mtime=${stat.mtimeNs}`, `first=${firstNameOf(stat, name)}`)
    else if (directoryTimes) words.push(`mtime=${stat.mtimeNs}`)
    if (stat.isFile()) words.push(`size=${stat.size}`, fs.readFileSync(path).toString('base64'))
    if (stat.isSymbolicLink()) words.push(`-> ${fs.readlinkSync(path, 'latin1')}`)
    found.set(name, words.join(' '))
    if (!stat.isDirectory()) return
    for (const child of fs.readdirSync(path, 'latin1').sort()) visit(name === '' ? child : `${name}/${child}`)
  }
  const firstNameOf = (stat: fs.BigIntStats, name: string) => {
    if (stat.nlink < 2n) return name
    const first = firstNames.get(stat.ino) ?? name
    firstNames.set(stat.ino, first)
    return first
  }
  visit('')
  return found
}

function typeOf(stat: fs.BigIntStats): string {
  if (stat.isFile()) return 'file'
  if (stat.isDirectory()) return 'directory'
  if (stat.isSymbolicLink()) return 'symlink'
  if (stat.isFIFO()) return 'fifo'
  if (stat.isCharacterDevice()) return `character ${stat.rdev}`
  if (stat.isBlockDevice()) return `block ${stat.rdev}`
  return 'socket'
}

/** The names in which two snapshots differ, each with both lines; [] when they are equal. */
export function differencesBetween(left: Snapshot, right: Snapshot): string[] {
  const names = new Set([...left.keys(), ...right.keys()])
  return [...names]
    .filter((name) => left.get(name) !== right.get(name))
    .map((name) => `${name}: ${cut(left.get(name))} | ${cut(right.get(name))}`)
}

function cut(line: string | undefined): string {
  return line === undefined ? 'absent' : line.slice(0, 100)
}
