// Header blocks of tar, decoded by tar-stream: checksum, names and their prefixes, GNU long names; numbers beside it.
//
// Only headers go through it. Payloads go round it, from the decompressor to the file: tar-stream makes a stream of
// each, which costs more than writing a small file does, and it mistakes the extension blocks of GNU sparse files for
// payload. So each block is given to it with blanks for numbers, which are 0 and cost it nothing.

import { createRequire } from 'node:module'
import type { Header } from 'tar-stream'

// Loaded for the first archive: most images are trees.
const require: NodeJS.Require = createRequire(import.meta.url)

/** The names in a header, as the latin1 strings of their bytes. Numbers are read here: tar-stream's negative ones are off by one. */
export type TarHeader = Pick<Header, 'name' | 'linkname' | 'uname' | 'gname'>

const loadExtract = () => (require('tar-stream') as typeof import('tar-stream')).extract

/** Decodes header blocks one after the other; GNU long names count for the header that follows them. */
export class HeaderDecoder {
  // The two options are missing in tar-stream's types: names as bytes, and headers of before POSIX (v7).
  readonly #tar = loadExtract()({ filenameEncoding: 'latin1', allowUnknownFormat: true } as object)
  readonly #block = Buffer.alloc(512)
  #decoded: TarHeader | undefined

  constructor() {
    this.#tar.on('entry', (header, _payload, next) => {
      this.#decoded = header
      next()
    })
  }

  /** The header in a block, whose type says of what. @throws {Error} when the checksum is wrong */
  decode(block: Buffer): TarHeader {
    this.#decoded = undefined
    this.#write(withoutNumbers(block, this.#block))
    if (this.#decoded === undefined) throw new Error('there is no header in it')
    return this.#decoded
  }

  /** Takes the block and the padded payload of a long name (types K and L). */
  takeLongName(block: Buffer, payload: Buffer): void {
    this.#write(Buffer.concat([block, payload]))
  }

  /** By the method that a stream implements, which answers at once; write() would put a queue and a promise between. */
  #write(bytes: Buffer): void {
    let failure: Error | null | undefined
    this.#tar._write(bytes, (error) => {
      failure = error
    })
    if (failure) throw failure
  }
}

const [sizeStart, sizeBytes] = [124, 12]
const [sumStart, sumEnd] = [148, 156]
/** The sum of a block of zeros: its own field counts as spaces. */
const leastSum = 8 * 0x20
/** Mode, owner, group, size and time; then what device it is. */
const numberFields = [
  [100, sumStart],
  [329, 345],
] as const

/** The block with blanks for its numbers, and a checksum that has moved by as much: a wrong one stays as wrong as it was. */
function withoutNumbers(block: Buffer, copy: Buffer): Buffer {
  const sum = readNumber(block, sumStart, sumEnd - sumStart)
  if (!(sum > leastSum)) throw new Error('there is no header in it')
  block.copy(copy)
  let moved = sum
  for (const [start, end] of numberFields)
    for (let index = start; index < end; index++) {
      moved += space - (block[index] as number)
      copy[index] = space
    }
  copy.write(`${moved.toString(8).padStart(6, '0')}\0 `, sumStart, sumEnd - sumStart, 'latin1')
  return copy
}

const [space, zero, seven] = [0x20, 0x30, 0x37]

/**
 * A number of a header: octal digits between spaces and NULs, or base-256 where the first bit is set.
 *
 * NaN when it is neither, or is beyond what a number holds exactly.
 */
export function readNumber(block: Buffer, start: number, length: number): number {
  if (((block[start] as number) & 0x80) !== 0) return readBase256(block.subarray(start, start + length))
  let [at, value] = [start, 0]
  const end = start + length
  while (at < end && isBlank(block[at] as number)) at++
  for (; at < end && block[at] !== space && block[at] !== 0; at++) {
    const byte = block[at] as number
    if (byte < zero || byte > seven) return Number.NaN
    value = value * 8 + (byte - zero)
  }
  return value
}

/** What comes before the digits; some writers have tabs there. */
function isBlank(byte: number): boolean {
  return byte === space || (byte >= 0x09 && byte <= 0x0d) || byte === 0xa0
}

function readBase256(field: Buffer): number {
  const bits = BigInt.asIntN(8 * field.length - 1, BigInt(`0x${field.toString('hex')}`))
  const value = Number(bits)
  return Number.isSafeInteger(value) ? value : Number.NaN
}

/** The numbers of a header block, NaN for each that is none. */
export function numbersOf(block: Buffer): Record<'mode' | 'uid' | 'gid' | 'mtime' | 'major' | 'minor', number> {
  return {
    mode: readNumber(block, 100, 8),
    uid: readNumber(block, 108, 8),
    gid: readNumber(block, 116, 8),
    mtime: readNumber(block, 136, 12),
    major: readNumber(block, 329, 8),
    minor: readNumber(block, 337, 8),
  }
}

/** The size in a header block; NaN when it is none. */
export function sizeOf(block: Buffer): number {
  const size = readNumber(block, sizeStart, sizeBytes)
  return size >= 0 ? size : Number.NaN
}

/** Whether a block is a header by its checksum. A block of zeros is none. */
export function isHeader(block: Buffer): boolean {
  if (block.length < 512) return false
  let sum = leastSum
  for (let index = 0; index < 512; index++) if (index < sumStart || index >= sumEnd) sum += block[index] as number
  return sum > leastSum && sum === readNumber(block, sumStart, sumEnd - sumStart)
}
