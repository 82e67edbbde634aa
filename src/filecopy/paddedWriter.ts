// A writer for images whose parts begin at block boundaries, such as FAT file systems: one thing after the other, with
// zeros up to the next boundary where that is asked.

import type { Fd } from '../sys/index.ts'
import type { Copier } from './copier.ts'
import { OutOfBoundsError } from './errors.ts'
import type { CopyOptions, CopyReport } from './report.ts'

/** Where a writer may write; bytes. */
export interface WriterPlace {
  /** Where it starts; 0 by default. */
  readonly offset?: number
  /** The end of what it may write; none by default. */
  readonly window?: number
}

/**
 * Writes to a target, one thing behind the other.
 *
 * The position of the target's descriptor is not used. Nothing is written behind the window: what fits is written and
 * counted, and an OutOfBoundsError thrown.
 */
export class PaddedWriter {
  readonly #copier: Copier
  readonly #target: Fd
  readonly #start: number
  readonly #window: number
  #written = 0

  constructor(copier: Copier, target: Fd, { offset = 0, window = Number.MAX_SAFE_INTEGER }: WriterPlace = {}) {
    this.#copier = copier
    this.#target = target
    this.#start = offset
    this.#window = window
  }

  /** Bytes written so far, padding included. */
  get written(): number {
    return this.#written
  }

  /** Writes bytes. @throws {OutOfBoundsError} when not all fit */
  write(bytes: Uint8Array): void {
    this.#counting(() => this.#copier.write(this.#target, bytes, this.#position(), this.#window))
    this.#written += bytes.length
  }

  /** Copies a file, or so much of it, by the chain. @throws {OutOfBoundsError} when not all of it fits */
  copyFrom(source: Fd, length?: number, options: CopyOptions = {}): CopyReport {
    const range = { targetOffset: this.#position(), window: this.#window }
    const report = this.#counting(() =>
      this.#copier.copyRange(source, this.#target, length === undefined ? range : { ...range, length }, options),
    )
    this.#written += report.bytes
    return report
  }

  /**
   * Fills up with zeros to the next multiple of `alignment`, counted from where the writer started.
   *
   * @param as  `hole` leaves the padding out where the file system can, `bytes` writes it
   * @returns bytes of padding
   */
  pad(alignment: number, as: 'bytes' | 'hole' = 'hole'): number {
    if (!Number.isSafeInteger(alignment) || alignment <= 0) throw new RangeError(`not an alignment: ${alignment}`)
    const padding = (alignment - (this.#written % alignment)) % alignment
    const fitting = Math.min(padding, this.#window - this.#position())
    const start = this.#position()
    if (fitting > 0) this.#copier.writeZeros(this.#target, { start, end: start + fitting }, as)
    this.#written += fitting
    if (fitting < padding) throw new OutOfBoundsError(fitting, start, this.#window)
    return padding
  }

  #position(): number {
    return this.#start + this.#written
  }

  /** What was written before the window was full counts too. */
  #counting<T>(body: () => T): T {
    try {
      return body()
    } catch (error) {
      if (error instanceof OutOfBoundsError) this.#written += error.bytesWritten
      throw error
    }
  }
}
