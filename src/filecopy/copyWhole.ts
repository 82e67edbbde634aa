// A whole file into an empty one.

import { magics } from '../sys/index.ts'
import { copyPart, mayHaveHoles } from './copyExtents.ts'
import type { Copying } from './copying.ts'
import { copyStream } from './copyStream.ts'
import { reflinkWhole } from './reflink.ts'
import type { CopyReport } from './report.ts'
import { guarded, settle } from './settle.ts'

/** From here on it pays to allocate the target before writing it. */
const preallocateFrom = 1024 * 1024

/** Copies all of the source, regular or a block device, into the target, which must be empty; it is again after an error. */
export function copyWhole(copy: Copying): CopyReport {
  const whole = { start: 0, end: copy.ends.sourceStat.size, limit: Number.MAX_SAFE_INTEGER }
  return guarded(copy, () => settle(copy, whole, copyBytes(copy, whole.end)))
}

/** Copies all that a source without positions gives. */
export function copyWholeStream(copy: Copying): CopyReport {
  return guarded(copy, () => copy.report(copyStream(copy, Number.MAX_SAFE_INTEGER), false))
}

/** @returns how far it came */
function copyBytes(copy: Copying, size: number): number {
  if (reflinkWhole(copy)) return size
  if (mayHaveHoles(copy)) copy.presize(size)
  else preallocate(copy, size)
  return copyPart(copy, { start: 0, end: size })
}

/** Allocates the target in one piece: ext4 then writes a third faster, the others no slower than without. */
function preallocate(copy: Copying, size: number): void {
  const { kernel, ends, work } = copy
  if (copy.options.methods !== 'fastest' || size < preallocateFrom || !ends.resizable || ends.appends) return
  if (work.magicOf(ends.target, ends.targetDevice) !== magics.ext || copy.declines('preallocate')) return
  try {
    kernel.fallocate(ends.target, 0, 0, size)
    copy.sized = size
  } catch (error) {
    copy.takesAnswer('preallocate', error)
    // Half-way it may have grown the file already (ext4, out of room).
    if (kernel.fstat(ends.target).size > 0) kernel.ftruncate(ends.target, 0)
  }
}
