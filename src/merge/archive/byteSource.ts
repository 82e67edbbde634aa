// The bytes of an archive as they come: asked for by those who read them, never further ahead than one chunk.

import type { Name } from '../../sys/index.ts'
import { CorruptImageError } from '../errors.ts'

const empty = Buffer.alloc(0)

/** Bytes in order, from a file, a pipe, a decompressor, or the middle of another source. */
export class ByteSource {
  /** What the image is called in messages. */
  readonly image: Name
  readonly #chunks: AsyncIterator<Buffer> | Iterator<Buffer>
  /** What has come and was not taken yet. */
  #rest: Buffer
  #offset: number

  /**
   * @param chunks  each is valid until three more were asked for: whoever makes them may use their memory again
   * @param start   the offset that the first byte has in messages
   */
  constructor(image: Name, chunks: AsyncIterable<Buffer> | Iterable<Buffer>, start = 0, rest: Buffer = empty) {
    this.image = image
    this.#chunks = Symbol.asyncIterator in chunks ? chunks[Symbol.asyncIterator]() : chunks[Symbol.iterator]()
    this.#offset = start
    this.#rest = rest
  }

  /** How many bytes were taken, counted from where the outermost source of these bytes begins. */
  get offset(): number {
    return this.#offset
  }

  /** The next bytes, which stay: `count` of them, or fewer where the source ends. Valid until more are asked for. */
  async peek(count: number): Promise<Buffer> {
    while (this.#rest.length < count && (await this.#more())) {}
    return this.#rest.subarray(0, count)
  }

  /** The next `count` bytes, in memory of their own. @throws {CorruptImageError} where the source ends before */
  async take(count: number): Promise<Buffer> {
    if (this.#rest.length < count && (await this.peek(count)).length < count) throw this.cutShort()
    return Buffer.from(this.#shift(count))
  }

  /** Bytes that are at hand, `limit` at most, valid until the next are asked for; undefined at the end. */
  async chunk(limit: number = Number.POSITIVE_INFINITY): Promise<Buffer | undefined> {
    while (this.#rest.length === 0) if (!(await this.#more())) return undefined
    return this.#shift(Math.min(limit, this.#rest.length))
  }

  /** Takes `count` bytes that nobody wants. @throws {CorruptImageError} where the source ends before */
  async skip(count: number): Promise<void> {
    for (let left = count; left > 0; ) {
      const chunk = await this.chunk(left)
      if (chunk === undefined) throw this.cutShort()
      left -= chunk.length
    }
  }

  /** Reads to the end what nobody took, so that whoever checks or counts the bytes sees all of them. */
  async drain(): Promise<void> {
    while ((await this.chunk()) !== undefined) {}
  }

  /** Gives back what was taken last, for whoever reads next. */
  putBack(bytes: Buffer): void {
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([bytes, this.#rest])
    this.#offset -= bytes.length
  }

  /**
   * The next `length` bytes as a source of their own.
   *
   * It has to be drained before this one is read again.
   */
  within(length: number): ByteSource {
    if (this.#rest.length < length) return new ByteSource(this.image, this.#bounded(length), this.#offset)
    const start = this.#offset
    return new ByteSource(this.image, nothing, start, this.#shift(length))
  }

  /** The rest of the bytes, chunk by chunk. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    for (;;) {
      const chunk = await this.chunk()
      if (chunk === undefined) return
      yield chunk
    }
  }

  /** Lets go of what makes the bytes, such as a decompressor, before their end. */
  async close(): Promise<void> {
    await this.#chunks.return?.()
  }

  /** The error that says what is wrong with the bytes at this offset. */
  corrupt(
    reason: string,
    where: { entry?: Name; cause?: unknown; offset?: number; hint?: string } = {},
  ): CorruptImageError {
    return new CorruptImageError(this.image, reason, { offset: this.#offset, ...where })
  }

  cutShort(): CorruptImageError {
    return this.corrupt('the archive is cut short', { offset: this.#offset + this.#rest.length })
  }

  async *#bounded(length: number): AsyncGenerator<Buffer> {
    for (let left = length; left > 0; ) {
      const chunk = await this.chunk(left)
      if (chunk === undefined) throw this.cutShort()
      left -= chunk.length
      yield chunk
    }
  }

  #shift(count: number): Buffer {
    const taken = this.#rest.subarray(0, count)
    this.#rest = count === this.#rest.length ? empty : this.#rest.subarray(count)
    this.#offset += count
    return taken
  }

  async #more(): Promise<boolean> {
    const next = await this.#chunks.next()
    if (next.done === true) return false
    this.#rest = this.#rest.length === 0 ? next.value : Buffer.concat([this.#rest, next.value])
    return true
  }
}

const nothing: readonly Buffer[] = []

/** Memory for chunks, used again and again: each is valid until three more were asked for. */
export class ChunkRing {
  readonly #bytes: number
  readonly #buffers: Buffer[] = []
  #next = 0

  constructor(bytes: number) {
    this.#bytes = bytes
  }

  next(): Buffer {
    const index = this.#next++ % 4
    this.#buffers[index] ??= Buffer.allocUnsafeSlow(this.#bytes)
    return this.#buffers[index]
  }
}
