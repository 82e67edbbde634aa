// Hard-link groups of a plan.

import type { Name } from '../sys/index.ts'
import type { PlannedEntry } from './plan.ts'

/** Hard-link groups are adopted whole or placed whole: else one name would stay behind on the old inode. */
export function placeGroupsWhole(entries: readonly PlannedEntry[]): PlannedEntry[] {
  const inodes = new Map<Name, bigint | undefined>()
  const broken = new Set<Name>()
  for (const { entry, fate, live } of entries) {
    const first = entry.linkTo ?? entry.name
    if (entry.linkTo === undefined) inodes.set(first, live?.ino)
    if (fate !== 'adopt' || inodes.get(first) !== live?.ino) broken.add(first)
  }
  return entries.map((planned) => {
    const first = planned.entry.linkTo ?? planned.entry.name
    return planned.fate === 'adopt' && broken.has(first) ? { ...planned, fate: 'refresh' } : planned
  })
}
