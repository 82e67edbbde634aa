// Trees as text. One line an object:
//
//   d 0755 0:0  /etc                mtime=1234.000000005 user.note="x" acl=d:u:bin:rwx
//   f 0640      /etc/foo.conf       "colour=blue\n" hole:1M zeros:4K random:100K
//   l           /etc/foo            -> foo.conf
//   h           /etc/bar            == /etc/foo.conf
//   p           /run/fifo
//   s           /run/socket
//   c 0666      /dev/null           1:3
//   f 4755      /bin/ping           "program" cap=cap_net_raw+ep
//
// Type, then (optional) mode and uid:gid, then the path, then contents and attributes. `\ooo` in a path or a string
// is a byte in octal. Times that are not given are all different and have nanoseconds. Missing parents are made.

import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import {
  AT_FDCWD,
  type Device,
  type FileType,
  type Kernel,
  linuxKernel,
  type Name,
  nameBytes,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  parentName,
  toName,
} from '../../src/sys/index.ts'

/** One object of a tree, as its line says it. */
interface Line {
  readonly letter: string
  readonly mode: number | undefined
  readonly owner: { uid: number; gid: number } | undefined
  readonly path: Name
  readonly rest: readonly string[]
  readonly mtimeNs: bigint
}

const nodeTypes: Readonly<Record<string, FileType>> = { p: 'fifo', s: 'socket', c: 'character', b: 'block' }
const defaultMode: Readonly<Record<string, number>> = { d: 0o755, f: 0o644, p: 0o644, s: 0o755, c: 0o600, b: 0o600 }
const units: Readonly<Record<string, number>> = { '': 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3 }

/** Makes the objects of `text` below `directory`, which exists. Nodes and other owners than oneself need root. */
export function writeTree(directory: string, text: string): void {
  const kernel = linuxKernel()
  const given = text.split('\n').filter((line) => line.trim() !== '')
  const lines = withParents(given.map(parseLine))
  const at = (path: Name) => toName(directory) + path
  const isDirectory = (line: Line) => line.letter === 'd'
  for (const line of lines.filter(isDirectory)) makeObject(kernel, line, at)
  for (const line of lines.filter((each) => !isDirectory(each))) makeObject(kernel, line, at)
  const unlinked = lines.filter((line) => line.letter !== 'h')
  const deepestFirst = unlinked.sort((one, other) => other.path.split('/').length - one.path.split('/').length)
  for (const line of deepestFirst) setAttributes(kernel, line, at(line.path))
}

function parseLine(line: string, index: number): Line {
  const words = line.trim().match(/(?:[^\s"]|"(?:[^"\\]|\\.)*")+/g) ?? []
  const [letter = '', ...more] = words
  const mode = /^[0-7]{3,5}$/.test(more[0] ?? '') ? Number.parseInt(more.shift() ?? '', 8) : undefined
  const owner = /^\d+:\d+$/.test(more[0] ?? '') ? more.shift()?.split(':').map(Number) : undefined
  const path = unescaped(more.shift() ?? '')
  if (!path.startsWith('/') || !(letter in { ...defaultMode, l: 0, h: 0 })) throw new Error(`not a tree line: ${line}`)
  return {
    letter,
    mode,
    owner: owner === undefined ? undefined : { uid: owner[0] as number, gid: owner[1] as number },
    path,
    rest: more,
    mtimeNs: timeOf(more) ?? 1_500_000_000_000_000_001n + BigInt(index) * 1_000_000_007n,
  }
}

/** `mtime=seconds.nanoseconds`, nine digits or fewer after the point. */
function timeOf(words: readonly string[]): bigint | undefined {
  const word = words.find((each) => each.startsWith('mtime='))
  if (word === undefined) return undefined
  const [seconds = '0', fraction = ''] = word.slice('mtime='.length).split('.')
  return BigInt(seconds) * 1_000_000_000n + BigInt(fraction.padEnd(9, '0'))
}

/** A path or a quoted string as bytes. */
function unescaped(text: string): Name {
  const inner = text.startsWith('"') ? text.slice(1, -1) : text
  const single: Readonly<Record<string, string>> = { n: '\n', t: '\t', '0': '\0' }
  return toName(inner).replace(/\\([0-7]{3}|.)/g, (_, escaped: string) =>
    escaped.length === 3 ? String.fromCharCode(Number.parseInt(escaped, 8)) : (single[escaped] ?? escaped),
  )
}

/** The lines, with one before them for each parent that has none. */
function withParents(lines: readonly Line[]): Line[] {
  const paths = new Set(lines.map((line) => line.path))
  const all: Line[] = []
  const addParents = (path: Name) => {
    const parent = parentName(path)
    if (parent === '' || paths.has(parent)) return
    addParents(parent)
    paths.add(parent)
    all.push({ ...parseLine('d /', all.length + 1000), path: parent })
  }
  for (const line of lines) {
    addParents(line.path)
    all.push(line)
  }
  return all
}

function makeObject(kernel: Kernel, line: Line, at: (path: Name) => Name): void {
  const path = at(line.path)
  const target = unescaped(line.rest[1] ?? '')
  if (line.letter === 'd') fs.mkdirSync(nameBytes(path), { recursive: true })
  else if (line.letter === 'f') writeContents(path, line.rest)
  else if (line.letter === 'l') fs.symlinkSync(nameBytes(target), nameBytes(path))
  else if (line.letter === 'h') fs.linkSync(nameBytes(at(target)), nameBytes(path))
  else kernel.mknodat(AT_FDCWD, path, nodeTypes[line.letter] as FileType, 0o600, deviceOf(line.rest))
}

function deviceOf(words: readonly string[]): Device {
  const [major = 0, minor = 0] = (words.find((word) => /^\d+:\d+$/.test(word)) ?? '0:0').split(':').map(Number)
  return { major, minor }
}

function writeContents(path: Name, words: readonly string[]): void {
  const fd = fs.openSync(nameBytes(path), 'wx', 0o600)
  let offset = 0
  for (const word of words) {
    const bytes = word.startsWith('"') ? nameBytes(unescaped(word)) : generatedBytes(word)
    if (typeof bytes === 'number') offset += bytes
    else if (bytes !== undefined) offset += fs.writeSync(fd, bytes, 0, bytes.length, offset)
  }
  fs.ftruncateSync(fd, offset)
  fs.closeSync(fd)
}

/** Bytes, or the length of a hole. */
function generatedBytes(word: string): Buffer | number | undefined {
  const match = /^(hole|zeros|random):(\d+)([KMG]?)$/.exec(word)
  if (match === null) return undefined
  const length = Number(match[2]) * (units[match[3] ?? ''] as number)
  if (match[1] === 'hole') return length
  return match[1] === 'zeros' ? Buffer.alloc(length) : randomBytes(length)
}

/** The same bytes each time: a generator of Lehmer's. */
export function randomBytes(length: number): Buffer {
  const bytes = Buffer.alloc(length)
  let state = 48271
  for (let index = 0; index < length; index++) {
    state = (state * 48271) % 0x7fffffff
    bytes[index] = state >> 8
  }
  return bytes
}

function setAttributes(kernel: Kernel, line: Line, path: Name): void {
  const fd = kernel.openat(AT_FDCWD, path, isOpenable(line.letter) ? O_RDONLY | O_NOFOLLOW : O_PATH | O_NOFOLLOW)
  if (line.owner !== undefined) kernel.chownat(fd, '', line.owner.uid, line.owner.gid)
  for (const word of line.rest) setNamedAttribute(kernel, fd, word)
  const mode = line.mode ?? defaultMode[line.letter]
  if (mode !== undefined) kernel.fchmodat2(fd, mode)
  for (const word of line.rest) setByTool(word, path)
  kernel.utimensat(fd, '', line.mtimeNs - 5_000_000_000n, line.mtimeNs)
  kernel.close(fd)
}

function isOpenable(letter: string): boolean {
  return letter === 'f' || letter === 'd'
}

/** `user.name="value"` and the like; the value may be 0x and hexadecimal digits. */
function setNamedAttribute(kernel: Kernel, fd: number, word: string): void {
  const match = /^((?:user|trusted|security|system)\.[^=]+)=(.*)$/s.exec(word)
  if (match === null) return
  const [, name = '', value = ''] = match
  const bytes = value.startsWith('0x') ? Buffer.from(value.slice(2), 'hex') : nameBytes(unescaped(value))
  kernel.setXattr(fd, toName(name), bytes)
}

/** ACLs and capabilities by those who know their formats; after the mode, which would rewrite an ACL's mask. */
function setByTool(word: string, path: Name): void {
  const text = nameBytes(path).toString()
  if (word.startsWith('acl=')) execFileSync('setfacl', ['-m', word.slice('acl='.length), text])
  if (word.startsWith('cap=')) execFileSync('setcap', [word.slice('cap='.length), text])
}
