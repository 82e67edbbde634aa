// What a merge will do or did, in numbers and names.

import { displayName, type Name } from '../sys/index.ts'
import type { Save } from './config/saves.ts'
import { keptNames } from './obsolete.ts'
import type { MergePlan, MergeReport, OfferedUpdate, PackageReport, SavedFile, TransactionOptions } from './options.ts'
import { type Changes, entriesOf, type PlannedEntry } from './plan.ts'
import type { EntryList } from './plannedEntries.ts'
import { type EncodedSteps, encodeSteps } from './planSteps.ts'
import { changedNames, endedNames } from './removalSteps.ts'
import { restoredNames } from './restorations.ts'
import { triggeredBy } from './triggers.ts'

/** A plan on its way to the caller's thread. */
export interface EncodedPlan extends Omit<MergePlan, 'steps'> {
  readonly steps: EncodedSteps
}

/** A plan for the caller. */
export function encodePlan(plan: Changes, { triggers }: Pick<TransactionOptions, 'triggers'>): EncodedPlan {
  return { ...countPlan(plan), triggered: triggeredBy(plan, triggers), steps: encodeSteps(plan) }
}

/** What a report says of a plan that was carried out. */
export function describePlan(
  plan: Changes,
  { listChanged }: Pick<TransactionOptions, 'listChanged'>,
): Pick<
  MergeReport,
  'packages' | 'entries' | 'counts' | 'notReplaced' | 'backedUp' | 'restored' | 'kept' | 'updates' | 'saved' | 'changed'
> {
  const changed = listChanged === true ? { changed: endedNames(changedNames(plan)) } : {}
  const backedUp: string[] = []
  const updates: OfferedUpdate[] = []
  for (const planned of entriesOf(plan)) {
    if (planned.isUnowned) backedUp.push(displayName(planned.liveName))
    if (planned.update !== undefined) updates.push(describeUpdate(planned, planned.update))
  }
  for (const { isUnowned, liveName } of plan.removals) if (isUnowned) backedUp.push(displayName(liveName))
  const restored = restoredNames(plan)
  return {
    ...countPlan(plan),
    backedUp,
    restored,
    kept: keptNames(plan.kept),
    updates,
    saved: describeSaves(plan.config.saves),
    ...changed,
  }
}

function describeUpdate({ entry, from }: PlannedEntry, update: Name): OfferedUpdate {
  return { package: from.packageName, name: displayName(entry.name), update: displayName(update) }
}

function countPlan(plan: Changes): Omit<MergePlan, 'steps' | 'triggered'> {
  const removed = new Map<string, number>()
  for (const { packageName } of plan.removals) add(removed, packageName, 1)
  const packages = plan.packages.map(({ packageName, entries }): PackageReport => {
    return { package: packageName, entries: entries.length, counts: countFates(entries, removed.get(packageName) ?? 0) }
  })
  const all = new Map<string, number>()
  for (const { counts } of packages) for (const [what, count] of Object.entries(counts)) add(all, what, count)
  if (plan.removals.length > 0) all.set('remove', plan.removals.length)
  const entries = packages.reduce((sum, each) => sum + each.entries, 0)
  const { notReplaced = [] } = plan
  return { packages, entries, counts: Object.fromEntries(all), ...(notReplaced.length > 0 && { notReplaced }) }
}

function countFates(entries: EntryList, removed: number): Record<string, number> {
  const counts = new Map<string, number>()
  for (const { fate, live } of entries) add(counts, fate === 'place' && live !== undefined ? 'replace' : fate, 1)
  if (removed > 0) counts.set('remove', removed)
  return Object.fromEntries(counts)
}

function add(counts: Map<string, number>, what: string, count: number): void {
  counts.set(what, (counts.get(what) ?? 0) + count)
}

/** Files that go to other names, as a report has them. */
export function describeSaves(saves: readonly Save[]): SavedFile[] {
  return saves.map(({ from, to }) => ({ name: displayName(from), saved: displayName(to) }))
}
