// Unmerging, synchronous, for the engine's thread.

import type { EngineContext } from '../sys/engineThread.ts'
import { baseName, displayName, parentName } from '../sys/index.ts'
import { compareRecorded, isEdited } from './compareRecorded.ts'
import { KeptInodes } from './keptInodes.ts'
import { findObsolete, type KeptName, type Removal } from './obsolete.ts'
import { findObstacles } from './obstacles.ts'
import type { UnmergeOptions, UnmergeReport } from './options.ts'
import { type Owners, withOwners } from './owners.ts'
import { checkPackageName } from './packageName.ts'
import { Problems } from './problems.ts'
import { ProgressMeter } from './progress.ts'
import { changedNames, directoriesOf, removalSteps } from './removalSteps.ts'
import { changing, reading, type Session } from './session.ts'
import { forgetPackage, recordDirectories } from './stageRecord.ts'
import type { StagingArea } from './stagingArea.ts'
import { runTransaction } from './transaction.ts'

/** Removes packages: what is no longer as recorded stays, and is reported. */
export function unmergePackages(engine: EngineContext, options: UnmergeOptions): UnmergeReport {
  const run = options.dryRun === true ? reading : changing
  return run(engine, options, (session: Session) =>
    withOwners(session.state, options.dryRun === true ? 'reading' : 'changing', (owners) => unmerge(session, owners)),
  )

  function unmerge(session: Session, owners: Owners): UnmergeReport {
    const { state, root } = session
    const packages = [...new Set(options.packages.map(checkPackageName))]
    const recorded = packages.flatMap((packageName) =>
      state.record(packageName).entries.map((entry) => ({ packageName, entry })),
    )
    const meter = new ProgressMeter(engine)
    meter.enter('plan')
    meter.expect(recorded.length)
    const found = findObsolete({ root, owners }, new Set(packages), recorded, () => false)
    const kept: KeptName[] = [...found.kept]
    const removals = found.removals.filter((removal) => {
      engine.cancel.check()
      meter.addEntry(removal.entry.size)
      const edited = isRemovalEdited(session, removal)
      if (edited) kept.push({ name: displayName(removal.entry.name), package: removal.packageName, reason: 'edited' })
      return !edited
    })
    const problems = new Problems()
    findObstacles(session, { packages: [], removals }, problems)
    problems.raise(packages)
    const changed = options.listChanged === true ? { changed: changedNames({ packages: [], removals }) } : {}
    const report: UnmergeReport = { packages, removed: removals.length, kept, leftOvers: [], ...changed }
    if (options.dryRun === true) return report
    const directories = [
      ...directoriesOf({ packages: [], removals }),
      ...packages.flatMap((name) => recordDirectories(session, name)),
    ]
    const stage = (area: StagingArea) => [
      ...removalSteps({ removals }, area, new KeptInodes(session, new Set(packages))),
      ...packages.flatMap((name) => forgetPackage(session, area, name)),
    ]
    const work = { packages, directories, expectedSteps: removals.length, stage }
    const { id, leftOvers, notes } = runTransaction(state, work, options.durability ?? 'transaction', (phase) =>
      meter.enter(phase),
    )
    return { ...report, transaction: id, leftOvers, notes }
  }

  function isRemovalEdited({ comparer, root }: Session, { entry, liveName, live }: Removal): boolean {
    const place = { directory: root.directory(parentName(liveName)).fd, name: baseName(liveName) }
    return isEdited(compareRecorded(comparer, entry, { place, stat: live, root }, { digests: true }), entry)
  }
}
