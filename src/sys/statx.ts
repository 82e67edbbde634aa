// Decodes struct statx (linux/stat.h), whose layout is the same on every architecture, from raw memory.
// Fixed offsets instead of a koffi struct: 0.4 µs a call instead of 3.9.

import { SyscallError } from './errors.ts'
import type { Device, FileType, Stat } from './kernel.ts'

/** STATX_BASIC_STATS and STATX_BTIME. */
export const statxMask = 0xfff
const STATX_BTIME = 0x800

// S_IFMT of sys/stat.h. Pairs, not an object: a formatter rewrote octal keys, wrongly.
const typeBits: readonly (readonly [bits: number, type: FileType])[] = [
  [0o010000, 'fifo'],
  [0o020000, 'character'],
  [0o040000, 'directory'],
  [0o060000, 'block'],
  [0o100000, 'file'],
  [0o120000, 'symlink'],
  [0o140000, 'socket'],
]

const typeOfBits = new Map<number, FileType>(typeBits)
const bitsOfType = new Map<FileType, number>(typeBits.map(([bits, type]) => [type, bits]))

/** The type that the S_IFMT bits of a mode say; undefined when they say none. */
export function fileTypeOf(modeBits: number): FileType | undefined {
  return typeOfBits.get(modeBits & 0o170000)
}

/** The S_IFMT bits of a type, for mknod(2). */
export function fileTypeBits(type: FileType): number {
  return bitsOfType.get(type) as number
}

// Where the parts of a stat are, by 32-bit words.
const at = {
  mask: 0,
  blockSize: 1,
  attributes: 2,
  nlink: 3,
  uid: 4,
  gid: 5,
  mode: 6,
  ino: 7,
  size: 9,
  blocks: 11,
  accessed: 13,
  born: 16,
  changed: 19,
  modified: 22,
  rdev: 25,
  dev: 27,
  words: 29,
} as const
/** Where the same words are in struct statx: what is left out pads it, or is of no use here. */
const inStruct = Uint8Array.of(
  ...[0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13], // mask to blocks
  ...[16, 17, 18, 20, 21, 22, 24, 25, 26, 28, 29, 30], // four times, each two words of seconds and one of nanoseconds
  ...[32, 33, 34, 35], // rdev and dev
)
/** Stats that lie in one piece of memory. */
const statsAtOnce = 128

/**
 * What one struct statx says, as words; its parts are made when they are asked for.
 *
 * A merge keeps one for each entry: as an object with a field for each part it took twice the room, and most of what
 * the garbage collector had to move.
 */
class InodeStat implements Stat {
  readonly #words: Uint32Array
  readonly #start: number

  constructor(words: Uint32Array, start: number) {
    this.#words = words
    this.#start = start
  }

  static pack(stat: Stat, words: Uint32Array, start: number): void {
    if (!(#words in stat)) throw new TypeError('a stat that is not as the kernel wrote it cannot be packed')
    for (let index = 0; index < at.words; index++) words[start + index] = stat.#word(index)
  }

  #word(index: number): number {
    return this.#words[this.#start + index] as number
  }

  get type(): FileType {
    return fileTypeOf(this.#word(at.mode)) ?? 'file'
  }

  get mode(): number {
    return this.#word(at.mode) & 0o7777
  }

  get nlink(): number {
    return this.#word(at.nlink)
  }

  get uid(): number {
    return this.#word(at.uid)
  }

  get gid(): number {
    return this.#word(at.gid)
  }

  get size(): number {
    return this.#exact(at.size)
  }

  get blocks(): number {
    return this.#exact(at.blocks)
  }

  get blockSize(): number {
    return this.#word(at.blockSize)
  }

  get attributes(): number {
    return this.#word(at.attributes)
  }

  get dev(): number {
    return this.#word(at.dev) * 2 ** 32 + this.#word(at.dev + 1)
  }

  get rdev(): Device {
    return { major: this.#word(at.rdev), minor: this.#word(at.rdev + 1) }
  }

  get ino(): bigint {
    const [low, high] = [this.#word(at.ino), this.#word(at.ino + 1)]
    return high === 0 ? BigInt(low) : (BigInt(high) << 32n) | BigInt(low)
  }

  get atimeNs(): bigint {
    return this.#time(at.accessed)
  }

  get btimeNs(): bigint | undefined {
    return (this.#word(at.mask) & STATX_BTIME) === 0 ? undefined : this.#time(at.born)
  }

  get ctimeNs(): bigint {
    return this.#time(at.changed)
  }

  get mtimeNs(): bigint {
    return this.#time(at.modified)
  }

  /** A struct statx_timestamp: signed seconds, which btrfs and tmpfs keep beyond what a number can hold, and nanoseconds. */
  #time(index: number): bigint {
    const [low, high] = [this.#word(index), this.#word(index + 1) | 0]
    const seconds = high * 2 ** 32 + low
    const exact = Number.isSafeInteger(seconds) ? BigInt(seconds) : (BigInt(high) << 32n) | BigInt(low)
    return exact * 1_000_000_000n + BigInt(this.#word(index + 2))
  }

  #exact(index: number): number {
    return this.#word(index + 1) * 2 ** 32 + this.#word(index)
  }
}

/** 32-bit words that a packed stat takes. */
export const statWords: number = at.words

/** Puts a stat, as the kernel wrote it, into memory that threads share. */
export function packStat(stat: Stat, words: Uint32Array, start: number): void {
  InodeStat.pack(stat, words, start)
}

/** A packed stat, read where it is: valid as long as that memory is not written again. */
export function unpackStat(words: Uint32Array, start: number): Stat {
  return new InodeStat(words, start)
}

/** Keeps what the kernel says of one object after the other. */
export class StatMemory {
  #words: Uint32Array = new Uint32Array(0)
  #start = 0

  /** @throws {SyscallError} EOVERFLOW for a size beyond 2^53, which no number could say exactly */
  keep(struct: Uint32Array): Stat {
    if (this.#start === this.#words.length) this.#renew()
    const words = this.#words
    const start = this.#start
    for (let word = 0; word < at.words; word++) words[start + word] = struct[inStruct[word] as number] as number
    if ((words[start + at.size + 1] as number) >= 2 ** 21) throw new SyscallError('EOVERFLOW', 'statx')
    this.#start += at.words
    return new InodeStat(words, start)
  }

  #renew(): void {
    this.#words = new Uint32Array(statsAtOnce * at.words)
    this.#start = 0
  }
}

/** A stat with some parts of it replaced. Spreading one would lose what it makes when asked. */
export function statWith(stat: Stat, changes: Partial<Stat>): Stat {
  const parts = Object.fromEntries(statParts.map((part) => [part, stat[part]]))
  return { ...(parts as unknown as Stat), ...changes }
}

const statParts = Object.keys(Object.getOwnPropertyDescriptors(InodeStat.prototype)).filter(
  (part) => part !== 'constructor',
) as (keyof Stat)[]
