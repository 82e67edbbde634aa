// A package's record in mtree format: `bsdtar -tf` and `mtree -f` read it.
//
// An entry's lines are recordEntry.ts's subject. The last line counts and sums up the others: a record that was cut
// short has none.

import { crc32 } from 'node:zlib'
import { type Name, nameBytes } from '../sys/index.ts'
import type { RecordedEntry } from './entry.ts'
import { CorruptRecordError } from './errors.ts'
import { type Corrupt, EntryFormatter, EntryParser, escapeName, type LineTaker, unescapeName } from './recordEntry.ts'

/** Of the record's own lines; an unknown one is refused. */
const recordVersion = 1

/** What a record says. */
export interface PackageRecord {
  readonly packageName: string
  /** In image order: a directory before what is in it. */
  readonly entries: readonly RecordedEntry[]
  /** Names of the image that an install mask left out. */
  readonly leftOut?: readonly Name[]
  /** Live names of objects of nobody that the package took away: they come back with it gone. */
  readonly erased?: readonly Name[]
}

/** NetBSD's mtree refuses names with a slash in a file that does not begin with the top; nothing of it is compared. */
const topLine = '. type=dir'

/** A record to be written: its entries may be made one by one. */
export type RecordToWrite = Omit<PackageRecord, 'entries'> & { readonly entries: Iterable<RecordedEntry> }

/** Bytes that are written at once. */
const chunkBytes = 65536

/** Writes a record: its bytes, in chunks of some size. */
export function* recordBytes({ packageName, entries, leftOut = [], erased = [] }: RecordToWrite): Generator<Buffer> {
  const formatter = new EntryFormatter()
  let text = `#mtree\n# rootmerge ${recordVersion} ${packageName}\n${topLine}\n`
  let sum = 0
  let count = 0
  const summedUp = () => {
    const bytes = nameBytes(text)
    sum = crc32(bytes, sum)
    text = ''
    return bytes
  }
  for (const entry of entries) {
    count++
    text += formatter.lines(entry)
    if (text.length >= chunkBytes) yield summedUp()
  }
  for (const name of leftOut) text += `# rootmerge masked ${escapeName(name)}\n`
  for (const name of erased) text += `# rootmerge erased ${escapeName(name)}\n`
  yield summedUp()
  yield nameBytes(`# rootmerge end ${count} ${sum.toString(16).padStart(8, '0')}\n`)
}

/**
 * Reads a record that is whole in memory.
 *
 * @param file  its path, for messages
 * @throws {CorruptRecordError} naming the line, for anything that recordBytes would not have written
 */
export function parseRecord(text: Buffer, file: Name): PackageRecord {
  return readRecord([text], file)
}

/** Reads a record from its bytes as they come. @throws {CorruptRecordError} as parseRecord */
export function readRecord(chunks: Iterable<Buffer>, file: Name): PackageRecord {
  const parser = new EntryParser()
  const packageName = readLines(chunks, file, parser)
  const { entries, leftOut, erased } = parser
  return {
    packageName,
    entries,
    ...(leftOut.length > 0 ? { leftOut } : {}),
    ...(erased.length > 0 ? { erased } : {}),
  }
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
