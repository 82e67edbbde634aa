// Whether a live object has the time that it was given.

import type { Stat } from '../sys/index.ts'

const second = 1_000_000_000n
/** In what units a file system may keep times: ext4 with inodes of 128 bytes has whole seconds, FAT every other one. */
const coarseUnits = [second, 2n * second]

/**
 * Whether an object's mtime is one that was asked for, or as much of it as its file system can hold: Linux rounds down,
 * in silence. Its ctime, which nobody can set, shows that the file system is of that kind.
 */
export function hasTime({ mtimeNs, ctimeNs }: Pick<Stat, 'mtimeNs' | 'ctimeNs'>, wantedNs: bigint): boolean {
  if (mtimeNs === wantedNs) return true
  const lost = wantedNs - mtimeNs
  return coarseUnits.some((unit) => mtimeNs % unit === 0n && ctimeNs % second === 0n && lost >= 0n && lost < unit)
}
