// What the two descriptors of a copy are, and what follows from it.

import { type Fd, type Kernel, O_APPEND, O_NONBLOCK, type Stat, statWith } from '../sys/index.ts'
import type { Ends } from './copying.ts'
import { NotCopyableError, SameFileError } from './errors.ts'
import type { CopyOptions } from './report.ts'

/** A source, and whether it has positions. */
export interface SourceEnd {
  readonly source: Fd
  readonly sourceStat: Stat
  readonly streams: boolean
}

/** All of a copy's ends but the source and the shift. */
export type TargetEnd = Omit<Ends, 'source' | 'sourceStat' | 'shift'> & { readonly deviceSize?: number }

/** @throws {NotCopyableError} for what has no contents */
export function sourceEnd(kernel: Kernel, source: Fd, known: Stat | undefined): SourceEnd {
  const stat = known ?? kernel.fstat(source)
  if (stat.type === 'file') return { source, sourceStat: stat, streams: false }
  if (stat.type === 'directory' || stat.type === 'symlink') throw new NotCopyableError('source', stat.type)
  if (stat.type !== 'block') return { source, sourceStat: stat, streams: true }
  return { source, sourceStat: statWith(stat, { size: kernel.blockDeviceSize(source) }), streams: false }
}

/**
 * Looks at a target, which keeps what it has.
 *
 * @throws {NotCopyableError} for what cannot be written
 */
export function targetEnd(kernel: Kernel, target: Fd, options: CopyOptions): TargetEnd & { readonly stat?: Stat } {
  const { freshOn } = options
  if (freshOn !== undefined) return { target, targetDevice: freshOn, oldEnd: 0, resizable: true, appends: false }
  const stat = kernel.fstat(target)
  if (stat.type === 'directory' || stat.type === 'symlink') throw new NotCopyableError('target', stat.type)
  const flags = kernel.getStatusFlags(target)
  const common = { target, targetDevice: stat.dev, stat }
  if (stat.type === 'file') {
    return { ...common, oldEnd: stat.size, resizable: true, appends: (flags & O_APPEND) !== 0 }
  }
  if (stat.type === 'block') {
    const deviceSize = kernel.blockDeviceSize(target)
    return { ...common, oldEnd: deviceSize, resizable: false, appends: false, deviceSize }
  }
  // Nothing can be left out of a stream, so all of it counts as old data, and holes are written.
  const sequential = (flags & O_NONBLOCK) === 0 ? 'waits' : 'returns'
  return { ...common, oldEnd: Number.MAX_SAFE_INTEGER, resizable: false, appends: false, sequential }
}

/** Empties a target that is to become another file's copy. @throws {SameFileError} before anything is changed */
export function emptied(kernel: Kernel, end: TargetEnd & { readonly stat?: Stat }, source: Stat): TargetEnd {
  if (end.stat === undefined) return end
  if (isSameFile(end.stat, source)) throw new SameFileError('source and target')
  if (!end.resizable) return end
  // Truncating to 0 what is empty already would make close() write the file back at once (ext4, btrfs).
  if (end.oldEnd > 0) kernel.ftruncate(end.target, 0)
  return { ...end, oldEnd: 0 }
}

/** Whether two stats are of one inode. */
export function isSameFile(one: Stat, other: Stat): boolean {
  return one.dev === other.dev && one.ino === other.ino
}
