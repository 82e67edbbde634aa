// What a record does not know, learned from the live object.

import { baseName, parentName, type Stat } from '../sys/index.ts'
import type { RecordedEntry, Unknown } from './entry.ts'
import type { Root } from './root.ts'

/** What is not learned: which attributes the package brought, and that it may be absent. */
const stays: ReadonlySet<Unknown> = new Set(['missing', 'xattrs'])

/** An entry with what is unknown of it as it is now; of what is not there, or is of another type, nothing is learned. */
export function withLiveFacts(root: Root, entry: RecordedEntry): RecordedEntry {
  const { unknown, ...known } = entry
  if (unknown === undefined) return entry
  const directory = root.findDirectory(parentName(entry.name))
  const live = directory && root.kernel.findat(directory.fd, baseName(entry.name))
  if (directory === undefined || live === undefined) return entry
  if (live.type !== entry.type && !unknown.has('type')) return entry
  const isDevice = live.type === 'character' || live.type === 'block'
  const still = new Set([...unknown].filter((fact) => stays.has(fact)))
  return {
    ...known,
    type: live.type,
    ...(unknown.has('owner') ? { uid: live.uid } : {}),
    ...(unknown.has('group') ? { gid: live.gid } : {}),
    ...(unknown.has('mode') ? { mode: live.mode } : {}),
    ...(unknown.has('mtime') || isSameSecond(unknown, entry, live) ? { mtimeNs: live.mtimeNs } : {}),
    ...(unknown.has('size') && live.type === 'file' ? { size: live.size } : {}),
    ...(unknown.has('device') && isDevice ? { rdev: live.rdev } : {}),
    ...(unknown.has('link') && live.type === 'symlink'
      ? { target: root.kernel.readlinkat(directory.fd, baseName(entry.name)) }
      : {}),
    ...(still.size > 0 ? { unknown: still } : {}),
  }
}

function isSameSecond(unknown: ReadonlySet<Unknown>, entry: RecordedEntry, live: Stat): boolean {
  return unknown.has('nanoseconds') && entry.mtimeNs / 1_000_000_000n === live.mtimeNs / 1_000_000_000n
}
