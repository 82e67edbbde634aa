// The digest of a payload, taken on its way when it is copied.

import { createHash, hash } from 'node:crypto'
import type { PayloadReader } from '../movefile/index.ts'
import type { Fd, Kernel } from '../sys/index.ts'

/** As large as the kernel reads ahead, and small enough for a processor's cache. */
const windowBytes = 256 * 1024

/** sha256 of one payload after the other, with one buffer. */
export class PayloadDigest implements PayloadReader {
  readonly #kernel: Kernel
  readonly #check: () => void
  #window: Buffer | undefined
  /** Of the last payload. */
  value: Buffer | undefined

  /** @param check  called between reads; throws to end */
  constructor(kernel: Kernel, check: () => void) {
    this.#kernel = kernel
    this.#check = check
  }

  /** One call into the library instead of three: a third of what the digest of a small file costs. */
  readonly ofBytes = (bytes: Uint8Array): void => {
    this.value = hash('sha256', bytes, 'buffer')
  }

  readonly ofFile = (fd: Fd): void => {
    this.#window ??= Buffer.allocUnsafeSlow(windowBytes)
    const first = this.#kernel.pread(fd, this.#window, 0)
    const isAll =
      first === 0 || (first < windowBytes && this.#kernel.pread(fd, this.#window.subarray(first), first) === 0)
    if (isAll) this.ofBytes(this.#window.subarray(0, first))
    else this.value = this.#sumOf(fd, this.#window)
  }

  #sumOf(fd: Fd, window: Buffer): Buffer {
    const sum = createHash('sha256')
    for (let offset = 0; ; ) {
      this.#check()
      const read = this.#kernel.pread(fd, window, offset)
      if (read === 0) return sum.digest()
      sum.update(window.subarray(0, read))
      offset += read
    }
  }
}
