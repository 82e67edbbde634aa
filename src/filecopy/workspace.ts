// What a thread's copies share: the kernel, the memory of declines, the buffers, and the two who watch.

import { release } from 'node:os'
import { type CancelFlag, type Kernel, pageAlignedBuffer } from '../sys/index.ts'
import { DeclineMemory } from './declineMemory.ts'

/** Files up to this many bytes are read and written in one call each. */
export const smallSize: number = 64 * 1024

/**
 * Most bytes in one call. 1 GiB, because FUSE and glibc 2.41 keep the count of a copy_file_range in 32 bits
 * (libfuse#1331, glibc bug 33245), and because every call is an end to which a cancelled copy must come.
 */
const longestRound = 1024 ** 3
/** While somebody watches; from 64 KiB up the size of a round costs nothing. */
const watchedRound = 16 * 1024 ** 2

/** Who watches the copies of a thread, and what they run on. */
export interface Watchers {
  /** Looked at between calls; raised, it ends the copy. */
  readonly cancel?: CancelFlag
  /** Told how many bytes each call moved. */
  readonly onProgress?: (bytes: number) => void
  /** What uname(2) calls the kernel; that of the machine by default. */
  readonly kernelRelease?: string
}

/** One a thread. */
export class Workspace {
  readonly kernel: Kernel
  readonly memory: DeclineMemory
  /** Most bytes that one call may be asked to move. */
  readonly round: number
  readonly #watchers: Watchers
  #buffer: Buffer = Buffer.alloc(0)
  #small: Buffer | undefined
  #zeros: Buffer = Buffer.alloc(0)
  readonly #magics = new Map<number, number>()

  constructor(kernel: Kernel, watchers: Watchers) {
    this.kernel = kernel
    this.memory = new DeclineMemory(watchers.kernelRelease ?? release())
    this.#watchers = watchers
    this.round = watchers.cancel || watchers.onProgress ? watchedRound : longestRound
  }

  /** A buffer of at least `size` bytes; the same one each time, so nothing in it outlives the next call. */
  buffer(size: number): Buffer {
    if (this.#buffer.length < size) {
      this.#buffer = pageAlignedBuffer(size)
      this.#small = undefined
    }
    return this.#buffer
  }

  /** The start of the same buffer, one byte longer than a small file. */
  smallBuffer(): Buffer {
    this.#small ??= this.buffer(smallSize + 1).subarray(0, smallSize + 1)
    return this.#small
  }

  /** 256 KiB of zeros, only to be read. */
  zeros(): Buffer {
    if (this.#zeros.length === 0) this.#zeros = Buffer.alloc(256 * 1024)
    return this.#zeros
  }

  /** The magic number of the file system that `fd` is on; asked once a device. */
  magicOf(fd: number, device: number): number {
    const known = this.#magics.get(device)
    if (known !== undefined) return known
    const { magic } = this.kernel.fstatfs(fd)
    this.#magics.set(device, magic)
    return magic
  }

  /** Between two calls. @throws {Cancelled} when the copy was cancelled */
  check(): void {
    this.#watchers.cancel?.check()
  }

  moved(bytes: number): void {
    this.#watchers.onProgress?.(bytes)
  }
}
