// The chain over one extent.

import type { ByteMethod, Copying } from './copying.ts'
import { NoMethodError } from './errors.ts'
import { steps } from './methods.ts'
import type { Extent } from './report.ts'

/**
 * Copies an extent by the methods that are allowed, each taking as much as it can and leaving the rest to the next.
 *
 * @returns how far it came, as an offset in the source; before the extent's end only at the end of the file
 * @throws {NoMethodError} when bytes are left that no allowed method takes
 */
export function copyExtent(copy: Copying, extent: Extent): number {
  let position = extent.start
  const idle: ByteMethod[] = []
  for (const method of copy.byteMethods) {
    const before = position
    position = copyUntilDeclined(copy, method, { start: position, end: extent.end })
    // A count of zero was no end of the file, as the next method shows: the call lied (procfs, overlayfs before 5.10).
    if (position > before) for (const each of idle.splice(0)) copy.note({ method: each, code: 'NOTHING' })
    if (position === extent.end) return position
    if (!copy.declines(method)) idle.push(method)
  }
  if (!copy.byteMethods.includes('read_write')) mustBeAtEnd(copy, position)
  return position
}

function copyUntilDeclined(copy: Copying, method: ByteMethod, extent: Extent): number {
  const { round } = copy.work
  let position = extent.start
  while (position < extent.end && !copy.declines(method)) {
    copy.work.check()
    const piece = { start: position, end: Math.min(extent.end, position + round) }
    const moved = stepOf(copy, method, piece)
    if (moved === 'again') continue
    if (moved === 0) break
    copy.count(method, moved)
    position += moved
  }
  return position
}

function stepOf(copy: Copying, method: ByteMethod, piece: Extent): number | 'again' {
  try {
    return steps[method](copy, piece)
  } catch (error) {
    return copy.takesAnswer(method, error) === 'again' ? 'again' : 0
  }
}

/** Only a read may say that the file ends here. */
function mustBeAtEnd(copy: Copying, position: number): void {
  const got = copy.kernel.pread(copy.ends.source, copy.work.buffer(1).subarray(0, 1), position)
  if (got > 0) throw new NoMethodError(copy.declined)
}
