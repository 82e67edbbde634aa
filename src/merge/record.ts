// A package's record in mtree format: `bsdtar -tf` and `mtree -f` read it.
//
// Names are lossless: bytes outside printable ASCII, blanks, `#`, `=` and `\` are octal escapes, as vis(3) writes them.
// mtree fails on a keyword that it does not know, so what it has none for (xattrs, hard links) stands in comment
// lines before the entry. The last line counts and sums up the others: a record that was cut short has none.

import { crc32 } from 'node:zlib'
import { type FileType, type Name, nameBytes } from '../sys/index.ts'
import type { RecordedEntry } from './entry.ts'
import { CorruptRecordError } from './errors.ts'

/** Of the record's own lines; an unknown one is refused. */
const recordVersion = 1

/** What a record says. */
export interface PackageRecord {
  readonly packageName: string
  /** In image order: a directory before what is in it. */
  readonly entries: readonly RecordedEntry[]
}

/** NetBSD's mtree refuses names with a slash in a file that does not begin with the top; nothing of it is compared. */
const topLine = '. type=dir'

const mtreeTypes: Readonly<Record<FileType, string>> = {
  file: 'file',
  directory: 'dir',
  symlink: 'link',
  fifo: 'fifo',
  socket: 'socket',
  character: 'char',
  block: 'block',
}
const fileTypes = new Map(Object.entries(mtreeTypes).map(([type, word]) => [word, type as FileType]))

/** Writes a record as text of one byte per character, line by line. */
export function* formatRecord(record: PackageRecord): Generator<string> {
  let sum = 0
  const line = (text: string) => {
    sum = crc32(Buffer.from(`${text}\n`, 'latin1'), sum)
    return `${text}\n`
  }
  yield line('#mtree')
  yield line(`# rootmerge ${recordVersion} ${record.packageName}`)
  yield line(topLine)
  for (const entry of record.entries) for (const text of formatEntry(entry)) yield line(text)
  yield `# rootmerge end ${record.entries.length} ${sum.toString(16).padStart(8, '0')}\n`
}

function* formatEntry(entry: RecordedEntry): Generator<string> {
  for (const { name, value } of entry.xattrs) yield `# rootmerge xattr ${escapeName(name)} ${value.toString('base64')}`
  if (entry.linkTo !== undefined) yield `# rootmerge hardlink ${escapeName(entry.linkTo)}`
  const words = [
    `./${escapeName(entry.name)}`,
    `type=${mtreeTypes[entry.type]}`,
    `uid=${entry.uid}`,
    `gid=${entry.gid}`,
    `mode=${entry.mode.toString(8).padStart(4, '0')}`,
    `time=${formatTime(entry.mtimeNs)}`,
  ]
  if (entry.type === 'file') words.push(`size=${entry.size}`)
  if (entry.target !== undefined) words.push(`link=${escapeName(entry.target)}`)
  // mtree's `linux` has room for eight bits each, as Linux had before 2.6.
  if (entry.rdev !== undefined) words.push(`device=native,${entry.rdev.major},${entry.rdev.minor}`)
  if (entry.sha256 !== undefined) words.push(`sha256digest=${entry.sha256}`)
  yield words.join(' ')
}

/** Seconds, a point and nine digits; mtree reads the digits as a number of nanoseconds, so there are always nine. */
function formatTime(timeNs: bigint): string {
  const nanoseconds = ((timeNs % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n
  return `${(timeNs - nanoseconds) / 1_000_000_000n}.${nanoseconds.toString().padStart(9, '0')}`
}

function parseTime(text: string): bigint {
  const [, seconds = '', nanoseconds = ''] = /^(-?\d+)\.(\d{9})$/.exec(text) ?? []
  return BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds)
}

function escapeName(name: Name): string {
  return name.replace(
    /[^\x21\x22\x24-\x3c\x3e-\x5b\x5d-\x7e]/g,
    (c) => `\\${c.charCodeAt(0).toString(8).padStart(3, '0')}`,
  )
}

function unescapeName(text: string): Name {
  if (!text.includes('\\')) return text
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
}

/**
 * Reads a record that is whole in memory.
 *
 * @param file  its path, for messages
 * @throws {CorruptRecordError} naming the line, for anything that formatRecord would not have written
 */
export function parseRecord(text: Buffer, file: Name): PackageRecord {
  return readRecord([text], file)
}

/** Reads a record from its bytes as they come. @throws {CorruptRecordError} as parseRecord */
export function readRecord(chunks: Iterable<Buffer>, file: Name): PackageRecord {
  const parser = new RecordParser()
  const packageName = readLines(chunks, file, parser)
  return { packageName, entries: parser.entries }
}

/**
 * Reads nothing but the names of a record, several times as fast; its checksum is checked all the same.
 *
 * @param onName  called before the checksum was seen: a record that throws was not one
 * @throws {CorruptRecordError}
 */
export function readRecordNames(chunks: Iterable<Buffer>, file: Name, onName: (name: Name) => void): void {
  readLines(chunks, file, {
    entry: (line) => onName(unescapeName(line.slice(2, line.indexOf(' ')))),
    comment: () => {},
  })
}

type Corrupt = (reason: string) => Error

/** Takes a record's lines, but for those that frame it. */
interface LineTaker {
  entry(line: string, corrupt: Corrupt): void
  comment(words: readonly string[], corrupt: Corrupt): void
}

const endWords = '# rootmerge end '

/** Gives each line of a record to `taker` and checks what frames them; returns the package's name. */
function readLines(chunks: Iterable<Buffer>, file: Name, taker: LineTaker): string {
  const reader = new LineReader(file, taker)
  let rest = Buffer.alloc(0)
  for (const chunk of chunks) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    const whole = bytes.lastIndexOf(0x0a) + 1
    reader.take(bytes.subarray(0, whole))
    rest = Buffer.from(bytes.subarray(whole)) // the chunk's memory may be used again
  }
  return reader.finish(rest.length > 0)
}

class LineReader {
  readonly #taker: LineTaker
  readonly #corrupt: Corrupt
  #packageName: string | undefined
  #number = 0
  #entries = 0
  #sum = 0
  #ended = false

  constructor(file: Name, taker: LineTaker) {
    this.#taker = taker
    this.#corrupt = (reason) => new CorruptRecordError(file, Math.max(1, this.#number), reason)
  }

  /** Takes some whole lines. */
  take(bytes: Buffer): void {
    const text = bytes.toString('latin1')
    const end = text.startsWith(endWords) ? 0 : text.indexOf(`\n${endWords}`) + 1
    const isLast = end > 0 || text.startsWith(endWords)
    this.#sum = crc32(isLast ? bytes.subarray(0, end) : bytes, this.#sum)
    for (let from = 0; from < text.length; ) {
      const to = text.indexOf('\n', from)
      this.#number++
      this.#line(text.slice(from, to))
      from = to + 1
    }
  }

  #line(line: string): void {
    if (this.#ended) throw this.#corrupt('there is more after the end')
    if (line.startsWith('./')) {
      this.#entries++
      return this.#taker.entry(line, this.#corrupt)
    }
    if (this.#number === 1 && line !== '#mtree') throw this.#corrupt('this is not an mtree file')
    if (line.startsWith(endWords)) return this.#end(line)
    if (!line.startsWith('#') && line !== topLine) throw this.#corrupt('this is not an entry')
    if (!line.startsWith('# rootmerge ')) return
    const words = line.split(' ').slice(2)
    if (words[0] === String(recordVersion)) this.#packageName = words[1]
    else this.#taker.comment(words, this.#corrupt)
  }

  #end(line: string): void {
    const sum = this.#sum.toString(16).padStart(8, '0')
    if (line !== `${endWords}${this.#entries} ${sum}`) throw this.#corrupt('the checksum does not fit the lines before')
    this.#ended = true
  }

  finish(isCut: boolean): string {
    if (isCut) {
      this.#number++
      throw this.#corrupt('the last line is cut short')
    }
    if (!this.#ended || this.#packageName === undefined) throw this.#corrupt('the record has no end')
    return this.#packageName
  }
}

/** Takes every entry with all that is said of it. */
class RecordParser implements LineTaker {
  readonly entries: RecordedEntry[] = []
  #xattrs: { name: Name; value: Buffer }[] = []
  #linkTo: Name | undefined

  comment(words: readonly string[], corrupt: Corrupt): void {
    const [kind = '', first = '', second = ''] = words
    if (kind === 'xattr') this.#xattrs.push({ name: unescapeName(first), value: Buffer.from(second, 'base64') })
    else if (kind === 'hardlink') this.#linkTo = unescapeName(first)
    else throw corrupt(`unknown line '# rootmerge ${kind}' (a newer version's record?)`)
  }

  entry(text: string, corrupt: Corrupt): void {
    const [path = '', ...words] = text.split(' ')
    const keywords = new Map(words.map((word) => [word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)]))
    const type = fileTypes.get(keywords.get('type') ?? '')
    if (type === undefined) throw corrupt('this is not an entry')
    this.entries.push({
      name: unescapeName(path.slice(2)),
      ...parseKeywords(type, keywords, corrupt),
      xattrs: this.#xattrs,
      ...(this.#linkTo === undefined ? {} : { linkTo: this.#linkTo }),
    })
    this.#xattrs = []
    this.#linkTo = undefined
  }
}

function parseKeywords(
  type: FileType,
  keywords: ReadonlyMap<string, string>,
  corrupt: Corrupt,
): Omit<RecordedEntry, 'name' | 'xattrs'> {
  const take = (keyword: string, pattern: RegExp) => {
    const value = keywords.get(keyword)
    if (value === undefined || !pattern.test(value)) throw corrupt(`no valid ${keyword}`)
    return value
  }
  const sha256 = keywords.get('sha256digest')
  const [major = 0, minor = 0] = (keywords.get('device') ?? '').split(',').slice(1).map(Number)
  return {
    type,
    uid: Number(take('uid', /^\d+$/)),
    gid: Number(take('gid', /^\d+$/)),
    mode: Number.parseInt(take('mode', /^[0-7]+$/), 8),
    mtimeNs: parseTime(take('time', /^-?\d+\.\d{9}$/)),
    size: type === 'file' ? Number(take('size', /^\d+$/)) : 0,
    ...(type === 'symlink' ? { target: unescapeName(take('link', /^/)) } : {}),
    ...(type === 'character' || type === 'block' ? { rdev: { major, minor } } : {}),
    ...(sha256 === undefined ? {} : { sha256 }),
  }
}

/** The bytes of a formatted record, in chunks of some size. */
export function* recordBytes(record: PackageRecord): Generator<Buffer> {
  let chunk = ''
  for (const line of formatRecord(record)) {
    chunk += line
    if (chunk.length < 65536) continue
    yield nameBytes(chunk)
    chunk = ''
  }
  yield nameBytes(chunk)
}
