// Hard-link groups of a plan.

import type { Name, Stat } from '../sys/index.ts'
import type { PlannedEntry } from './plan.ts'
import { type PlannedEntries, some } from './plannedEntries.ts'

/**
 * Hard-link groups are adopted whole or placed whole, else one name would stay behind on the old inode; and two groups
 * never adopt one inode, else what the image has apart would be one.
 */
export function placeGroupsWhole(entries: PlannedEntries): void {
  if (!some(entries, ({ fate }) => fate === 'adopt')) return
  const broken = brokenGroups(entries)
  const adopted = new Map<string, Name>()
  for (const { entry, fate, live } of entries) {
    if (fate !== 'adopt' || live === undefined || live.nlink < 2) continue
    const first = firstOf(entry)
    if (broken.has(first)) continue
    const inode = `${live.dev} ${live.ino}`
    const group = adopted.get(inode) ?? first
    if (group === first) adopted.set(inode, first)
    else broken.add(first)
  }
  let index = 0
  for (const planned of entries) {
    if (planned.fate === 'adopt' && broken.has(firstOf(planned.entry)))
      entries.set(index, { ...planned, fate: 'refresh' })
    index++
  }
}

/** Groups, by their first names, whose names are not all adopted, or are not one inode now. */
function brokenGroups(entries: PlannedEntries): Set<Name> {
  const firsts = new Map<Name, Stat | undefined>()
  const broken = new Set<Name>()
  for (const { entry, fate, live } of entries) {
    const first = firstOf(entry)
    if (entry.linkTo === undefined) firsts.set(first, live)
    const firstLive = firsts.get(first)
    if (fate !== 'adopt' || firstLive?.ino !== live?.ino || firstLive?.dev !== live?.dev) broken.add(first)
  }
  return broken
}

function firstOf({ name, linkTo }: PlannedEntry['entry']): Name {
  return linkTo ?? name
}
