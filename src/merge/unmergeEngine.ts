// Unmerging, synchronous, for the engine's thread.

import type { EngineContext } from '../sys/engineThread.ts'
import { baseName, parentName } from '../sys/index.ts'
import { compareRecorded, isEdited } from './compareRecorded.ts'
import { KeptInodes } from './keptInodes.ts'
import { askApproval } from './mergeEngine.ts'
import { type EncodedPlan, encodePlan } from './mergeReport.ts'
import { findObsolete, type Kept, keptNames, type Removal } from './obsolete.ts'
import { findObstacles } from './obstacles.ts'
import type { UnmergeOptions, UnmergeReport } from './options.ts'
import { type Owners, withOwners } from './owners.ts'
import { checkPackageName } from './packageName.ts'
import type { Changes } from './plan.ts'
import { Problems } from './problems.ts'
import { ProgressMeter } from './progress.ts'
import { changedNames, directoriesOf, removalSteps } from './removalSteps.ts'
import { findRestorations, restoredNames } from './restorations.ts'
import { changing, reading, type Session } from './session.ts'
import { forgetPackage, recordDirectories } from './stageRecord.ts'
import type { StagingArea } from './stagingArea.ts'
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

function planRemoval({ engine, session, meter, packages }: Unmerging, owners: Owners): Changes {
  const { state, root } = session
  const recorded = packages.flatMap((packageName) =>
    state.record(packageName).entries.map((entry) => ({ packageName, entry })),
  )
  meter.enter('plan')
  meter.expect(recorded.length)
  const found = findObsolete({ root, owners }, new Set(packages), recorded, () => false)
  const kept: Kept[] = [...found.kept]
  const removals = found.removals.filter((removal) => {
    engine.cancel.check()
    meter.addEntry(removal.entry.size)
    const edited = isRemovalEdited(session, removal)
    if (edited) kept.push({ ...removal, reason: 'edited' })
    return !edited
  })
  const plan: Changes = {
    packages: packages.map((packageName) => ({ packageName, entries: [] })),
    removals,
    kept,
    restorations: findRestorations(state, { removals, kept }),
  }
  const problems = new Problems()
  findObstacles(session, plan, problems)
  problems.raise(packages)
  return plan
}

function commitRemoval({ session, options, meter, packages }: Unmerging, plan: Changes): UnmergeReport {
  const { removals } = plan
  const directories = [...directoriesOf(plan), ...packages.flatMap((name) => recordDirectories(session, name))]
  const stage = (area: StagingArea) => [
    ...removalSteps(plan, area, new KeptInodes(session, new Set(packages))),
    ...packages.flatMap((name) => forgetPackage(session, area, name)),
  ]
  const work = { packages, directories, expectedSteps: removals.length, stage, keepUndo: options.keepUndo }
  const { id, leftOvers, notes } = runTransaction(session.state, work, options.durability ?? 'transaction', (phase) =>
    meter.enter(phase),
  )
  const changed = options.listChanged === true ? { changed: changedNames(plan) } : {}
  const kept = keptNames(plan.kept)
  const triggered = triggeredBy(plan, options.triggers)
  return {
    packages,
    removed: removals.length,
    restored: restoredNames(plan),
    triggered,
    kept,
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
