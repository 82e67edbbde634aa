// Merging, synchronous but for reading archives, for the engine's thread.

import type { EngineContext } from '../sys/engineThread.ts'
import { toName } from '../sys/index.ts'
import { commitPlan } from './commitPlan.ts'
import { checkExpressible } from './contents.ts'
import { type ImageTree, withImages, withTrees } from './imageTrees.ts'
import { describePlan } from './mergeReport.ts'
import { findObstacles } from './obstacles.ts'
import type { MergeOptions, MergeReport } from './options.ts'
import { type Owners, withOwners } from './owners.ts'
import { collisionMatcher } from './ownership.ts'
import { checkPackageName } from './packageName.ts'
import { makePlan, type PackageImage, type Plan } from './plan.ts'
import { Problems } from './problems.ts'
import { ProgressMeter } from './progress.ts'
import type { RecoveryReport } from './recover.ts'
import { changing, reading, type Session } from './session.ts'
import { explained } from './space.ts'

/** Merges images as one transaction, each in place of its package's older version: trees as they are, archives unpacked. */
export async function mergeImages(engine: EngineContext, options: MergeOptions): Promise<MergeReport> {
  try {
    return await withTrees(engine, options, (trees) => mergeTrees(engine, options, trees))
  } catch (error) {
    throw explained(error, toName(options.root))
  }
}

/** What a merge works with. */
export interface Merging {
  readonly engine: EngineContext
  readonly session: Session
  readonly options: MergeOptions
  readonly meter: ProgressMeter
}

function mergeTrees(engine: EngineContext, options: MergeOptions, trees: readonly ImageTree[]): MergeReport {
  const [run, access] = options.dryRun === true ? [reading, 'reading' as const] : [changing, 'changing' as const]
  return run(engine, options, (session: Session, recovered?: RecoveryReport) =>
    withImages(session.kernel, trees, (images) =>
      withOwners(session.state, access, (owners) => {
        const merging: Merging = { engine, session, options, meter: new ProgressMeter(engine) }
        const plan = planMerge(merging, images, owners)
        if (options.dryRun === true) return describePlan(plan, options)
        return { ...describePlan(plan, options), ...commitPlan(merging, plan), ...(recovered && { recovered }) }
      }),
    ),
  )
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
    replaces: (options.replaces ?? []).map(checkPackageName),
    shareIdentical: options.shareIdentical ?? false,
    mayTake: collisionMatcher(options.collisionIgnore ?? []),
    isProtected: () => false,
    beforeEntry: () => {
      engine.cancel.check()
      meter.addEntry(0)
    },
  })
  if (options.contents === true) checkContents(plan, problems)
  findObstacles(session, plan, problems)
  problems.raise(images.map(({ packageName }) => packageName))
  return plan
}

function checkContents(plan: Plan, problems: Problems): void {
  for (const { packageName, entries } of plan.packages) {
    const facts = entries.map(({ entry }) => entry)
    problems.attempt(() => checkExpressible(packageName, facts))
  }
}
