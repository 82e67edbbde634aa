// Where an archive, or a list that goes with it, comes from: a file, or a pipe, whose bytes are waited for without being
// stuck in a call.

import { constants } from 'node:buffer'
import { handOver } from '../../movefile/index.ts'
import {
  AT_FDCWD,
  type CancelFlag,
  displayName,
  type Fd,
  isSyscallError,
  type Kernel,
  type Name,
  O_NONBLOCK,
  O_RDONLY,
  POLLIN,
} from '../../sys/index.ts'
import { InvalidArgumentError } from '../errors.ts'
import { ChunkRing, type FileChunks } from './byteSource.ts'

/** The name that stands for standard input. */
export const standardInput: Name = '-'

const chunkBytes = 256 * 1024
/** How long a pipe is waited for between two looks at the cancel flag. */
const waitMilliseconds = 100

/** An open archive, and how much of it was read. */
export interface ArchiveFile {
  readonly chunks: Iterable<Buffer> | FileChunks
  /** Bytes that were read, or passed over, so far. */
  readonly bytesRead: number
  /** Bytes of a regular file; undefined where nobody knows how many come. */
  readonly size: number | undefined
  close(): void
}

/**
 * Opens an archive by its path; `-` is standard input.
 *
 * @throws {InvalidArgumentError} when there is none
 */
export function openArchiveFile(kernel: Kernel, cancel: CancelFlag, path: Name): ArchiveFile {
  if (path === standardInput) return new StreamedArchive(kernel, cancel, 0, false)
  return openGiven(kernel, cancel, path, 'image')
}

/**
 * Reads what a caller named, a file or a pipe, to its end.
 *
 * @param what  it is, for messages
 * @throws {InvalidArgumentError} when there is none, or it is longer than a text can be
 */
export function readGiven(kernel: Kernel, cancel: CancelFlag, path: Name, what: string): Buffer {
  const file = openGiven(kernel, cancel, path, what)
  try {
    const chunks: Buffer[] = []
    for (const chunk of file.chunks) {
      if (file.bytesRead > constants.MAX_STRING_LENGTH)
        throw new InvalidArgumentError(`the ${what} '${displayName(path)}' is too long`)
      chunks.push(Buffer.from(chunk))
    }
    return Buffer.concat(chunks)
  } finally {
    file.close()
  }
}

function openGiven(kernel: Kernel, cancel: CancelFlag, path: Name, what: string): ArchiveFile {
  return handOver(kernel, openExisting(kernel, path, what), (fd) => {
    const { type, size } = kernel.fstat(fd)
    if (type === 'directory') throw new InvalidArgumentError(`the ${what} '${displayName(path)}' is a directory`)
    return type === 'file' ? new StoredArchive(kernel, cancel, fd, size) : new StreamedArchive(kernel, cancel, fd, true)
  })
}

/** What can be read once, from where its descriptor stands. */
class StreamedArchive implements ArchiveFile {
  readonly chunks: Iterable<Buffer>
  readonly size = undefined
  bytesRead = 0
  readonly #kernel: Kernel
  readonly #fd: Fd
  readonly #isOurs: boolean

  constructor(kernel: Kernel, cancel: CancelFlag, fd: Fd, isOurs: boolean) {
    this.#kernel = kernel
    this.#fd = fd
    this.#isOurs = isOurs
    this.chunks = this.#read(cancel)
  }

  *#read(cancel: CancelFlag): Generator<Buffer> {
    const [kernel, fd] = [this.#kernel, this.#fd]
    const isPipe = ['fifo', 'socket', 'character'].includes(kernel.fstat(fd).type)
    const ring = new ChunkRing(chunkBytes)
    for (;;) {
      cancel.check()
      if (isPipe && kernel.poll([{ fd, events: POLLIN }], waitMilliseconds)[0] === 0) continue
      const chunk = ring.next()
      const read = readSome(kernel, fd, chunk)
      if (read === undefined) continue
      if (read === 0) return
      this.bytesRead += read
      yield chunk.subarray(0, read)
    }
  }

  close(): void {
    if (this.#isOurs) this.#kernel.close(this.#fd)
  }
}

/** A file that is read from its beginning, and not where nobody wants its bytes. */
class StoredArchive implements ArchiveFile, FileChunks, IterableIterator<Buffer> {
  readonly chunks = this
  readonly fd: Fd
  readonly size: number
  bytesRead = 0
  readonly #kernel: Kernel
  readonly #cancel: CancelFlag
  readonly #ring = new ChunkRing(chunkBytes)

  constructor(kernel: Kernel, cancel: CancelFlag, fd: Fd, size: number) {
    this.#kernel = kernel
    this.#cancel = cancel
    this.fd = fd
    this.size = size
  }

  [Symbol.iterator](): this {
    return this
  }

  next(): IteratorResult<Buffer> {
    this.#cancel.check()
    const chunk = this.#ring.next()
    const read = this.#kernel.pread(this.fd, chunk, this.bytesRead)
    if (read === 0) return { done: true, value: undefined }
    this.bytesRead += read
    return { done: false, value: chunk.subarray(0, read) }
  }

  get remaining(): number {
    return Math.max(0, this.size - this.bytesRead)
  }

  skip(count: number): void {
    this.bytesRead += count
  }

  close(): void {
    this.#kernel.close(this.fd)
  }
}

/** Undefined when another reader of a non-blocking pipe was faster. */
function readSome(kernel: Kernel, fd: Fd, chunk: Buffer): number | undefined {
  try {
    return kernel.read(fd, chunk)
  } catch (error) {
    if (isSyscallError(error, 'EAGAIN')) return undefined
    throw error
  }
}

/** A fifo without a writer would hold up the call for ever: so it is waited for by poll. */
function openExisting(kernel: Kernel, path: Name, what: string): Fd {
  try {
    return kernel.openat(AT_FDCWD, path, O_RDONLY | O_NONBLOCK)
  } catch (error) {
    if (!isSyscallError(error, 'ENOENT')) throw error
    throw new InvalidArgumentError(`the ${what} '${displayName(path)}' does not exist`, { cause: error })
  }
}
