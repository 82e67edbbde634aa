// A live object against what its package's record says of it.

import { createHash } from 'node:crypto'
import type { Place } from '../movefile/index.ts'
import { nameBytes, type Stat } from '../sys/index.ts'
import { type Difference, differences } from './differences.ts'
import type { Digest, RecordedEntry, Unknown, Xattrs } from './entry.ts'
import { type Comparer, sameXattrs } from './live.ts'
import type { Root } from './root.ts'
import { hasTime } from './times.ts'

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
  const unknown = entry.unknown ?? nothing
  if (stat.type !== entry.type && !unknown.has('type')) return ['type']
  const isFile = stat.type === 'file'
  const target = stat.type === 'symlink' ? root.kernel.readlinkat(place.directory, place.name) : undefined
  const isAnotherSize = isFile && !unknown.has('size') && stat.size !== entry.size
  const recorded = digests ? digestOf(entry) : undefined
  const isSameTime = () =>
    unknown.has('nanoseconds')
      ? wholeSeconds(stat.mtimeNs) === wholeSeconds(entry.mtimeNs)
      : hasTime(stat, entry.mtimeNs)
  const checks: Readonly<Record<(typeof differences)[number], () => boolean>> = {
    size: () => isAnotherSize,
    mode: () => stat.type !== 'symlink' && stat.mode !== entry.mode,
    digest: () => recorded !== undefined && (isAnotherSize || !hasDigest(recorded, { comparer, place, stat, target })),
    device: () =>
      entry.rdev !== undefined && (entry.rdev.major !== stat.rdev.major || entry.rdev.minor !== stat.rdev.minor),
    link: () => target !== entry.target,
    owner: () => stat.uid !== entry.uid,
    group: () => stat.gid !== entry.gid,
    mtime: () => entry.type !== 'directory' && !isSameTime(),
    xattrs: () => !hasXattrs(entry, () => comparer.attributesAt(place)),
  }
  return differences.filter((difference) => !isUnknown(unknown, difference) && checks[difference]())
}

const nothing: ReadonlySet<Unknown> = new Set()

/** Some of the attributes may be known although not all are, so they are always compared. */
function isUnknown(unknown: ReadonlySet<string>, difference: Difference): boolean {
  return difference !== 'xattrs' && unknown.has(difference)
}

function wholeSeconds(timeNs: bigint): bigint {
  return timeNs - (((timeNs % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n)
}

/** What an entry's contents are recognised by; undefined when nothing was digested. */
export function digestOf({ sha256, foreignDigest }: RecordedEntry): Digest | undefined {
  return sha256 === undefined ? foreignDigest : { algorithm: 'sha256', value: sha256 }
}

interface LiveContents {
  readonly comparer: Comparer
  readonly place: Place
  readonly stat: Stat
  readonly target: string | undefined
}

/** apk digests a symlink's target; nothing else has contents to digest. */
function hasDigest({ algorithm, value }: Digest, { comparer, place, stat, target }: LiveContents): boolean {
  if (target !== undefined) return createHash(algorithm).update(nameBytes(target)).digest('hex').startsWith(value)
  return stat.type === 'file' && comparer.digest(place, algorithm).startsWith(value)
}

/** Whether an object has the attributes of its record: these only, or, where others are unknown, these at least. */
function hasXattrs({ unknown, xattrs }: RecordedEntry, live: () => Xattrs): boolean {
  if (unknown?.has('xattrs') !== true) return sameXattrs(live(), xattrs)
  if (xattrs.length === 0) return true
  const names = new Set(xattrs.map(({ name }) => name))
  return sameXattrs(
    live().filter(({ name }) => names.has(name)),
    xattrs,
  )
}

/**
 * Whether an object's contents are no longer what was recorded: then it is somebody's work, and stays.
 *
 * Without a digest in the record the mtime has to tell.
 */
export function isEdited(found: readonly Difference[], entry: RecordedEntry): boolean {
  const telling: Difference[] = ['type', 'size', 'digest', 'device', 'link']
  if (entry.type === 'file' && digestOf(entry) === undefined) telling.push('mtime')
  return found.some((difference) => telling.includes(difference))
}
