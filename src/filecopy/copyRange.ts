// A part of a file into a part of another, within a window: what is behind the window is not touched.

import { copyPart } from './copyExtents.ts'
import type { Copying } from './copying.ts'
import { copyStream, streamHasMore } from './copyStream.ts'
import { OutOfBoundsError, SameFileError } from './errors.ts'
import { reflinkBlocks } from './reflink.ts'
import type { CopyRange, CopyReport, Extent } from './report.ts'
import { guarded, hasMore, type Part, settle } from './settle.ts'

/** A checked range: every number exact and not negative. */
export interface Bounds {
  readonly sourceOffset: number
  readonly targetOffset: number
  /** Undefined: to the end of the source. */
  readonly length: number | undefined
  readonly window: number
}

/**
 * Checks a range, against a window that is `deviceSize` if the caller names none.
 *
 * @throws {OutOfBoundsError} when it starts behind the window (or before the target)
 * @throws {RangeError} when a number is no exact number of bytes
 */
export function boundsOf(range: CopyRange, deviceSize: number = Number.MAX_SAFE_INTEGER): Bounds {
  const { sourceOffset = 0, targetOffset = 0, length, window = deviceSize } = range
  for (const [name, value] of Object.entries({ sourceOffset, targetOffset, length: length ?? 0, window })) {
    if (!Number.isSafeInteger(value) || (value < 0 && name !== 'targetOffset')) {
      throw new RangeError(`${name} must be an exact number of bytes, not ${value}`)
    }
  }
  const end = Math.min(window, deviceSize)
  if (targetOffset < 0 || targetOffset > end) throw new OutOfBoundsError(0, targetOffset, end)
  return { sourceOffset, targetOffset, length, window: end }
}

/** Copies a range of a source with positions. The target keeps what it has outside of it. */
export function copyBounded(copy: Copying, bounds: Bounds): CopyReport {
  const { size } = copy.ends.sourceStat
  const { sourceOffset: start, limit } = { ...bounds, limit: limitOf(bounds) }
  const part = { start, end: Math.max(start, Math.min(size, start + limit)), limit }
  const report = guarded(copy, () => settle(copy, part, copyShared(copy, part)))
  if (mayOverflow(bounds, report) && hasMore(copy, start + report.bytes)) throw overflow(bounds, report)
  return report
}

/** Copies from a source without positions into a range of the target. */
export function copyBoundedStream(copy: Copying, bounds: Bounds): CopyReport {
  const report = guarded(copy, () => copy.report(copyStream(copy, limitOf(bounds)), false))
  if (mayOverflow(bounds, report) && streamHasMore(copy)) throw overflow(bounds, report)
  return report
}

/** Refuses to copy a range of a file over a part of itself, which would read what it wrote. */
export function mustNotOverlap(bounds: Bounds, size: number): void {
  const length = Math.max(0, Math.min(limitOf(bounds), size - bounds.sourceOffset))
  const apart = Math.abs(bounds.sourceOffset - bounds.targetOffset)
  if (apart < length) throw new SameFileError('source and target overlap, since they')
}

function limitOf({ length, targetOffset, window }: Bounds): number {
  return Math.min(length ?? Number.MAX_SAFE_INTEGER, window - targetOffset)
}

/** Whether the window is full although nobody asked for exactly so much. */
function mayOverflow({ length, targetOffset, window }: Bounds, report: CopyReport): boolean {
  const room = window - targetOffset
  return report.bytes === room && (length === undefined || length > room)
}

function overflow({ targetOffset, window }: Bounds, report: CopyReport): OutOfBoundsError {
  return new OutOfBoundsError(report.bytes, targetOffset, window)
}

/** Shares the whole blocks in the middle, if that goes, and copies what is around them. */
function copyShared(copy: Copying, part: Part): number {
  if (part.end === part.start) return part.start // copying nothing does not move the end of the target either
  copy.presize(part.end + copy.ends.shift)
  const shared: Extent = reflinkBlocks(copy, part)
  if (shared.end === shared.start) return copyPart(copy, part)
  const reached = copyPart(copy, { start: part.start, end: shared.start })
  if (reached < shared.start) return reached
  return copyPart(copy, { start: shared.end, end: part.end })
}
