// Where a file has data, by its own map: SEEK_DATA and SEEK_HOLE. Never FIEMAP, which did not see dirty pages (ext4 up
// to 3.x), for which cp gave it up.

import { isSyscallError, SEEK_DATA, SEEK_HOLE } from '../sys/index.ts'
import type { Copying } from './copying.ts'
import type { Extent } from './report.ts'

/** An extent, and whether the file system's map says that it is one; else it may hold holes too. */
export interface DataExtent extends Extent {
  readonly mapped: boolean
}

/** How often a writer may punch away the extent that was just found, before the rest is taken as data. */
const races = 3

/**
 * The data extents of the source within `within`, in order, without overlap, and finitely many whatever writers do.
 *
 * Where there is no map, or none that can be believed, the rest is one extent that is not `mapped`.
 */
export function* dataExtents(copy: Copying, within: Extent): Generator<DataExtent> {
  copy.keepPosition(copy.ends.source)
  let position = within.start
  let raced = 0
  while (position < within.end) {
    const rest = { start: position, end: within.end, mapped: false }
    const data = seek(copy, SEEK_DATA, position)
    if (data === 'unmapped') return yield rest
    if (data === 'none' || data >= within.end) {
      if (position === within.start && hidesData(copy, position)) yield rest
      return
    }
    const start = Math.max(data, position) // before it would be a bug of the kernel
    const hole = seek(copy, SEEK_HOLE, start)
    if (hole === 'unmapped') return yield { ...rest, start }
    const end = hole === 'none' ? within.end : Math.min(hole, within.end)
    if (end > start) {
      raced = 0
      position = end
      yield { start, end, mapped: true }
    } else if (++raced > races) {
      return yield { ...rest, start }
    }
  }
}

/** `none`: nothing of the kind from here on. */
function seek(
  copy: Copying,
  whence: typeof SEEK_DATA | typeof SEEK_HOLE,
  offset: number,
): number | 'none' | 'unmapped' {
  try {
    return copy.kernel.lseek(copy.ends.source, offset, whence)
  } catch (error) {
    if (isSyscallError(error, 'ENXIO')) return 'none'
    copy.takesAnswer('seek', error)
    return 'unmapped'
  }
}

/** Pseudo files can claim a size, no blocks and no data, and yet have some to read. */
function hidesData(copy: Copying, offset: number): boolean {
  if (copy.ends.sourceStat.blocks > 0) return false
  const head = copy.work.buffer(4096).subarray(0, 4096)
  const got = copy.kernel.pread(copy.ends.source, head, offset)
  return head.subarray(0, got).some((byte) => byte !== 0)
}

/**
 * Whether the map says of all of the source that it is data. For a file with fewer blocks than its size needs, such a
 * map says nothing (squashfs up to 6.17, sysfs; or the file is compressed).
 */
export function mapIsTrivial(copy: Copying): boolean {
  copy.keepPosition(copy.ends.source)
  if (seek(copy, SEEK_DATA, 0) !== 0) return false
  const hole = seek(copy, SEEK_HOLE, 0)
  return typeof hole === 'number' && hole >= copy.ends.sourceStat.size
}
