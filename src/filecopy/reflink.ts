// Sharing extents: FICLONE for whole files, FICLONERANGE for the aligned part of a range.

import type { Copying } from './copying.ts'
import type { Extent } from './report.ts'

/** Makes the target share all of the source: all or nothing. @returns whether it does */
export function reflinkWhole(copy: Copying): boolean {
  const { kernel, ends } = copy
  if (!mayTry(copy)) return false
  if (!accepted(copy, () => kernel.ficlone(ends.target, ends.source))) {
    // Interrupted or refused half-way it may have shared a part. Never truncated needlessly: see `empty`.
    if (kernel.fstat(ends.target).size > 0) kernel.ftruncate(ends.target, 0)
    return false
  }
  const { size, blocks } = ends.sourceStat
  copy.sharesAll = true
  copy.holes = Math.max(0, size - blocks * 512)
  copy.count('reflink', size)
  return true
}

/**
 * Makes the target share the whole file-system blocks of an extent (offsets in the source), holes included.
 *
 * @returns the part that is shared, empty when none is
 */
export function reflinkBlocks(copy: Copying, extent: Extent): Extent {
  const { kernel, ends, work } = copy
  const nothing = { start: extent.start, end: extent.start }
  if (!mayTry(copy)) return nothing
  const block = kernel.fstatfs(ends.target).blockSize
  const start = Math.ceil(extent.start / block) * block
  // The last block of the source may be shared where nothing of the target is behind it.
  const toTheEnd = extent.end === ends.sourceStat.size && extent.end + ends.shift >= ends.oldEnd
  const end = toTheEnd ? extent.end : Math.floor(extent.end / block) * block
  if (ends.shift % block !== 0 || end <= start) return nothing
  for (let position = start; position < end; ) {
    work.check()
    const length = Math.min(work.round, end - position)
    const clone = () => kernel.ficloneRange(ends.target, ends.source, position, length, position + ends.shift)
    if (!accepted(copy, clone)) return { start, end: position }
    copy.count('reflink', length)
    position += length
  }
  return { start, end }
}

function mayTry(copy: Copying): boolean {
  if (!copy.mayReflink || !copy.ends.resizable) return false
  return copy.options.reflink === 'always' || !copy.declines('reflink')
}

function accepted(copy: Copying, clone: () => void): boolean {
  for (;;) {
    try {
      clone()
      return true
    } catch (error) {
      if (copy.options.reflink === 'always') throw error
      if (copy.takesAnswer('reflink', error) === 'declined') return false
    }
  }
}
