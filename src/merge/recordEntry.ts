// An entry of a record: one line of mtree's keywords, and comment lines before it.
//
// Names are lossless: bytes outside printable ASCII, blanks, `#`, `=` and `\` are octal escapes, as vis(3) writes them.
// mtree fails on a keyword that it does not know, so what it has none for (xattrs, hard links) stands in comment
// lines before the entry. `unknown` holds for all entries behind it, up to the next one, as mtree's /set does.

import type { FileType, Name } from '../sys/index.ts'
import { isStyleName } from './config/styles.ts'
import { type Digest, type RecordedEntry, type RecordedProtection, type Unknown, unknowns } from './entry.ts'

/** Makes the error that a damaged line is. */
export type Corrupt = (reason: string) => Error

/** Takes a record's lines, but for those that frame it. */
export interface LineTaker {
  entry(line: string, corrupt: Corrupt): void
  comment(words: readonly string[], corrupt: Corrupt): void
}

/** How mtree calls each type. */
export const mtreeTypes: Readonly<Record<FileType, string>> = {
  file: 'file',
  directory: 'dir',
  symlink: 'link',
  fifo: 'fifo',
  socket: 'socket',
  character: 'char',
  block: 'block',
}

/** The type of each of mtree's words. */
export const fileTypes: ReadonlyMap<string, FileType> = new Map(
  Object.entries(mtreeTypes).map(([type, word]) => [word, type as FileType]),
)

/** Digests that mtree has a keyword for (`<algorithm>digest`), and how many hexadecimal digits each has. */
export const digestLengths: Readonly<Record<Digest['algorithm'], number>> = {
  sha256: 64,
  sha512: 128,
  sha384: 96,
  sha1: 40,
  md5: 32,
}

const nothing: ReadonlySet<Unknown> = new Set()

/** Writes entries; it remembers what the last `unknown` line said. */
export class EntryFormatter {
  #unknown: ReadonlySet<Unknown> = nothing

  /** The lines of one entry, each with its line feed. */
  lines(entry: RecordedEntry): string {
    const unknown = entry.unknown ?? nothing
    const isNews = unknown !== this.#unknown && !sameSet(unknown, this.#unknown)
    this.#unknown = unknown
    const said = isNews ? comment('unknown', ...unknowns.filter((fact) => unknown.has(fact))) : ''
    return `${said}${commentsOn(entry)}${keywordsOf(entry, unknown)}\n`
  }
}

function comment(...words: string[]): string {
  return `# rootmerge ${words.join(' ')}\n`
}

/** What mtree has no keywords for: of most entries nothing. */
function commentsOn({ xattrs, linkTo, isConfig, isKept, protection, foreignDigest }: RecordedEntry): string {
  let lines = ''
  for (const { name, value } of xattrs) lines += comment('xattr', escapeName(name), value.toString('base64'))
  if (linkTo !== undefined) lines += comment('hardlink', escapeName(linkTo))
  if (isConfig === true) lines += comment('config')
  if (isKept === true) lines += comment('kept')
  if (protection !== undefined) lines += protectionComments(protection)
  if (foreignDigest !== undefined && !hasKeyword(foreignDigest))
    lines += comment('digest', foreignDigest.algorithm, foreignDigest.value)
  return lines
}

function protectionComments({ style, base, offered }: RecordedProtection): string {
  let lines = comment('protected', style)
  if (base !== undefined) lines += comment('base', base)
  for (const offer of offers) if (offered?.[offer].length) lines += comment('offered', offer, ...offered[offer])
  return lines
}

const offers = ['present', 'absent'] as const

function sameSet(one: ReadonlySet<Unknown>, other: ReadonlySet<Unknown>): boolean {
  return one.size === other.size && [...one].every((fact) => other.has(fact))
}

/** mtree has keywords for whole digests only. */
function hasKeyword({ algorithm, value }: Digest): boolean {
  return value.length === digestLengths[algorithm]
}

function keywordsOf(entry: RecordedEntry, unknown: ReadonlySet<Unknown>): string {
  const { type, target, rdev, sha256, foreignDigest } = entry
  let line = `./${escapeName(entry.name)} type=${mtreeTypes[type]}`
  if (!unknown.has('owner')) line += ` uid=${entry.uid}`
  if (!unknown.has('group')) line += ` gid=${entry.gid}`
  if (!unknown.has('mode')) line += ` mode=${entry.mode.toString(8).padStart(4, '0')}`
  if (!unknown.has('mtime')) line += ` time=${formatTime(entry.mtimeNs)}`
  if (type === 'file' && !unknown.has('size')) line += ` size=${entry.size}`
  if (target !== undefined) line += ` link=${escapeName(target)}`
  // mtree's `linux` has room for eight bits each, as Linux had before 2.6.
  if (rdev !== undefined) line += ` device=native,${rdev.major},${rdev.minor}`
  if (sha256 !== undefined) line += ` sha256digest=${sha256}`
  if (foreignDigest !== undefined && hasKeyword(foreignDigest))
    line += ` ${foreignDigest.algorithm}digest=${foreignDigest.value}`
  return unknown.has('missing') ? `${line} optional` : line
}

/** Seconds, a point and nine digits; mtree reads the digits as a number of nanoseconds, so there are always nine. */
export function formatTime(timeNs: bigint): string {
  if (timeNs >= 0n) {
    const digits = timeNs.toString().padStart(10, '0') // dividing would take three times as long
    return `${digits.slice(0, -9)}.${digits.slice(-9)}`
  }
  const nanoseconds = ((timeNs % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n
  return `${(timeNs - nanoseconds) / 1_000_000_000n}.${nanoseconds.toString().padStart(9, '0')}`
}

function parseTime(text: string): bigint {
  const [, seconds = '', nanoseconds = ''] = /^(-?\d+)\.(\d{9})$/.exec(text) ?? []
  return BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds)
}

const needsEscape = /[^\x21\x22\x24-\x3c\x3e-\x5b\x5d-\x7e]/
const allToEscape = new RegExp(needsEscape, 'g')

/** A name as mtree reads it. */
export function escapeName(name: Name): string {
  if (!needsEscape.test(name)) return name
  return name.replace(allToEscape, (c) => `\\${c.charCodeAt(0).toString(8).padStart(3, '0')}`)
}

/** The inverse of escapeName. */
export function unescapeName(text: string): Name {
  if (!text.includes('\\')) return text
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
}

/** What comment lines say of the entry behind them. */
type Said = Pick<RecordedEntry, 'linkTo' | 'isConfig' | 'isKept' | 'foreignDigest' | 'protection'>

/** Takes every entry with all that is said of it. */
export class EntryParser implements LineTaker {
  readonly entries: RecordedEntry[] = []
  /** Names that an install mask left out. */
  readonly leftOut: Name[] = []
  /** Live names that the package took away. */
  readonly erased: Name[] = []
  #xattrs: { name: Name; value: Buffer }[] = []
  #said: Said = {}
  #unknown: ReadonlySet<Unknown> | undefined

  comment([kind = '', first = '', ...rest]: readonly string[], corrupt: Corrupt): void {
    const [second = ''] = rest
    if (kind === 'xattr') this.#xattrs.push({ name: unescapeName(first), value: Buffer.from(second, 'base64') })
    else if (kind === 'hardlink') this.#said = { ...this.#said, linkTo: unescapeName(first) }
    else if (kind === 'protected' || kind === 'base' || kind === 'offered')
      this.#protect(kind, [first, ...rest], corrupt)
    else if (kind === 'masked') this.leftOut.push(unescapeName(first))
    else if (kind === 'erased') this.erased.push(unescapeName(first))
    else if (kind === 'config') this.#said = { ...this.#said, isConfig: true }
    else if (kind === 'kept') this.#said = { ...this.#said, isKept: true }
    else if (kind === 'digest') this.#said = { ...this.#said, foreignDigest: parseDigest(first, second, corrupt) }
    else if (kind === 'unknown') this.#unknown = parseUnknown(first === '' ? [] : [first, ...rest], corrupt)
    else throw corrupt(`unknown line '# rootmerge ${kind}' (a newer version's record?)`)
  }

  /** The style comes first. */
  #protect(kind: string, [first = '', ...rest]: readonly string[], corrupt: Corrupt): void {
    const { protection } = this.#said
    const isVersion = (text: string) => /^[0-9a-f]{64}$/.test(text)
    if (kind === 'protected' && isStyleName(first)) this.#said = { ...this.#said, protection: { style: first } }
    else if (kind === 'base' && protection !== undefined && isVersion(first))
      this.#said = { ...this.#said, protection: { ...protection, base: first } }
    else if (kind === 'offered' && protection !== undefined && isOffer(first) && rest.every(isVersion)) {
      const offered = { present: [], absent: [], ...protection.offered, [first]: rest }
      this.#said = { ...this.#said, protection: { ...protection, offered } }
    } else throw corrupt(`no valid '${kind}' (a newer version's record?)`)
  }

  entry(text: string, corrupt: Corrupt): void {
    const [path = '', ...words] = text.split(' ')
    const keywords = new Map(words.map((word) => [word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)]))
    const type = fileTypes.get(keywords.get('type') ?? '')
    if (type === undefined) throw corrupt('this is not an entry')
    const unknown = this.#unknown
    this.entries.push({
      name: unescapeName(path.slice(2)),
      ...parseKeywords(type, keywords, unknown ?? nothing, corrupt),
      xattrs: this.#xattrs,
      ...this.#said,
      ...(unknown === undefined ? {} : { unknown }),
    })
    this.#xattrs = []
    this.#said = {}
  }
}

function isOffer(text: string): text is (typeof offers)[number] {
  return (offers as readonly string[]).includes(text)
}

function parseUnknown(words: readonly string[], corrupt: Corrupt): ReadonlySet<Unknown> | undefined {
  const known: readonly string[] = unknowns
  const strange = words.find((word) => !known.includes(word))
  if (strange !== undefined) throw corrupt(`'${strange}' is nothing that can be unknown (a newer version's record?)`)
  return words.length === 0 ? undefined : new Set(words as Unknown[])
}

function parseDigest(algorithm: string, value: string, corrupt: Corrupt): Digest {
  if (!(algorithm in digestLengths) || !/^[0-9a-f]+$/.test(value)) throw corrupt('no valid digest')
  return { algorithm: algorithm as Digest['algorithm'], value }
}

function parseKeywords(
  type: FileType,
  keywords: ReadonlyMap<string, string>,
  unknown: ReadonlySet<Unknown>,
  corrupt: Corrupt,
): Omit<RecordedEntry, 'name' | 'xattrs'> {
  const take = (keyword: string, pattern: RegExp, fact?: Unknown) => {
    const value = keywords.get(keyword)
    if (value === undefined && fact !== undefined && unknown.has(fact)) return undefined
    if (value === undefined || !pattern.test(value)) throw corrupt(`no valid ${keyword}`)
    return value
  }
  const sha256 = keywords.get('sha256digest')
  const time = take('time', /^-?\d+\.\d{9}$/, 'mtime')
  const target = type === 'symlink' ? take('link', /^/, 'link') : undefined
  const isDevice = type === 'character' || type === 'block'
  const device = isDevice ? take('device', /^native,\d+,\d+$/, 'device') : undefined
  const [major = 0, minor = 0] = (device ?? '').split(',').slice(1).map(Number)
  const foreign = foreignAlgorithms.find((algorithm) => keywords.has(`${algorithm}digest`))
  return {
    type,
    uid: Number(take('uid', /^\d+$/, 'owner') ?? 0),
    gid: Number(take('gid', /^\d+$/, 'group') ?? 0),
    mode: Number.parseInt(take('mode', /^[0-7]+$/, 'mode') ?? '0', 8),
    mtimeNs: time === undefined ? 0n : parseTime(time),
    size: type === 'file' ? Number(take('size', /^\d+$/, 'size') ?? 0) : 0,
    ...(target === undefined ? {} : { target: unescapeName(target) }),
    ...(device === undefined ? {} : { rdev: { major, minor } }),
    ...(sha256 === undefined ? {} : { sha256 }),
    ...(foreign === undefined
      ? {}
      : { foreignDigest: { algorithm: foreign, value: keywords.get(`${foreign}digest`) ?? '' } }),
  }
}

const foreignAlgorithms = Object.keys(digestLengths).filter((algorithm) => algorithm !== 'sha256') as Exclude<
  Digest['algorithm'],
  'sha256'
>[]
