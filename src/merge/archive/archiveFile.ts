// Where an archive comes from: a file, or a pipe, whose bytes are waited for without being stuck in a call.

import {
  AT_FDCWD,
  type CancelFlag,
  displayName,
  type Fd,
  isSyscallError,
  type Kernel,
  type Name,
  O_RDONLY,
  POLLIN,
} from '../../sys/index.ts'
import { InvalidArgumentError } from '../errors.ts'
import { ChunkRing } from './byteSource.ts'

/** The name that stands for standard input. */
export const standardInput: Name = '-'

const chunkBytes = 256 * 1024
/** How long a pipe is waited for between two looks at the cancel flag. */
const waitMilliseconds = 100

/** An open archive, and how much of it was read. */
export interface ArchiveFile extends Iterable<Buffer> {
  /** Bytes that were read so far. */
  readonly bytesRead: number
  close(): void
}

/**
 * Opens an archive by its path; `-` is standard input.
 *
 * @throws {InvalidArgumentError} when there is none
 */
export function openArchiveFile(kernel: Kernel, cancel: CancelFlag, path: Name): ArchiveFile {
  const fd = path === standardInput ? 0 : openExisting(kernel, path, 'image')
  const isPipe = ['fifo', 'socket', 'character'].includes(kernel.fstat(fd).type)
  const ring = new ChunkRing(chunkBytes)
  let bytesRead = 0
  function* chunks(): Generator<Buffer> {
    for (;;) {
      cancel.check()
      if (isPipe && kernel.poll([{ fd, events: POLLIN }], waitMilliseconds)[0] === 0) continue
      const chunk = ring.next()
      const read = readSome(kernel, fd, chunk)
      if (read === undefined) continue
      if (read === 0) return
      bytesRead += read
      yield chunk.subarray(0, read)
    }
  }
  const iterator = chunks()
  return {
    [Symbol.iterator]: () => iterator,
    get bytesRead() {
      return bytesRead
    },
    close: () => {
      if (fd !== 0) kernel.close(fd)
    },
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

/** Opens a file that the caller named. @throws {InvalidArgumentError} when there is none */
export function openExisting(kernel: Kernel, path: Name, what: string): Fd {
  try {
    return kernel.openat(AT_FDCWD, path, O_RDONLY)
  } catch (error) {
    if (!isSyscallError(error, 'ENOENT')) throw error
    throw new InvalidArgumentError(`the ${what} '${displayName(path)}' does not exist`, { cause: error })
  }
}
