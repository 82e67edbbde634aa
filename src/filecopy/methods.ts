// The methods that move bytes: one step each, offsets always explicit, because the kernel's own positions are not
// where one expects them after a change of method (Portage bug 635126).

import { type Fd, isSyscallError, POLLOUT, SEEK_SET, SyscallError } from '../sys/index.ts'
import type { ByteMethod, Copying } from './copying.ts'
import type { Extent } from './report.ts'
import type { Workspace } from './workspace.ts'

/** Read and write in pieces: 256 KiB fills large folios at once, 1 MiB is better still once a file is large. */
const piece = { usual: 256 * 1024, large: 1024 * 1024, largeFrom: 4 * 1024 * 1024 }

/**
 * Moves the first bytes of an extent of the source to the target.
 *
 * @returns bytes moved, at most the extent's; 0 means that this method moves nothing more
 * @throws {SyscallError} which the decline table judges
 */
export type Step = (copy: Copying, extent: Extent) => number

/** One step by method. */
export const steps: Readonly<Record<ByteMethod, Step>> = {
  copy_file_range: ({ kernel, ends }, { start, end }) =>
    kernel.copyFileRange(ends.source, start, ends.target, start + ends.shift, end - start),

  // sendfile(2) writes at the target's own position and leaves it behind what it wrote.
  sendfile(copy, { start, end }) {
    const { kernel, ends } = copy
    copy.keepPosition(ends.target)
    kernel.lseek(ends.target, start + ends.shift, SEEK_SET)
    return kernel.sendfile(ends.target, ends.source, start, end - start)
  },

  read_write(copy, { start, end }) {
    const length = end - start
    const most = length >= piece.largeFrom ? piece.large : piece.usual
    const buffer = copy.work.buffer(most)
    const got = copy.kernel.pread(copy.ends.source, buffer.subarray(0, Math.min(length, most)), start)
    writeAll(copy, buffer.subarray(0, got), start + copy.ends.shift)
    return got
  },
}

/** Writes `bytes` at `offset` of the target, in as many calls as it takes. */
export function writeAll(copy: Copying, bytes: Uint8Array, offset: number): void {
  const { kernel, ends } = copy
  if (ends.sequential !== undefined) {
    writeSequentially(copy, ends.sequential, bytes)
    return
  }
  // Where writes go to the end, the end is put where the bytes belong, which makes a hole up to there.
  if (ends.appends && bytes.length > 0) kernel.ftruncate(ends.target, offset)
  for (let written = 0; written < bytes.length; ) {
    written += some(kernel.pwrite(ends.target, rest(bytes, written), offset + written))
  }
}

/** POSIX promises that a pipe which is ready takes so many bytes without waiting. */
const pipeBuffer = 4096
/** How soon a cancelled copy ends that waits for somebody else. */
const waitMilliseconds = 50

function writeSequentially({ kernel, ends, work }: Copying, kind: 'waits' | 'returns', bytes: Uint8Array): void {
  for (let written = 0; written < bytes.length; ) {
    waitUntilReady(work, ends.target, POLLOUT)
    const most = kind === 'waits' ? pipeBuffer : bytes.length
    try {
      written += some(kernel.write(ends.target, bytes.subarray(written, written + most)))
    } catch (error) {
      if (!isSyscallError(error, 'EAGAIN')) throw error // ready for less than this, so it is ready again soon
    }
  }
}

/** Waits for a pipe, fifo, socket or terminal, and for the cancel flag at the same time. */
export function waitUntilReady(work: Workspace, fd: Fd, events: number): void {
  do work.check()
  while (work.kernel.poll([{ fd, events }], waitMilliseconds)[0] === 0)
}

/** A write of nothing, repeated, would never end. */
function some(count: number): number {
  if (count === 0) throw new SyscallError('EIO', 'write')
  return count
}

function rest(bytes: Uint8Array, written: number): Uint8Array {
  return written === 0 ? bytes : bytes.subarray(written)
}
