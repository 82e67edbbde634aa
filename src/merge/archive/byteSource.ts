// The bytes of an archive as they come: asked for by those who read them, never further ahead than one chunk.

import type { Fd, Name } from '../../sys/index.ts'
import { CorruptImageError } from '../errors.ts'

const empty = Buffer.alloc(0)

/** Chunks that lie in a file, one behind the other from its beginning: what nobody wants need not be read. */
export interface FileChunks extends Iterable<Buffer> {
  readonly fd: Fd
  /** Bytes from the next chunk to the end. */
  readonly remaining: number
  /** Leaves out the next `count` bytes, `remaining` at most. */
  skip(count: number): void
}

/** Bytes in order, from a file, a pipe, a decompressor, or the middle of another source. */
export class ByteSource {
  /** What the image is called in messages. */
  readonly image: Name
  readonly #chunks: Iterator<Buffer>
  readonly #file: FileChunks | undefined
  /** What has come and was not taken yet. */
  #rest: Buffer
  #offset: number

  /**
   * @param chunks  each is valid until three more were asked for: whoever makes them may use their memory again
   * @param start   the offset that the first byte has in messages
   */
  constructor(image: Name, chunks: Iterable<Buffer> | FileChunks, start = 0, rest: Buffer = empty) {
    this.image = image
    this.#chunks = chunks[Symbol.iterator]()
    this.#file = 'skip' in chunks ? chunks : undefined
    this.#offset = start
    this.#rest = rest
  }

  /** How many bytes were taken, counted from where the outermost source of these bytes begins. */
  get offset(): number {
    return this.#offset
  }

  /** The file that these bytes lie in, each at its offset; undefined where they come from elsewhere. */
  get file(): Fd | undefined {
    return this.#file?.fd
  }

  /** The next bytes, which stay: `count` of them, or fewer where the source ends. Valid until more are asked for. */
  peek(count: number): Buffer {
    while (this.#rest.length < count && this.#more()) {}
    return this.#rest.subarray(0, count)
  }

  /** The next `count` bytes, in memory of their own. @throws {CorruptImageError} where the source ends before */
  take(count: number): Buffer {
    if (this.#rest.length < count && this.peek(count).length < count) throw this.cutShort()
    return Buffer.from(this.#shift(count))
  }

  /** Bytes that are at hand, `limit` at most, valid until the next are asked for; undefined at the end. */
  chunk(limit: number = Number.POSITIVE_INFINITY): Buffer | undefined {
    while (this.#rest.length === 0) if (!this.#more()) return undefined
    return this.#shift(Math.min(limit, this.#rest.length))
  }

  /** Takes `count` bytes that nobody wants. @throws {CorruptImageError} where the source ends before */
  skip(count: number): void {
    let left = count - this.#shift(Math.min(count, this.#rest.length)).length
    if (this.#file !== undefined) {
      const skipped = Math.min(left, this.#file.remaining)
      this.#file.skip(skipped)
      this.#offset += skipped
      if (skipped < left) throw this.cutShort()
      return
    }
    while (left > 0) {
      const chunk = this.chunk(left)
      if (chunk === undefined) throw this.cutShort()
      left -= chunk.length
    }
  }

  /** Goes to the end, so that whoever checks or counts the bytes on their way sees all of them. */
  drain(): void {
    if (this.#file !== undefined) this.skip(this.#rest.length + this.#file.remaining)
    else while (this.chunk() !== undefined) {}
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
    const start = this.#offset
    const rest = this.#shift(Math.min(length, this.#rest.length))
    return new ByteSource(this.image, this.#bounded(length - rest.length), start, rest)
  }

  /** The rest of the bytes, chunk by chunk. */
  *[Symbol.iterator](): Generator<Buffer> {
    for (;;) {
      const chunk = this.chunk()
      if (chunk === undefined) return
      yield chunk
    }
  }

  /** Lets go of what makes the bytes, such as a decompressor, before their end. */
  close(): void {
    this.#chunks.return?.()
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

  #bounded(length: number): Iterable<Buffer> | FileChunks {
    if (this.#file !== undefined) return new FileWindow(this, length, this.#file.fd)
    return length === 0 ? nothing : new Window(this, length)
  }

  #shift(count: number): Buffer {
    const taken = this.#rest.subarray(0, count)
    this.#rest = count === this.#rest.length ? empty : this.#rest.subarray(count)
    this.#offset += count
    return taken
  }

  #more(): boolean {
    const next = this.#chunks.next()
    if (next.done === true) return false
    this.#rest = this.#rest.length === 0 ? next.value : Buffer.concat([this.#rest, next.value])
    return true
  }
}

const nothing: readonly Buffer[] = []

/** Part of a source. */
class Window implements IterableIterator<Buffer> {
  protected readonly source: ByteSource
  /** Bytes that are left. */
  remaining: number

  constructor(source: ByteSource, length: number) {
    this.source = source
    this.remaining = length
  }

  [Symbol.iterator](): this {
    return this
  }

  next(): IteratorResult<Buffer> {
    if (this.remaining === 0) return { done: true, value: undefined }
    const value = this.source.chunk(this.remaining)
    if (value === undefined) throw this.source.cutShort()
    this.remaining -= value.length
    return { done: false, value }
  }
}

/** Part of a source that lies in a file. */
class FileWindow extends Window implements FileChunks {
  readonly fd: Fd

  constructor(source: ByteSource, length: number, fd: Fd) {
    super(source, length)
    this.fd = fd
  }

  skip(count: number): void {
    this.source.skip(count)
    this.remaining -= count
  }
}

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
