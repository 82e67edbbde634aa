// The end of a copy: the target's final size, whether the source is what it was, and tidying up after a failure.

import { isSyscallError, type Kernel, type Stat, statWith } from '../sys/index.ts'
import { copyExtent } from './copyExtent.ts'
import type { Copying, Ends } from './copying.ts'
import { SourceChangedError } from './errors.ts'
import type { CopyReport, Extent } from './report.ts'

/** A part of the source, and how many bytes at most may come from it when it is longer than it says. */
export interface Part extends Extent {
  readonly limit: number
}

/** Runs a copy. After an error nothing is behind the old end of the target, and no position has moved. */
export function guarded<T>(copy: Copying, body: () => T): T {
  try {
    return body()
  } catch (error) {
    cutBack(copy.kernel, copy.ends)
    throw error
  } finally {
    copy.restorePositions()
  }
}

/** Takes away what is behind the old end. The error that is being thrown matters more than one of tidying up after it. */
export function cutBack(kernel: Kernel, ends: Pick<Ends, 'target' | 'oldEnd' | 'resizable'>): void {
  if (!ends.resizable) return
  try {
    if (kernel.fstat(ends.target).size > ends.oldEnd) kernel.ftruncate(ends.target, ends.oldEnd)
  } catch (error) {
    if (!isSyscallError(error)) throw error
  }
}

/** Brings the target to its final size, and finds out whether the source is what it was. */
export function settle(copy: Copying, part: Part, reached: number): CopyReport {
  const { kernel, ends, options } = copy
  const before = ends.sourceStat
  const more = reached === part.end && part.end - part.start < part.limit && hasMore(copy, part.end)
  const after = options.onChange === 'ignore' && !more ? before : statAgain(copy)
  const changed = options.onChange !== 'ignore' && isAnother(before, after)
  let end = reached
  // More to read, but no larger: the size lies (procfs says 0), and only reading tells the truth.
  if (more && after.size <= before.size) end = copyOn(copy, part)
  if (after.size < before.size) end = Math.max(part.start, Math.min(end, after.size))
  if (changed && copy.sharesAll) end = kernel.fstat(ends.target).size
  const size = end > part.start ? Math.max(end + ends.shift, ends.oldEnd) : ends.oldEnd
  const tooLong = end < reached && ends.resizable
  if (tooLong || (copy.sized !== undefined && copy.sized !== size)) kernel.ftruncate(ends.target, size)
  if (changed && options.onChange === 'fail') throw new SourceChangedError(end - part.start, after.size)
  return copy.report(end - part.start, changed)
}

/** Of a block device stat does not know the size, which stays what it is. */
function statAgain({ kernel, ends }: Copying): Stat {
  const stat = kernel.fstat(ends.source)
  return stat.type === 'block' ? statWith(stat, { size: ends.sourceStat.size }) : stat
}

/** Whether the source has a byte at `offset`. */
export function hasMore(copy: Copying, offset: number): boolean {
  if (copy.sharesAll) return false
  return copy.kernel.pread(copy.ends.source, copy.work.buffer(1).subarray(0, 1), offset) > 0
}

/** Copies what is behind the size that the source claims. */
function copyOn(copy: Copying, part: Part): number {
  let position = part.end
  const last = part.start + part.limit
  while (position < last) {
    const end = Math.min(position + copy.work.round, last)
    position = copyExtent(copy, { start: position, end })
    if (position < end) break
  }
  return position
}

/** Whether a file was written to, had its metadata changed, or became another one, between two looks at it. */
export function isAnother(before: Stat, after: Stat): boolean {
  if (before.size !== after.size || before.mtimeNs !== after.mtimeNs || before.ctimeNs !== after.ctimeNs) return true
  return before.ino !== after.ino || before.dev !== after.dev // the first look may have been at the name
}
