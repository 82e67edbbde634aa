// Two trees compared by other means than the engine's own: Node's lstat, and getfattr for attributes (ACLs and
// capabilities are among them), so that a mistake in the system layer cannot hide itself.

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import * as fs from 'node:fs'

/** What is compared. */
export type Compared =
  | 'type'
  | 'bytes'
  | 'mode'
  | 'uid'
  | 'gid'
  | 'mtime'
  | 'xattrs'
  | 'target'
  | 'rdev'
  | 'links'
  | 'holes'

/** How two trees are compared. */
export interface Comparison {
  /** Parts that may differ. */
  readonly ignore?: readonly Compared[]
  /** Whether the two top objects themselves are left out: their members are compared all the same. */
  readonly ignoreTop?: boolean
  /** Names of attributes that may differ. */
  readonly ignoreXattrs?: RegExp
  /** Names, relative to the top, that are left out with everything below them. */
  readonly ignoreNames?: RegExp
  /** How many bytes more or less may be allocated; file systems differ in their small files. 128 KiB by default. */
  readonly holeTolerance?: number
}

/** What is known of one object; every value as text. */
type Facts = Readonly<Partial<Record<Compared, string>>> & { readonly allocated: number }

/**
 * The differences of `actual` from `expected`, one readable line each; none when the trees are equal.
 *
 * Both may be any object: a directory is compared with everything below it.
 */
export function compareTrees(actual: string, expected: string, comparison: Comparison = {}): string[] {
  for (const top of [actual, expected]) {
    if (fs.lstatSync(top, { throwIfNoEntry: false }) === undefined) return [`${top}: missing`]
  }
  const [one, other] = [scan(actual, comparison), scan(expected, comparison)]
  const names = [...new Set([...one.keys(), ...other.keys()])].sort()
  return names.flatMap((name) => compareObject(name, one.get(name), other.get(name), comparison))
}

function compareObject(
  name: string,
  actual: Facts | undefined,
  expected: Facts | undefined,
  comparison: Comparison,
): string[] {
  const path = name === '' ? '(top)' : JSON.stringify(name)
  if (actual === undefined) return [`${path}: missing`]
  if (expected === undefined) return [`${path}: not expected`]
  if (name === '' && comparison.ignoreTop) return []
  const parts = [...new Set([...Object.keys(actual), ...Object.keys(expected)])] as (keyof Facts)[]
  const differences = parts
    .filter((part): part is Compared => part !== 'allocated' && !comparison.ignore?.includes(part))
    .filter((part) => actual[part] !== expected[part])
    .map((part) => `${path}: ${part} ${actual[part] ?? 'none'}, expected ${expected[part] ?? 'none'}`)
  return [...differences, ...compareHoles(path, actual, expected, comparison)]
}

function compareHoles(path: string, actual: Facts, expected: Facts, comparison: Comparison): string[] {
  const tolerance = comparison.holeTolerance ?? 128 * 1024
  const more = actual.allocated - expected.allocated
  if (comparison.ignore?.includes('holes') || Math.abs(more) <= tolerance) return []
  return [`${path}: holes ${actual.allocated} bytes allocated, expected ${expected.allocated}`]
}

/** Every object below `top`, itself included as '', by its name (latin1 of its bytes). */
function scan(top: string, comparison: Comparison): Map<string, Facts> {
  const attributes = readAttributes(top)
  const objects = new Map<string, fs.BigIntStats>()
  const walk = (name: string) => {
    if (name !== '' && comparison.ignoreNames?.test(name)) return
    const stat = fs.lstatSync(pathOf(top, name), { bigint: true })
    objects.set(name, stat)
    if (!stat.isDirectory()) return
    for (const member of fs.readdirSync(pathOf(top, name), { encoding: 'buffer' })) {
      walk(name === '' ? member.toString('latin1') : `${name}/${member.toString('latin1')}`)
    }
  }
  walk('')
  const groups = linkGroups(objects)
  return new Map(
    [...objects].map(([name, stat]) => {
      const xattrs = (attributes.get(name) ?? []).filter((line) => !comparison.ignoreXattrs?.test(line)).join(' ')
      return [name, factsOf(pathOf(top, name), stat, { xattrs, links: groups.get(stat.ino)?.join(' = ') ?? '' })]
    }),
  )
}

function factsOf(path: Buffer, stat: fs.BigIntStats, known: { xattrs: string; links: string }): Facts {
  const type = stat.mode & 0o170000n
  return {
    ...known,
    type: `0${type.toString(8)}`,
    mode: (stat.mode & 0o7777n).toString(8),
    uid: String(stat.uid),
    gid: String(stat.gid),
    mtime: String(stat.mtimeNs),
    ...(stat.isFile() ? { bytes: `${stat.size} ${digestOf(path)}` } : {}),
    ...(stat.isSymbolicLink() ? { target: fs.readlinkSync(path, { encoding: 'buffer' }).toString('latin1') } : {}),
    ...(stat.isBlockDevice() || stat.isCharacterDevice() ? { rdev: String(stat.rdev) } : {}),
    allocated: stat.isFile() ? Number(stat.blocks) * 512 : 0,
  }
}

function digestOf(path: Buffer): string {
  const hash = createHash('sha256')
  const buffer = Buffer.alloc(1024 * 1024)
  const fd = fs.openSync(path, 'r')
  for (let length = fs.readSync(fd, buffer); length > 0; length = fs.readSync(fd, buffer)) {
    hash.update(buffer.subarray(0, length))
  }
  fs.closeSync(fd)
  return hash.digest('hex').slice(0, 16)
}

/** The names of each inode that has several below the top. */
function linkGroups(objects: ReadonlyMap<string, fs.BigIntStats>): Map<bigint, string[]> {
  const groups = new Map<bigint, string[]>()
  for (const [name, stat] of objects) {
    if (!stat.isDirectory() && stat.nlink > 1n) groups.set(stat.ino, [...(groups.get(stat.ino) ?? []), name].sort())
  }
  return new Map([...groups].filter(([, names]) => names.length > 1))
}

function pathOf(top: string, name: string): Buffer {
  return Buffer.from(
    name === '' ? Buffer.from(top) : Buffer.concat([Buffer.from(`${top}/`), Buffer.from(name, 'latin1')]),
  )
}

/** `name=0xvalue` lines of every object that has attributes, sorted, by the object's name. */
function readAttributes(top: string): Map<string, string[]> {
  const output = runGetfattr(top)
  const found = new Map<string, string[]>()
  for (const block of output.split('\n\n').filter((text) => text.startsWith('# file: '))) {
    const [header = '', ...lines] = block.split('\n')
    const path = unquote(header.slice('# file: '.length))
    const own = lines.filter((line) => line !== '' && !shownTwice.test(line))
    found.set(path === top ? '' : path.slice(`${top}/`.length), own.sort())
  }
  return found
}

/** XFS shows every ACL to root a second time, as an attribute of its own. */
const shownTwice = /^trusted\.SGI_ACL_/

function runGetfattr(top: string): string {
  const options = ['-R', '-P', '-h', '-d', '-m', '-', '-e', 'hex', '--absolute-names']
  try {
    return execFileSync('getfattr', [...options, '--', top], {
      encoding: 'latin1',
      maxBuffer: 1024 ** 3,
      stdio: ['ignore', 'pipe', 'ignore'],
    })
  } catch (error) {
    const { code, stdout } = error as { code?: string; stdout?: string }
    if (code === 'ENOENT') throw new Error('getfattr is missing: without it no test can see attributes (package attr)')
    // It exits with 1 when one object cannot be read (a directory without permission, as an ordinary user).
    return stdout ?? ''
  }
}

/** getfattr writes control characters, backslashes and bytes over 0x7f of a name as `\ooo`. */
function unquote(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
}
