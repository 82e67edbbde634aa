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

/**
 * One struct statx. Its bigints are made when they are asked for: of most objects nobody asks for all four times, and
 * making them was a third of what a look at an object cost.
 */
class InodeStat implements Stat {
  readonly type: FileType
  readonly mode: number
  readonly nlink: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  readonly blocks: number
  readonly blockSize: number
  readonly attributes: number
  readonly dev: number
  readonly rdev: Device
  // As they stand in memory: halves of the inode number, seconds (signed) and nanoseconds.
  protected readonly inoLow: number
  protected readonly inoHigh: number
  protected readonly accessed: number
  protected readonly accessedPart: number
  protected readonly born: number | undefined
  protected readonly bornPart: number
  protected readonly changed: number
  protected readonly changedPart: number
  protected readonly modified: number
  protected readonly modifiedPart: number

  /** Indices are byte offsets divided by four. */
  constructor(words: Uint32Array) {
    const modeBits = at(words, 7) & 0xffff
    this.type = fileTypeOf(modeBits) ?? 'file'
    this.mode = modeBits & 0o7777
    this.nlink = at(words, 4)
    this.uid = at(words, 5)
    this.gid = at(words, 6)
    this.size = exactNumber(at(words, 10), at(words, 11))
    this.blocks = exactNumber(at(words, 12), at(words, 13))
    this.blockSize = at(words, 1)
    this.attributes = at(words, 2)
    this.dev = at(words, 34) * 2 ** 32 + at(words, 35)
    const [major, minor] = [at(words, 32), at(words, 33)]
    this.rdev = major === 0 && minor === 0 ? noDevice : { major, minor }
    this.inoLow = at(words, 8)
    this.inoHigh = at(words, 9)
    this.accessed = secondsAt(words, 16)
    this.accessedPart = at(words, 18)
    this.born = (at(words, 0) & STATX_BTIME) === 0 ? undefined : secondsAt(words, 20)
    this.bornPart = at(words, 22)
    this.changed = secondsAt(words, 24)
    this.changedPart = at(words, 26)
    this.modified = secondsAt(words, 28)
    this.modifiedPart = at(words, 30)
  }

  get ino(): bigint {
    return this.inoHigh === 0 ? BigInt(this.inoLow) : (BigInt(this.inoHigh) << 32n) | BigInt(this.inoLow)
  }

  get atimeNs(): bigint {
    return nanoseconds(this.accessed, this.accessedPart)
  }

  get btimeNs(): bigint | undefined {
    return this.born === undefined ? undefined : nanoseconds(this.born, this.bornPart)
  }

  get ctimeNs(): bigint {
    return nanoseconds(this.changed, this.changedPart)
  }

  get mtimeNs(): bigint {
    return nanoseconds(this.modified, this.modifiedPart)
  }
}

const noDevice: Device = { major: 0, minor: 0 }

/** Reads one struct statx. */
export function decodeStatx(words: Uint32Array): Stat {
  return new InodeStat(words)
}

/** A stat with some parts of it replaced. Spreading one would lose what it makes when asked. */
export function statWith(stat: Stat, changes: Partial<Stat>): Stat {
  return Object.create(stat, Object.getOwnPropertyDescriptors(changes)) as Stat
}

function at(words: Uint32Array, index: number): number {
  return words[index] as number
}

/** The signed 64-bit seconds of struct statx_timestamp; the kernel has none that a number cannot hold. */
function secondsAt(words: Uint32Array, index: number): number {
  return (at(words, index + 1) | 0) * 2 ** 32 + at(words, index)
}

function nanoseconds(seconds: number, part: number): bigint {
  return BigInt(seconds) * 1_000_000_000n + BigInt(part)
}

/** Two halves as one number; a size beyond 2^53 is refused rather than rounded. */
function exactNumber(low: number, high: number): number {
  if (high >= 2 ** 21) throw new SyscallError('EOVERFLOW', 'statx')
  return high * 2 ** 32 + low
}
