// A source without positions: a pipe, fifo, socket or terminal. Read and write only, and never stuck in a call, so that
// it can be cancelled while the other side gives nothing.

import { isSyscallError, POLLIN } from '../sys/index.ts'
import type { Copying } from './copying.ts'
import { waitUntilReady, writeAll } from './methods.ts'
import { blockOf, copyPiece } from './zeros.ts'

const pieceSize = 256 * 1024

/**
 * Copies what the source gives until it ends, or until `limit` bytes.
 *
 * @returns bytes copied
 */
export function copyStream(copy: Copying, limit: number): number {
  const { ends, work } = copy
  const start = ends.shift
  const block = copy.options.sparse === 'always' && ends.resizable && !ends.appends ? blockOf(copy) : undefined
  let position = 0
  while (position < limit) {
    const piece = readSome(copy, work.buffer(pieceSize).subarray(0, Math.min(pieceSize, limit - position)))
    if (piece.length === 0) break
    if (block !== undefined) copyPiece(copy, piece, position, block)
    else {
      writeAll(copy, piece, start + position)
      copy.count('read_write', piece.length)
    }
    position += piece.length
  }
  // A hole at the end is there only once the size says so.
  if (copy.holes > 0 && start + position > ends.oldEnd) copy.kernel.ftruncate(ends.target, start + position)
  return position
}

/** Whether the source gives another byte, which is then gone: only asked when it must not. */
export function streamHasMore(copy: Copying): boolean {
  return readSome(copy, copy.work.buffer(1).subarray(0, 1)).length > 0
}

/** Waits for bytes; none means the end. */
function readSome(copy: Copying, buffer: Buffer): Buffer {
  for (;;) {
    waitUntilReady(copy.work, copy.ends.source, POLLIN)
    try {
      return buffer.subarray(0, copy.kernel.read(copy.ends.source, buffer))
    } catch (error) {
      if (!isSyscallError(error, 'EAGAIN')) throw error // another reader was faster
    }
  }
}
