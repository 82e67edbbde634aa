// A live object against what its package's record says of it.

import type { Place } from '../movefile/index.ts'
import type { Stat } from '../sys/index.ts'
import type { RecordedEntry } from './entry.ts'
import { type Comparer, sameXattrs } from './live.ts'
import type { Root } from './root.ts'

/** What can differ, in the order of `rpm -V`'s columns as far as it has them. */
export const differences = ['size', 'mode', 'digest', 'device', 'link', 'owner', 'group', 'mtime', 'xattrs'] as const

/** One way in which a live object is not what was recorded; `missing` and `type` stand alone. */
export type Difference = (typeof differences)[number] | 'type' | 'missing'

/** How closely to look. */
export interface Closeness {
  /** Whether payloads are read and digested. */
  readonly digests: boolean
}

/** Everything in which the live object under `place` differs from its record. */
export function compareRecorded(
  comparer: Comparer,
  entry: RecordedEntry,
  live: { place: Place; stat: Stat; root: Root },
  { digests }: Closeness,
): Difference[] {
  const { place, stat, root } = live
  if (stat.type !== entry.type) return ['type']
  const isFile = entry.type === 'file'
  const target = stat.type === 'symlink' ? root.kernel.readlinkat(place.directory, place.name) : undefined
  const isAnotherSize = isFile && stat.size !== entry.size
  const checks: Readonly<Record<(typeof differences)[number], () => boolean>> = {
    size: () => isAnotherSize,
    mode: () => entry.type !== 'symlink' && stat.mode !== entry.mode,
    digest: () =>
      isFile && digests && entry.sha256 !== undefined && (isAnotherSize || comparer.digest(place) !== entry.sha256),
    device: () =>
      entry.rdev !== undefined && (entry.rdev.major !== stat.rdev.major || entry.rdev.minor !== stat.rdev.minor),
    link: () => target !== entry.target,
    owner: () => stat.uid !== entry.uid,
    group: () => stat.gid !== entry.gid,
    mtime: () => entry.type !== 'directory' && stat.mtimeNs !== entry.mtimeNs,
    xattrs: () => !sameXattrs(comparer.attributesAt(place), entry.xattrs),
  }
  return differences.filter((difference) => checks[difference]())
}

/**
 * Whether an object's contents are no longer what was recorded: then it is somebody's work, and stays.
 *
 * Without a digest in the record the mtime has to tell.
 */
export function isEdited(found: readonly Difference[], entry: RecordedEntry): boolean {
  const telling: Difference[] = ['type', 'size', 'digest', 'device', 'link']
  if (entry.type === 'file' && entry.sha256 === undefined) telling.push('mtime')
  return found.some((difference) => telling.includes(difference))
}
