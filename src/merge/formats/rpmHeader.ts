// rpm's header: tags and their values, as in a package, in a signature, and in an exported database (lib/header.c).

import type { Name } from '../../sys/index.ts'

/** What a header begins with: magic, version 1, four bytes that are reserved. */
const magic = Buffer.from('8eade80100000000', 'hex')
/** Bytes before the index: the magic, how many entries, how many bytes of data. */
const introBytes = 16
const indexBytes = 16
/** As rpm's own (HEADER_TAGS_MAX, HEADER_DATA_MAX): more is refused before anything is allocated. */
const mostTags = 0xffff
const mostData = 0x0fffffff

/** Values that rpm stores, by what they are. */
const numberBytes: Readonly<Record<number, number>> = { 1: 1, 2: 1, 3: 2, 4: 4, 5: 8 }
const stringTypes: ReadonlySet<number> = new Set([6, 8, 9])

/** A header is not one; the reason says where. */
export class BadHeader extends Error {}

interface IndexEntry {
  readonly type: number
  readonly offset: number
  readonly count: number
}

/** How long a header is, by its first 16 bytes. @throws {BadHeader} */
export function headerLength(intro: Buffer): number {
  if (intro.length < introBytes) throw new BadHeader('the header is cut short')
  if (!intro.subarray(0, 8).equals(magic)) throw new BadHeader('there is no header where one belongs')
  const [tags, data] = [intro.readUInt32BE(8), intro.readUInt32BE(12)]
  if (tags > mostTags || data > mostData) throw new BadHeader(`a header of ${tags} tags and ${data} bytes`)
  return introBytes + tags * indexBytes + data
}

/** A header that is whole in memory. Asking for a tag that it does not have gives nothing. */
export class RpmHeader {
  readonly #index = new Map<number, IndexEntry>()
  readonly #data: Buffer

  /** @throws {BadHeader} when an entry points outside the data */
  constructor(bytes: Buffer) {
    const length = headerLength(bytes)
    if (bytes.length < length) throw new BadHeader('the header is cut short')
    const tags = bytes.readUInt32BE(8)
    this.#data = bytes.subarray(introBytes + tags * indexBytes, length)
    for (let tag = 0; tag < tags; tag++) {
      const at = introBytes + tag * indexBytes
      const [number, type, offset, count] = [0, 4, 8, 12].map((field) => bytes.readUInt32BE(at + field)) as [
        number,
        number,
        number,
        number,
      ]
      if (offset + count * (numberBytes[type] ?? 1) > this.#data.length) {
        throw new BadHeader(`tag ${number} points outside the header's ${this.#data.length} bytes`)
      }
      this.#index.set(number, { type, offset, count })
    }
  }

  has(tag: number): boolean {
    return this.#index.has(tag)
  }

  /** The strings of a tag. @throws {BadHeader} */
  strings(tag: number): Name[] {
    const entry = this.#index.get(tag)
    if (entry === undefined || !stringTypes.has(entry.type)) return []
    const strings: Name[] = []
    for (let at = entry.offset; strings.length < entry.count; ) {
      const end = this.#data.indexOf(0, at)
      if (end < 0) throw new BadHeader(`tag ${tag} has a string without an end`)
      strings.push(this.#data.toString('latin1', at, end))
      at = end + 1
    }
    return strings
  }

  /** The first string of a tag. */
  string(tag: number): Name | undefined {
    return this.strings(tag)[0]
  }

  /** The numbers of a tag, which are not negative. */
  numbers(tag: number): number[] {
    const entry = this.#index.get(tag)
    const size = numberBytes[entry?.type ?? 0]
    if (entry === undefined || size === undefined) return []
    return Array.from({ length: entry.count }, (_, place) => {
      const at = entry.offset + place * size
      return size === 8 ? Number(this.#data.readBigUInt64BE(at)) : this.#data.readUIntBE(at, size)
    })
  }

  /** The bytes of a tag. */
  bytes(tag: number): Buffer | undefined {
    const entry = this.#index.get(tag)
    return entry && this.#data.subarray(entry.offset, entry.offset + entry.count)
  }
}
