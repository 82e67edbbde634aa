// Small files: an installer copies them by the ten thousand, and what they cost is calls and objects, not bytes.

import type { Fd, Stat } from '../sys/index.ts'
import type { TargetEnd } from './ends.ts'
import { SourceChangedError } from './errors.ts'
import type { CopyOptions, CopyReport } from './report.ts'
import { isAnother } from './settle.ts'
import { smallSize, type Workspace } from './workspace.ts'

/**
 * Whether a file goes in one read and one write, without reflink and without a look at its holes.
 *
 * Sharing 4 KiB is dearer than copying them (XFS: by 4 to 5 µs), and each call more is seen.
 */
export function isSmall(stat: Stat, target: TargetEnd, { methods, reflink, sparse }: CopyOptions): boolean {
  if (stat.size > smallSize || stat.blocks * 512 < stat.size || stat.type !== 'file') return false
  if (!target.resizable || target.appends || Array.isArray(methods)) return false
  return reflink !== 'always' && sparse !== 'always'
}

/**
 * Copies a small file to an empty target.
 *
 * @returns undefined when it is not as long as it says; nothing has been written then
 */
export function copySmall(
  work: Workspace,
  source: { readonly fd: Fd; readonly stat: Stat },
  target: Fd,
  options: CopyOptions,
): CopyReport | undefined {
  const { kernel } = work
  const { size } = source.stat
  work.check()
  // The buffer has room for one byte more, which shows a file that is longer than it says, without another call.
  const buffer = work.smallBuffer()
  if (kernel.pread(source.fd, buffer, 0) !== size) return undefined
  for (let written = 0; written < size; ) {
    const rest = written === 0 ? buffer : buffer.subarray(written)
    const count = kernel.pwrite(target, rest, written, size - written)
    if (count === 0) return undefined // the general way knows how to fail
    written += count
  }
  work.moved(size)
  options.onContents?.(buffer.subarray(0, size))
  const changed = options.onChange !== 'ignore' && isAnother(source.stat, kernel.fstat(source.fd))
  if (changed && options.onChange === 'fail') throw new SourceChangedError(size, kernel.fstat(source.fd).size)
  return {
    bytes: size,
    bytesByMethod: size === 0 ? {} : { read_write: size },
    holes: 0,
    detection: 'none',
    reflinked: false,
    changed,
    declined: [],
  }
}
