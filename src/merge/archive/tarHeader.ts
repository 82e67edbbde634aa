// Header blocks of tar, decoded by tar-stream: checksum, names and their prefixes, GNU long names; numbers beside it.
//
// Only headers go through it. Payloads go round it, from the decompressor to the file: tar-stream makes a stream of
// each, which costs more than writing a small file does, and it mistakes the extension blocks of GNU sparse files for
// payload. So each block is given to it with blanks for numbers, which are 0 and cost it nothing.

import { createRequire } from 'node:module'
import type { Header } from 'tar-stream'

// Loaded for the first archive: most images are trees.
const require: NodeJS.Require = createRequire(import.meta.url)

/** What every part of a tar archive is a multiple of. */
export const blockBytes = 512

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

  /**
   * The header in a block, whose type says of what; undefined when it is none by its checksum.
   *
   * @param sum  of its unsigned bytes; what its checksum says by default
   */
  decode(block: Buffer, sum: number = checksumOf(block)): TarHeader | undefined {
    if (!(sum > leastSum)) return undefined
    this.#decoded = undefined
    block.copy(this.#block)
    writeChecksum(this.#block, blankNumbers(this.#block, sum))
    return this.#write(this.#block) ? this.#decoded : undefined
  }

  /** Takes the block, whose unsigned bytes have this sum, and the payload of a long name (types K and L). */
  takeLongName(block: Buffer, sum: number, payload: Buffer): void {
    const bytes = Buffer.concat([block, payload, Buffer.alloc(-payload.length & 511)])
    const rest = blankNumbers(bytes, sum)
    const size = Buffer.from(payload.length.toString(8))
    size.copy(bytes, sizeStart)
    writeChecksum(
      bytes,
      size.reduce((total, digit) => total + digit - space, rest),
    )
    if (!this.#write(bytes)) throw new Error('a long name that tar-stream does not understand')
  }

  /**
   * By the method that a stream implements, which answers at once; write() would put a queue and a promise between.
   *
   * @returns whether it was understood
   */
  #write(bytes: Buffer): boolean {
    let isUnderstood = false
    this.#tar._write(bytes, (error) => {
      isUnderstood = !error
    })
    return isUnderstood
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

/** Puts blanks for the numbers of a block. @returns its sum, when it was `sum` */
function blankNumbers(block: Buffer, sum: number): number {
  let moved = sum
  for (const [start, end] of numberFields)
    for (let index = start; index < end; index++) {
      moved += space - (block[index] as number)
      block[index] = space
    }
  return moved
}

function checksumOf(block: Buffer): number {
  return readNumber(block, sumStart, sumEnd - sumStart)
}

function writeChecksum(block: Buffer, sum: number): void {
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, sumStart, sumEnd - sumStart, 'latin1')
}

const [space, zero, seven] = [0x20, 0x30, 0x37]

/**
 * A number of a header: octal digits between spaces and NULs, or base-256 where the first bit is set.
 *
 * NaN when it is neither, or is beyond what a number holds exactly.
 */
export function readNumber(block: Buffer, start: number, length: number): number {
  if (((block[start] as number) & 0x80) !== 0) return readBase256(block.subarray(start, start + length))
  const end = start + length
  // GNU's tar allows for a NUL that the field before has left here.
  let [at, value] = [block[start] === 0 ? start + 1 : start, 0]
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

/**
 * The sum of a header's unsigned bytes, those of the checksum taken for spaces; 0 where the checksum says that a block is
 * none, as of a block of zeros.
 *
 * The tars of old systems (BSD, SunOS) summed up signed bytes: POSIX has readers know both.
 */
export function sumOfHeader(block: Buffer): number {
  if (block.length < 512) return 0
  let [sum, high] = [leastSum, 0]
  for (let index = 0; index < 512; index++) {
    if (index >= sumStart && index < sumEnd) continue
    const byte = block[index] as number
    sum += byte
    high += byte >> 7 // negative where bytes are signed
  }
  const written = checksumOf(block)
  return sum > leastSum && (sum === written || sum - 256 * high === written) ? sum : 0
}

/** What fills up the last block of so many bytes. */
export function paddingOf(size: number): number {
  return (blockBytes - (size % blockBytes)) % blockBytes
}

/** Whether a block is one of those that end an archive. */
export function isZero(block: Buffer): boolean {
  return block.every((byte) => byte === 0)
}
