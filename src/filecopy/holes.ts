// Holes of the target: what is skipped reads as zeros, over old data too.

import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, FALLOC_FL_ZERO_RANGE } from '../sys/index.ts'
import type { Copying } from './copying.ts'
import { writeAll } from './methods.ts'
import type { Extent } from './report.ts'

/** Ways of making zeros of old data, the one that also frees the room first. */
const ways = [
  ['punch', FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE],
  ['zero_range', FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE],
] as const

/** Leaves out an extent of the source (offsets in the source): in the target it reads as zeros. */
export function skip(copy: Copying, hole: Extent): void {
  if (hole.end <= hole.start) return
  copy.holes += hole.end - hole.start
  copy.work.moved(hole.end - hole.start)
  const { start, end } = copy.inTarget(hole)
  if (copy.ends.appends) extendByHole(copy, { start, end })
  else clear(copy, { start, end })
}

/** Makes the target longer by a hole. XFS allocates ahead of a file that grows, and would keep that in the hole. */
export function extendByHole(copy: Copying, hole: Extent): void {
  copy.kernel.ftruncate(copy.ends.target, hole.end)
  fallocated(copy, ways[0][0], ways[0][1], hole)
}

/** Makes zeros of what an extent of the target holds: a hole where that goes, or else `bytes`. */
export function clear(copy: Copying, { start, end }: Extent, as: 'hole' | 'bytes' = 'hole'): void {
  const old = { start, end: as === 'bytes' ? end : Math.min(end, copy.ends.oldEnd) }
  if (old.start >= old.end) return
  if (as === 'hole') for (const [call, mode] of ways) if (fallocated(copy, call, mode, old)) return
  const zeros = copy.work.zeros()
  for (let position = old.start; position < old.end; position += zeros.length) {
    copy.work.check()
    writeAll(copy, zeros.subarray(0, Math.min(zeros.length, old.end - position)), position)
  }
}

function fallocated(copy: Copying, call: 'punch' | 'zero_range', mode: number, { start, end }: Extent): boolean {
  while (!copy.declines(call)) {
    try {
      copy.kernel.fallocate(copy.ends.target, mode, start, end - start)
      return true
    } catch (error) {
      if (copy.takesAnswer(call, error) === 'declined') return false
    }
  }
  return false
}
