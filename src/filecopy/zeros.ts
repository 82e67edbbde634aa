// Runs of zeros become holes: for files whose holes no map shows, and where that is asked.

import type { Copying } from './copying.ts'
import { NoMethodError } from './errors.ts'
import { skip } from './holes.ts'
import { writeAll } from './methods.ts'
import type { Extent } from './report.ts'

const pieceSize = 256 * 1024

/**
 * Copies an extent by read and write, leaving out blocks of the file system that are all zeros.
 *
 * @returns how far it came, as copyExtent does
 */
export function copyExtentWithoutZeros(copy: Copying, extent: Extent): number {
  if (!copy.byteMethods.includes('read_write')) throw new NoMethodError(copy.declined)
  copy.detection = 'zeros'
  const block = blockOf(copy)
  let position = extent.start
  while (position < extent.end) {
    copy.work.check()
    const room = Math.min(pieceSize, extent.end - position)
    const piece = copy.work.buffer(pieceSize).subarray(0, room)
    const got = copy.kernel.pread(copy.ends.source, piece, position)
    if (got === 0) break
    copyPiece(copy, piece.subarray(0, got), position, block)
    position += got
  }
  return position
}

/** Writes what is not zeros of a piece that was read at `position`; in the target the rest is a hole. */
export function copyPiece(copy: Copying, piece: Buffer, position: number, block: number): void {
  for (const run of runsOf(piece, copy.work.zeros(), block)) {
    const extent = { start: position + run.start, end: position + run.end }
    if (run.zero) skip(copy, extent)
    else {
      writeAll(copy, piece.subarray(run.start, run.end), extent.start + copy.ends.shift)
      copy.count('read_write', run.end - run.start)
    }
  }
}

/** A part of a piece that is either all zeros or to be written. */
export interface Run extends Extent {
  readonly zero: boolean
}

/** Cuts a piece into runs of whole blocks (the last may be shorter), neighbours never of the same kind. */
export function runsOf(piece: Buffer, zeros: Buffer, block: number): Run[] {
  const isZero = (start: number, end: number) =>
    piece[start] === 0 && piece.compare(zeros, 0, end - start, start, end) === 0
  if (isZero(0, piece.length)) return [{ start: 0, end: piece.length, zero: true }]
  const runs: Run[] = []
  for (let start = 0; start < piece.length; start += block) {
    const end = Math.min(start + block, piece.length)
    const zero = isZero(start, end)
    const last = runs.at(-1)
    if (last?.zero === zero) runs[runs.length - 1] = { start: last.start, end, zero }
    else runs.push({ start, end, zero })
  }
  return runs
}

/** The unit in which the target's file system can leave something out. */
export function blockOf(copy: Copying): number {
  const { blockSize } = copy.kernel.fstatfs(copy.ends.target)
  return Math.min(Math.max(blockSize, 512), 64 * 1024)
}
