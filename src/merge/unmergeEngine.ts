// Unmerging, synchronous, for the engine's thread.

import type { EngineContext } from '../sys/engineThread.ts'
import { baseName, type Name, parentName } from '../sys/index.ts'
import { compareRecorded, isEdited } from './compareRecorded.ts'
import type { ConfigPlan } from './config/configPlan.ts'
import { leftAfter, readLeft } from './config/left.ts'
import { stageSaves } from './config/saves.ts'
import { recordedStyle, settleRemovals } from './config/settleRemovals.ts'
import { makeLeftDirectory, stageLeft } from './config/stageConfig.ts'
import type { RecordedEntry } from './entry.ts'
import { bytesOfSteps } from './journalRoom.ts'
import { KeptInodes } from './keptInodes.ts'
import { askApproval } from './mergeEngine.ts'
import { describeSaves, type EncodedPlan, encodePlan } from './mergeReport.ts'
import { findObsolete, type Kept, keptNames, type RecordedName, type Removal } from './obsolete.ts'
import { findObstacles } from './obstacles.ts'
import type { UnmergeOptions, UnmergeReport } from './options.ts'
import { type Owners, withOwners } from './owners.ts'
import { checkPackageName } from './packageName.ts'
import type { Changes } from './plan.ts'
import { Problems } from './problems.ts'
import { ProgressMeter } from './progress.ts'
import { changedNames, directoriesOf, endedNames, removalSteps } from './removalSteps.ts'
import { findRestorations, restoredNames } from './restorations.ts'
import { changing, reading, type Session } from './session.ts'
import { Spellings } from './spellings.ts'
import { forgetPackage, recordDirectories } from './stageRecord.ts'
import type { StagingArea } from './stagingArea.ts'
import { parentsDirectory, stageParents, strayParents } from './stateParents.ts'
import { carriedOut } from './stayedDirectories.ts'
import { runTransaction } from './transaction.ts'
import { triggeredBy } from './triggers.ts'

/** What an unmerge works with. */
interface Unmerging {
  readonly engine: EngineContext
  readonly session: Session
  readonly options: UnmergeOptions
  readonly meter: ProgressMeter
  readonly packages: readonly string[]
}

/** Removes packages as one transaction: what is no longer as recorded stays, and is reported. */
export function unmergePackages(engine: EngineContext, options: UnmergeOptions): UnmergeReport {
  return changing(engine, options, (session) => {
    const unmerging = prepare(engine, session, options)
    return withOwners(session.state, 'changing', (owners) => {
      const plan = planRemoval(unmerging, owners)
      askApproval(engine, () => encodePlan(plan, options))
      return commitRemoval(unmerging, plan)
    })
  })
}

/** What unmergePackages would do; nothing is written. */
export function planUnmerge(engine: EngineContext, options: UnmergeOptions): EncodedPlan {
  return reading(engine, options, (session) =>
    withOwners(session.state, 'reading', (owners) =>
      encodePlan(planRemoval(prepare(engine, session, options), owners), options),
    ),
  )
}

function prepare(engine: EngineContext, session: Session, options: UnmergeOptions): Unmerging {
  const packages = [...new Set(options.packages.map(checkPackageName))]
  return { engine, session, options, packages, meter: new ProgressMeter(engine) }
}

function planRemoval({ engine, session, options, meter, packages }: Unmerging, owners: Owners): Changes {
  const { state, root } = session
  const records = packages.map((packageName) => state.record(packageName))
  const recorded = [
    ...strayParents(state, packages[0] ?? ''),
    ...records.flatMap(({ packageName, entries }) => entries.map((entry) => ({ packageName, entry }))),
  ]
  meter.enter('plan')
  meter.expect(recorded.length)
  const found = findObsolete({ root, owners, spellings: new Spellings(root, owners) }, new Set(packages), recorded)
  const purge = options.purge === true
  const isTaken = (name: Name) => owners.of(name).length > 0
  const settled = settleRemovals({ ...session, styleOf: recordedStyle, purge, isTaken }, found)
  const kept: Kept[] = [...found.kept, ...settled.kept]
  const removals = settled.removals.filter((removal) => {
    engine.cancel.check()
    meter.addEntry(removal.entry.size)
    const edited = removal.entry.protection === undefined && isRemovalEdited(session, removal)
    if (edited) kept.push({ ...removal, reason: 'edited' })
    return !edited
  })
  const config: ConfigPlan = { saves: settled.saves, ...leftOf(readLeft(state), settled.left, recorded, purge) }
  const entries = packages.map((packageName) => ({ packageName, entries: [] }))
  const restorations = findRestorations(state, { removals, kept, freed: records.flatMap(({ erased }) => erased ?? []) })
  const plan: Changes = { packages: entries, removals, kept, config, restorations }
  const problems = new Problems()
  findObstacles(session, plan, problems)
  problems.raise(packages)
  return plan
}

function commitRemoval({ session, options, meter, packages }: Unmerging, plan: Changes): UnmergeReport {
  const { removals, config } = plan
  const triggered = triggeredBy(plan, options.triggers) // a pattern that is none is refused before anything is done
  const directories = [
    ...directoriesOf(plan),
    ...packages.flatMap((name) => recordDirectories(session, name)),
    ...makeLeftDirectory(session, config),
    ...parentsDirectory(session.state, removals),
  ]
  const stage = (area: StagingArea) => [
    ...stageSaves(session, area, config.saves),
    ...stageLeft(session, area, config, packages),
    ...stageParents(session.state, area, removals),
    ...removalSteps(plan, area, new KeptInodes(session, new Set(packages))),
    ...packages.flatMap((name) => forgetPackage(session, area, name)),
  ]
  const work = {
    packages,
    directories,
    expectedBytes: bytesOfSteps(removals.length),
    stage,
    keepUndo: options.keepUndo,
  }
  const { id, leftOvers, notes } = runTransaction(session.state, work, options.durability ?? 'transaction', (phase) =>
    meter.enter(phase),
  )
  const done = carriedOut(session.root, plan)
  const changed = options.listChanged === true ? { changed: endedNames(changedNames(done)) } : {}
  return {
    packages,
    removed: done.removals.length,
    restored: restoredNames(plan),
    triggered,
    kept: keptNames(done.kept),
    saved: describeSaves(config.saves),
    ...changed,
    transaction: id,
    leftOvers,
    notes,
  }
}

function isRemovalEdited({ comparer, root }: Session, { entry, liveName, live }: Removal): boolean {
  const place = { directory: root.directory(parentName(liveName)).fd, name: baseName(liveName) }
  return isEdited(compareRecorded(comparer, entry, { place, stat: live, root }, { digests: true }), entry)
}

/** A purge forgets what was remembered of its names, too. */
function leftOf(
  before: ReturnType<typeof readLeft>,
  added: readonly RecordedEntry[],
  recorded: readonly RecordedName[],
  purge: boolean,
): Pick<ConfigPlan, 'left'> {
  const names = new Set(purge ? recorded.map(({ entry }) => entry.name) : [])
  const left = leftAfter(before, added, (name) => names.has(name))
  return left === undefined ? {} : { left }
}
