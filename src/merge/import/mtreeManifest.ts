// mtree(5) as others write it: /set and /unset, relative and full names, whatever keywords there are.

import type { FileType, Name } from '../../sys/index.ts'
import type { Accounts } from '../accounts.ts'
import type { RecordedEntry, Unknown } from '../entry.ts'
import { digestLengths, fileTypes } from '../recordEntry.ts'
import { linesOf } from './databaseFiles.ts'

/** What an mtree file is read with. */
export interface ManifestContext {
  /** For owners that have a name only. */
  readonly accounts: Accounts
  /** Makes the error that a line is, counted from 1. */
  readonly corrupt: (line: number, reason: string) => Error
}

/** The entries of an mtree file, but for its top directory. @param text  one character a byte */
export function parseManifest(text: Name, context: ManifestContext): RecordedEntry[] {
  const reader = new ManifestReader(context)
  let joined = ''
  linesOf(text).forEach((line, index) => {
    joined += line.replace(/^[ \t]+/, '')
    if (/(^|[^\\])\\$/.test(joined)) joined = `${joined.slice(0, -1)} `
    else {
      reader.take(joined.replace(blanksAtEnd, ''), index + 1)
      joined = ''
    }
  })
  return reader.entries
}

/** Blanks of ASCII only: a name may end with other bytes that a text would take for one (`à` in UTF-8 does). */
const blanksAtEnd = /[ \t\r]+$/

class ManifestReader {
  readonly entries: RecordedEntry[] = []
  readonly #context: ManifestContext
  readonly #set = new Map<string, string>()
  readonly #directory: Name[] = []

  constructor(context: ManifestContext) {
    this.#context = context
  }

  take(line: string, number: number): void {
    if (line === '' || line.startsWith('#')) return
    const corrupt = (reason: string) => this.#context.corrupt(number, reason)
    const [first = '', ...words] = line.split(/[ \t]+/)
    if (first === '/set') for (const word of words) this.#set.set(...keywordOf(word))
    else if (first === '/unset') for (const word of words) this.#set.delete(word)
    else if (first === '..') this.#directory.pop()
    else if (first.startsWith('/')) throw corrupt('this is neither /set nor /unset')
    else this.#entry(decodeName(first), new Map([...this.#set, ...words.map(keywordOf)]), corrupt)
  }

  /** A name with a slash is full; another one is in the directory at hand, and enters it if it is one itself. */
  #entry(given: Name, keywords: ReadonlyMap<string, string>, corrupt: (reason: string) => Error): void {
    const type = fileTypes.get(keywords.get('type') ?? 'file')
    if (type === undefined) throw corrupt(`unknown type '${keywords.get('type')}'`)
    const isFull = given.includes('/')
    const components = [...(isFull ? [] : this.#directory), ...given.split('/')].filter((c) => c !== '.' && c !== '')
    if (components.includes('..')) throw corrupt('the name leads upwards')
    if (given.includes('\0')) throw corrupt('there is a NUL in the name')
    if (!isFull && type === 'directory') this.#directory.push(given)
    if (components.length === 0) return
    const facts = factsOf(type, keywords, this.#context.accounts, corrupt)
    this.entries.push({ name: components.join('/'), type, xattrs: [], ...facts })
  }
}

function keywordOf(word: string): [keyword: string, value: string] {
  const equals = word.indexOf('=')
  return equals < 0 ? [word, ''] : [word.slice(0, equals), word.slice(equals + 1)]
}

const letters: Readonly<Record<string, string>> = { s: ' ', t: '\t', n: '\n', r: '\r', '\\': '\\', '#': '#' }

/** vis(3) escapes: octal as libarchive writes them, letters, `\^c` for a control, `\M` with the eighth bit. */
function decodeName(text: string): Name {
  if (!text.includes('\\')) return text
  return text.replace(
    /\\(?:([0-3][0-7]{2})|(M?)\^(.)|M-(.)|(.))/g,
    (whole, octal?: string, meta?: string, control?: string, plain?: string, letter = '') => {
      if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8))
      if (control !== undefined) return String.fromCharCode((control.charCodeAt(0) ^ 0x40) | (meta === 'M' ? 0x80 : 0))
      if (plain !== undefined) return String.fromCharCode(plain.charCodeAt(0) | 0x80)
      return letters[letter] ?? whole
    },
  )
}

type Facts = Omit<RecordedEntry, 'name' | 'type' | 'xattrs'>
type Corrupt = (reason: string) => Error

function factsOf(type: FileType, keywords: ReadonlyMap<string, string>, accounts: Accounts, corrupt: Corrupt): Facts {
  const unknown = new Set<Unknown>(['xattrs'])
  const known = <T>(fact: Unknown, value: T | undefined, otherwise: T): T => {
    if (value === undefined) unknown.add(fact)
    return value ?? otherwise
  }
  const number = (keyword: string, pattern: RegExp, base: number) => {
    const text = keywords.get(keyword)
    if (text !== undefined && !pattern.test(text)) throw corrupt(`no valid ${keyword}`)
    return text === undefined ? undefined : Number.parseInt(text, base)
  }
  const named = (keyword: string, find: (name: Name) => number | undefined) => {
    const name = keywords.get(keyword)
    return name === undefined ? undefined : find(decodeName(name))
  }
  const isDevice = type === 'character' || type === 'block'
  const rdev = isDevice ? known('device', deviceOf(keywords.get('device')), undefined) : undefined
  const target = type === 'symlink' ? known('link', linkOf(keywords), undefined) : undefined
  if (keywords.has('optional')) unknown.add('missing')
  return {
    uid: known('owner', number('uid', /^\d+$/, 10) ?? named('uname', accounts.uid), 0),
    gid: known('group', number('gid', /^\d+$/, 10) ?? named('gname', accounts.gid), 0),
    mode: known('mode', number('mode', /^[0-7]+$/, 8), 0) & 0o7777,
    mtimeNs: known('mtime', timeOf(keywords.get('time'), corrupt), 0n),
    size: type === 'file' ? known('size', number('size', /^\d+$/, 10), 0) : 0,
    ...(target === undefined ? {} : { target }),
    ...(rdev === undefined ? {} : { rdev }),
    ...(type === 'file' ? digestsOf(keywords) : {}),
    unknown,
  }
}

function linkOf(keywords: ReadonlyMap<string, string>): Name | undefined {
  const link = keywords.get('link')
  return link === undefined ? undefined : decodeName(link)
}

/** The digits behind the point are a number of nanoseconds, as mtree(8) and libarchive read them. */
function timeOf(text: string | undefined, corrupt: Corrupt): bigint | undefined {
  if (text === undefined) return undefined
  const [, seconds, nanoseconds = '0'] = /^(-?\d+)(?:\.(\d{1,9}))?$/.exec(text) ?? []
  if (seconds === undefined) throw corrupt('no valid time')
  return BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds)
}

/** `format,major,minor`, as mtree(8) and libarchive write it. */
function deviceOf(text: string | undefined): RecordedEntry['rdev'] {
  const [, major, minor] = /^\w+,(\d+),(\d+)$/.exec(text ?? '') ?? []
  return major === undefined ? undefined : { major: Number(major), minor: Number(minor) }
}

/** The best digest that there is; libarchive's keywords have two spellings. */
function digestsOf(keywords: ReadonlyMap<string, string>): Pick<RecordedEntry, 'sha256' | 'foreignDigest'> {
  for (const [algorithm, length] of Object.entries(digestLengths)) {
    const value = (keywords.get(`${algorithm}digest`) ?? keywords.get(algorithm))?.toLowerCase()
    if (value === undefined || !/^[0-9a-f]+$/.test(value) || value.length !== length) continue
    if (algorithm === 'sha256') return { sha256: value }
    return { foreignDigest: { algorithm: algorithm as keyof typeof digestLengths, value } }
  }
  return {}
}
