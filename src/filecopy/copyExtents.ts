// A part of a file that may have holes: its data is copied, its holes stay holes.

import { copyExtent } from './copyExtent.ts'
import type { Copying } from './copying.ts'
import { type DataExtent, dataExtents, mapIsTrivial } from './extents.ts'
import { skip } from './holes.ts'
import type { Extent } from './report.ts'
import { copyExtentWithoutZeros } from './zeros.ts'

/** Whether less is allocated than the size needs, so that there are holes, or compression, or a size that lies. */
export function mayHaveHoles(copy: Copying): boolean {
  const { size, blocks } = copy.ends.sourceStat
  if (copy.options.sparse === 'never') return false
  return copy.options.sparse === 'always' || blocks * 512 < size
}

/**
 * Copies a part of the source by bytes, and leaves its holes out if it has any.
 *
 * @returns how far it came; before the end of `within` only where the file ended
 */
export function copyPart(copy: Copying, within: Extent): number {
  if (within.start >= within.end) return within.start
  if (!mayHaveHoles(copy)) return copyExtent(copy, within)
  copy.detection = 'map'
  let position = within.start
  for (const extent of dataExtents(copy, within)) {
    skip(copy, { start: position, end: extent.start })
    const scan = copy.options.sparse === 'always' || hidesHoles(copy, within, extent)
    position = scan ? copyExtentWithoutZeros(copy, extent) : copyExtent(copy, extent)
    if (position < extent.end) return position
  }
  skip(copy, { start: position, end: within.end })
  return within.end
}

/** Whether holes can be in an extent that the map calls data: the source must not become larger by being copied. */
function hidesHoles(copy: Copying, within: Extent, extent: DataExtent): boolean {
  if (!extent.mapped) return true
  const all = extent.start === within.start && extent.end === within.end
  return all && mapIsTrivial(copy)
}
