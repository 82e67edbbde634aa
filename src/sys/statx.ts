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

// Where the parts of struct statx are, by 32-bit words; those behind `words` are of no use here.
const at = {
  mask: 0,
  blockSize: 1,
  attributes: 2,
  nlink: 4,
  uid: 5,
  gid: 6,
  mode: 7,
  ino: 8,
  size: 10,
  blocks: 12,
  accessed: 16,
  born: 20,
  changed: 24,
  modified: 28,
  rdev: 32,
  dev: 34,
  words: 36,
} as const
/** 32-bit words of a whole struct. */
const structWords = 64
/** Structs that lie in one piece of memory. */
const structsAtOnce = 128

/**
 * One struct statx, as it stands in memory; its parts are made when they are asked for.
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

/** Where the kernel writes one struct statx after the other: each stat is a view of what it wrote. */
export class StatMemory {
  readonly #addressOf: (words: Uint32Array) => number
  #words: Uint32Array = new Uint32Array(0)
  #start = 0
  #end = 0
  #address = 0

  /** @param addressOf  of memory that stays where it is */
  constructor(addressOf: (words: Uint32Array) => number) {
    this.#addressOf = addressOf
  }

  /** Where the kernel is to write the next struct. */
  next(): number {
    if (this.#start === this.#end) this.#renew()
    return this.#address + 4 * this.#start
  }

  /** What it has written there. @throws {SyscallError} EOVERFLOW for a size beyond 2^53, which no number could say exactly */
  take(): Stat {
    const start = this.#start
    if ((this.#words[start + at.size + 1] as number) >= 2 ** 21) throw new SyscallError('EOVERFLOW', 'statx')
    this.#start += at.words
    return new InodeStat(this.#words, start)
  }

  /** A struct's last words are of no use, so the next one is written over them; behind the last one they need room. */
  #renew(): void {
    this.#end = structsAtOnce * at.words
    this.#words = new Uint32Array(this.#end + structWords - at.words)
    this.#address = this.#addressOf(this.#words)
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
