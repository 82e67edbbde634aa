// What a merge did, or would do, in numbers and names.

import type { MergeOptions, MergeReport } from './options.ts'
import type { Plan, PlannedEntry } from './plan.ts'
import { changedNames } from './removalSteps.ts'

/** A plan as a report, of which nothing has been done yet. */
export function describePlan(plan: Plan, { listChanged }: Pick<MergeOptions, 'listChanged'>): MergeReport {
  const packages = plan.packages.map(({ packageName, entries }) => {
    const removed = plan.removals.filter((removal) => removal.packageName === packageName).length
    return { package: packageName, entries: entries.length, counts: countFates(entries, removed) }
  })
  const all = new Map<string, number>()
  for (const { counts } of packages) for (const [what, count] of Object.entries(counts)) add(all, what, count)
  if (plan.removals.length > 0) all.set('remove', plan.removals.length)
  return {
    packages,
    entries: packages.reduce((sum, { entries }) => sum + entries, 0),
    counts: Object.fromEntries(all),
    kept: plan.kept,
    bytesByMethod: {},
    holes: 0,
    leftOvers: [],
    ...(listChanged === true ? { changed: changedNames(plan) } : {}),
  }
}

function countFates(entries: readonly PlannedEntry[], removed: number): Record<string, number> {
  const counts = new Map<string, number>()
  for (const { fate, live } of entries) add(counts, fate === 'place' && live !== undefined ? 'replace' : fate, 1)
  if (removed > 0) counts.set('remove', removed)
  return Object.fromEntries(counts)
}

function add(counts: Map<string, number>, what: string, count: number): void {
  counts.set(what, (counts.get(what) ?? 0) + count)
}
