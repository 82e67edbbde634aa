// Hard-link groups of a plan.

import type { Name, Stat } from '../sys/index.ts'
import type { PlannedEntry } from './plan.ts'

/**
 * Hard-link groups are adopted whole or placed whole, else one name would stay behind on the old inode; and two groups
 * never adopt one inode, else what the image has apart would be one.
 */
export function placeGroupsWhole(entries: readonly PlannedEntry[]): readonly PlannedEntry[] {
  if (!entries.some(({ fate }) => fate === 'adopt')) return entries
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
  return entries.map((planned) =>
    planned.fate === 'adopt' && broken.has(firstOf(planned.entry)) ? { ...planned, fate: 'refresh' } : planned,
  )
}

/** Groups, by their first names, whose names are not all adopted, or are not one inode now. */
function brokenGroups(entries: readonly PlannedEntry[]): Set<Name> {
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
