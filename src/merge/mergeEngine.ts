// Merging, for the engine's thread.

import type { EngineContext } from '../sys/engineThread.ts'
import { toName } from '../sys/index.ts'
import { commitPlan } from './commitPlan.ts'
import { checkExpressible } from './contents.ts'
import type { EntryFacts } from './entry.ts'
import { NotApprovedError } from './errors.ts'
import { type ImageTree, withImages, withTrees } from './imageTrees.ts'
import { jobsOf } from './jobs.ts'
import { OtherRoots } from './mark.ts'
import { describePlan, type EncodedPlan, encodePlan } from './mergeReport.ts'
import { findObstacles } from './obstacles.ts'
import type { MergeOptions, MergeReport } from './options.ts'
import { type Owners, withOwners } from './owners.ts'
import { nameMatcher } from './ownership.ts'
import { checkPackageName } from './packageName.ts'
import { makePlan, type PackageImage, type Plan } from './plan.ts'
import type { EntryList } from './plannedEntries.ts'
import { Problems } from './problems.ts'
import { ProgressMeter } from './progress.ts'
import type { RecoveryReport } from './recover.ts'
import { directoriesOf } from './removalSteps.ts'
import { type Access, changing, reading, type Session } from './session.ts'
import { explained } from './space.ts'
import { SpareThreads, StageThreads } from './stageThreads.ts'
import { carriedOut } from './stayedDirectories.ts'
import { factsOf } from './treeImage.ts'
import { triggeredBy } from './triggers.ts'
import type { WrittenNames } from './writtenNames.ts'

/** Merges images as one transaction, each in place of its package's older version: trees as they are, archives unpacked. */
export async function mergeImages(engine: EngineContext, options: MergeOptions): Promise<MergeReport> {
  return planned(engine, options, 'changing', (merging, plan, recovered) => {
    askApproval(engine, () => encodePlan(plan, options))
    const triggered = triggeredBy(plan, options.triggers) // a pattern that is none is refused before anything is done
    const done = commitPlan(merging, plan)
    const changes = describePlan(carriedOut(merging.session.root, plan), options)
    return { ...changes, triggered, ...done, ...(recovered && { recovered }) }
  })
}

/** What mergeImages would do; nothing is written inside the root. */
export async function planImages(engine: EngineContext, options: MergeOptions): Promise<EncodedPlan> {
  return planned(engine, options, 'reading', (_, plan) => encodePlan(plan, options))
}

/** Shows the caller a plan, where it wants to see one. @throws {NotApprovedError} */
export function askApproval({ ask }: EngineContext, makePlan: () => EncodedPlan): void {
  if (ask !== undefined && !ask(makePlan())) throw new NotApprovedError()
}

/** What a merge works with. */
export interface Merging {
  readonly engine: EngineContext
  readonly session: Session
  readonly options: MergeOptions
  readonly meter: ProgressMeter
  /** Gets the names of the records that are written, for the owners index. */
  readonly written: WrittenNames
  readonly spareThreads: SpareThreads
}

/** Opens everything, plans, and goes on with a plan that nothing speaks against. */
async function planned<T>(
  engine: EngineContext,
  options: MergeOptions,
  access: Access,
  use: (merging: Merging, plan: Plan, recovered?: RecoveryReport) => T,
): Promise<T> {
  const run = access === 'reading' ? reading : changing
  const unpackThreads = new SpareThreads(engine, jobsOf(options.jobs))
  const spareThreads = access === 'reading' ? new SpareThreads(engine, 1) : unpackThreads
  const inRoot = (trees: readonly ImageTree[]) =>
    run(engine, options, (session: Session, recovered?: RecoveryReport) =>
      withImages(session.kernel, trees, (images) =>
        withOwners(session.state, access, (owners, written) => {
          const merging: Merging = { engine, session, options, meter: new ProgressMeter(engine), written, spareThreads }
          return use(merging, planMerge(merging, images, owners), recovered)
        }),
      ),
    )
  try {
    return await withTrees({ engine, options, access, spareThreads: unpackThreads }, inRoot)
  } catch (error) {
    throw explained(error, toName(options.root))
  } finally {
    unpackThreads.end()
  }
}

function planMerge(merging: Merging, images: readonly PackageImage[], owners: Owners): Plan {
  const { engine, session, options, meter } = merging
  meter.enter('plan')
  const problems = new Problems()
  const plan = makePlan({
    ...session,
    images,
    owners,
    problems,
    threads: planningThreads(merging, images),
    replaces: (options.replaces ?? []).map(checkPackageName),
    shareIdentical: options.shareIdentical ?? false,
    replaceUnowned: options.collisions === 'replace-unowned',
    mayTake: nameMatcher(options.collisionIgnore ?? []),
    configMemory: options.noConfigMemory !== true,
    beforeEntry: () => {
      engine.cancel.check()
      meter.addEntry(0)
    },
  })
  if (options.contents === true) checkContents(plan, problems)
  if (options.intoOtherRoots !== true) problems.attempt(() => new OtherRoots(session.root).refuse(directoriesOf(plan)))
  findObstacles(session, plan, problems)
  problems.raise(images.map(({ packageName }) => packageName))
  return plan
}

function planningThreads({ engine, session, spareThreads }: Merging, images: readonly PackageImage[]): StageThreads {
  const nothing = { totals: { bytesByMethod: {}, holes: 0 }, onEntry: () => {} }
  return new StageThreads({ ...session, ...nothing, engine, spareThreads, images: images.map(({ image }) => image) })
}

function* allFacts(entries: EntryList): Generator<EntryFacts> {
  for (const { entry } of entries) yield factsOf(entry)
}

function checkContents(plan: Plan, problems: Problems): void {
  for (const { packageName, entries } of plan.packages) {
    problems.attempt(() => checkExpressible(packageName, allFacts(entries)))
  }
}
