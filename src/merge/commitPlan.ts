// A plan as a transaction: what is staged, the records that are written, and the packages that are forgotten.

import { stageSaves } from './config/saves.ts'
import { BroughtConfig, makeLeftDirectory, olderBases, stageBases, stageLeft } from './config/stageConfig.ts'
import type { CopyTotals } from './copyTotals.ts'
import type { RecordedEntry } from './entry.ts'
import { withGhosts } from './ghosts.ts'
import { jobsOf } from './jobs.ts'
import type { Journal } from './journal.ts'
import { bytesOfPlan } from './journalRoom.ts'
import { KeptInodes } from './keptInodes.ts'
import { LostList, type LostOf } from './lostMetadata.ts'
import type { Merging } from './mergeEngine.ts'
import type { MergeReport } from './options.ts'
import { withoutNames } from './ownership.ts'
import { entriesOf, type Plan, type PlannedEntry } from './plan.ts'
import { some } from './plannedEntries.ts'
import { recordBytes } from './record.ts'
import { directoriesOf } from './removalSteps.ts'
import { makeDirectories } from './root.ts'
import { type StageInput, stagePlan } from './stage.ts'
import { forgetPackage, recordDirectories, stageRecord } from './stageRecord.ts'
import type { StagingArea } from './stagingArea.ts'
import { parentsDirectory, stageParents } from './stateParents.ts'
import { runTransaction, type StagedStep } from './transaction.ts'
import { noteNames } from './writtenNames.ts'

/** Makes a plan true as one transaction; what it says is known only afterwards. */
export function commitPlan(
  merging: Merging,
  plan: Plan,
): Pick<MergeReport, 'transaction' | 'leftOvers' | 'notes' | 'lost' | 'bytesByMethod' | 'holes'> {
  const { session, options, meter, spareThreads } = merging
  const { root, state } = session
  const packages = plan.packages.map(({ packageName }) => packageName)
  const own = packages.map((name) => makeDirectories(root, state.packageDirectory(name)).name)
  const replaced = goneRecords(merging, packages)
  const others = [...replaced, ...plan.taken.keys()]
  const directories = [
    ...directoriesOf(plan),
    ...own,
    ...others.flatMap((name) => recordDirectories(session, name)),
    ...makeLeftDirectory(session, plan.config),
    ...parentsDirectory(state, plan.removals),
  ]
  const expected = plan.packages.reduce((sum, { entries }) => sum + entries.length, 0)
  const totals: CopyTotals = { bytesByMethod: {}, holes: 0 }
  const splits: string[] = []
  const note = (text: string) => void splits.push(text)
  const losses = new LostList()
  for (const { lost } of plan.packages) for (const each of lost) losses.add(each)
  const lost = (of: LostOf) => losses.add(of)
  const stage = (area: StagingArea, journal: Journal) =>
    stageAll(merging, plan, { area, journal, totals, replaced, note, lost })
  meter.expect(expected)
  const { id, leftOvers, notes } = runTransaction(
    state,
    {
      packages,
      directories,
      keepsUnowned: some(entriesOf(plan), isKept) || plan.removals.some(isKept),
      expectedBytes: bytesOfPlan(plan, directories),
      stage,
      keepUndo: options.keepUndo,
    },
    options.durability ?? 'transaction',
    (phase) => {
      if (phase === 'flush') spareThreads.release() // they have listed what is staged
      meter.enter(phase)
    },
  )
  return { ...totals, transaction: id, leftOvers, notes: [...notes, ...splits], lost: losses.all }
}

function isKept({ isUnowned }: Pick<PlannedEntry, 'isUnowned'>): boolean {
  return isUnowned === true
}

/** The packages that are replaced by others, and so lose their records. */
function goneRecords({ session, options }: Merging, packages: readonly string[]): string[] {
  const replaced = new Set(options.replaces)
  return [...replaced].filter((name) => !packages.includes(name) && session.state.findRecord(name) !== undefined)
}

/** Payload first; then the records of the new packages, of those that lose names, and of those that go. */
function stageAll(
  { engine, session, options, meter, written, spareThreads }: Merging,
  plan: Plan,
  {
    area,
    journal,
    totals,
    replaced,
    note,
    lost,
  }: Pick<StageInput, 'totals' | 'note' | 'lost'> & {
    area: StagingArea
    journal: Journal
    replaced: readonly string[]
  },
): StagedStep[] {
  const { root, state } = session
  const going = new Set([...plan.packages.map(({ packageName }) => packageName), ...replaced])
  const input = {
    ...session,
    kept: new KeptInodes(session, going, entriesOf(plan)),
    digests: options.digest !== 'none',
    totals,
    beforeEntry: () => engine.cancel.check(),
    onEntry: (bytes: number) => meter.addEntry(bytes),
    note,
    lost,
    engine,
    jobs: jobsOf(options.jobs),
    spareThreads,
  }
  const brought = new BroughtConfig(session, plan)
  const saves = stageSaves(session, area, plan.config.saves)
  const { steps, recordedOf } = stagePlan(input, plan, area, journal)
  meter.finish()
  meter.enter('record')
  const write = (packageName: string, bytes: Iterable<Buffer>) =>
    stageRecord(root, area, root.directory(recordDirectories(session, packageName)[0]), bytes)
  const from = [...going, ...plan.taken.keys()]
  return [
    ...saves,
    ...steps,
    ...plan.packages.flatMap((planned) => {
      const { packageName, entries, image } = planned
      const configured: RecordedEntry[] = []
      const all = withGhosts(brought.recordedEntries(entries, recordedOf, configured), planned.ghosts)
      const recorded = noteNames(written, planned, all)
      const erased = plan.erased.get(packageName) ?? []
      const record = write(packageName, recordBytes({ packageName, entries: recorded, leftOut: image.leftOut, erased }))
      const bases = brought.basesOf(configured, () => olderBases(session, from))
      return [record, ...stageBases(session, area, packageName, bases)]
    }),
    ...stageLeft(session, area, plan.config, from),
    ...stageParents(state, area, plan.removals),
    ...[...plan.taken].map(([name, names]) => write(name, recordBytes(withoutNames(state.record(name), names)))),
    ...replaced.flatMap((name) => forgetPackage(session, area, name)),
  ]
}
