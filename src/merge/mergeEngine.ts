// Merging, synchronous but for reading archives, for the engine's thread.

import { tmpdir } from 'node:os'
import type { EngineContext } from '../sys/engineThread.ts'
import { AT_FDCWD, displayName, type Kernel, type Name, nameBytes, toName } from '../sys/index.ts'
import { checkExpressible } from './contents.ts'
import { CollisionError, InvalidArgumentError } from './errors.ts'
import { KeptInodes } from './keptInodes.ts'
import type { MergeOptions, MergeReport } from './options.ts'
import { type Owners, withOwners } from './owners.ts'
import { collisionMatcher, withoutNames } from './ownership.ts'
import { checkPackageName } from './packageName.ts'
import { makePlan, type Plan } from './plan.ts'
import { ProgressMeter } from './progress.ts'
import { recordBytes } from './record.ts'
import type { RecoveryReport } from './recover.ts'
import { changedNames, directoriesOf } from './removalSteps.ts'
import { makeDirectories, Root } from './root.ts'
import { changing, reading, type Session, stateName } from './session.ts'
import { type CopyTotals, stagePlan } from './stage.ts'
import { forgetPackage, recordDirectories, stageRecord } from './stageRecord.ts'
import type { StagingArea } from './stagingArea.ts'
import { State } from './state.ts'
import { removeAbandonedSpools, withUnpacked } from './tarImage.ts'
import { runTransaction } from './transaction.ts'
import { TreeImage } from './treeImage.ts'

/** Merges one image under a package name, in place of that package's older version: a tree as it is, an archive unpacked. */
export async function mergeImage(engine: EngineContext, options: MergeOptions): Promise<MergeReport> {
  const path = toName(options.image)
  if (isDirectory(engine.kernel, path)) return mergeTree(engine, options)
  const meter = new ProgressMeter(engine)
  meter.enter('unpack')
  const spool = openSpool(engine.kernel, options)
  try {
    const stripComponents = options.stripComponents ?? 0
    const unpacking = { ...engine, spool, stripComponents, onEntry: (bytes: number) => meter.addEntry(bytes) }
    return await withUnpacked(unpacking, path, (tree) => mergeTree(engine, { ...options, image: nameBytes(tree) }))
  } finally {
    spool.root.close()
  }
}

/** Where archives are unpacked: in the state directory, from where contents may be shared; a dry run stays outside. */
function openSpool(kernel: Kernel, options: MergeOptions): { root: Root; name: Name } {
  if (options.dryRun === true) return { root: new Root(kernel, toName(tmpdir())), name: '' }
  const root = new Root(kernel, toName(options.root))
  const directory = new State(root, stateName(options)).make()
  removeAbandonedSpools(kernel, directory)
  return { root, name: directory.name }
}

function isDirectory(kernel: Kernel, path: Name): boolean {
  const stat = kernel.findat(AT_FDCWD, path)
  if (stat === undefined) throw new InvalidArgumentError(`the image '${displayName(path)}' does not exist`)
  return (
    stat.type === 'directory' || (stat.type === 'symlink' && kernel.findat(AT_FDCWD, `${path}/.`)?.type === 'directory')
  )
}

function mergeTree(engine: EngineContext, options: MergeOptions): MergeReport {
  const packageName = checkPackageName(options.package)
  const run = options.dryRun === true ? reading : changing
  return run(engine, options, (session: Session, recovered?: RecoveryReport) => {
    const image = new TreeImage(session.kernel, toName(options.image), options)
    try {
      const meter = new ProgressMeter(engine)
      return withOwners(session.state, options.dryRun === true ? 'reading' : 'changing', (owners) => {
        const plan = planMerge(engine, session, { image, owners, options, packageName, meter })
        if (options.dryRun === true) return describePlan(plan, options)
        return {
          ...commitMerge(engine, session, { image, owners, options, plan, meter }),
          ...(recovered && { recovered }),
        }
      })
    } finally {
      image.close()
    }
  })
}

interface Merging {
  readonly image: TreeImage
  readonly owners: Owners
  readonly options: MergeOptions
  readonly meter: ProgressMeter
}

function planMerge(engine: EngineContext, session: Session, merging: Merging & { packageName: string }): Plan {
  const { options, meter, image, owners, packageName } = merging
  meter.enter('plan')
  const plan = makePlan({
    ...session,
    image,
    owners,
    packageName,
    replaces: replacedNames(options),
    shareIdentical: options.shareIdentical ?? false,
    mayTake: collisionMatcher(options.collisionIgnore ?? []),
    isProtected: () => false,
    beforeEntry: () => {
      engine.cancel.check()
      meter.addEntry(0)
    },
  })
  if (plan.collisions.length > 0) throw new CollisionError(packageName, plan.collisions)
  if (options.contents === true)
    checkExpressible(
      packageName,
      plan.entries.map(({ entry }) => entry),
    )
  return plan
}

/** The other packages that go with a merge; its own older version is replaced without being named. */
function replacedNames({ replaces, package: own }: MergeOptions): string[] {
  return [...new Set((replaces ?? []).map(checkPackageName))].filter((name) => name !== own)
}

function commitMerge(engine: EngineContext, session: Session, merging: Merging & { plan: Plan }): MergeReport {
  const { root, state } = session
  const { options, plan, meter } = merging
  const totals: CopyTotals = { bytesByMethod: {}, holes: 0 }
  const own = makeDirectories(root, state.packageDirectory(plan.packageName)).name
  const replaced = replacedNames(options).filter((name) => state.findRecord(name) !== undefined)
  const stage = (area: StagingArea) => {
    const { steps, recorded } = stagePlan(
      {
        ...session,
        kept: new KeptInodes(session, new Set([plan.packageName, ...replaced]), plan.entries),
        image: merging.image,
        digests: options.digest !== 'none',
        totals,
        beforeEntry: () => engine.cancel.check(),
        onEntry: (bytes) => meter.addEntry(bytes),
      },
      plan,
      area,
    )
    const record = recordBytes({ packageName: plan.packageName, entries: recorded })
    const recordStep = stageRecord(root, area, root.directory(own), record)
    const losers = [...plan.taken].map(([name, names]) => {
      const bytes = recordBytes(withoutNames(state.record(name), names))
      return stageRecord(root, area, root.directory(recordDirectories(session, name)[0]), bytes)
    })
    return [...steps, recordStep, ...losers, ...replaced.flatMap((name) => forgetPackage(session, area, name))]
  }
  const others = [...replaced, ...plan.taken.keys()]
  const directories = [...directoriesOf(plan), own, ...others.flatMap((name) => recordDirectories(session, name))]
  meter.expect(plan.entries.length)
  const { id, leftOvers } = runTransaction(
    state,
    { packages: [plan.packageName], directories, expectedSteps: plan.entries.length + plan.removals.length, stage },
    options.durability ?? 'transaction',
    (phase) => meter.enter(phase),
  )
  return { ...describePlan(plan, options), ...totals, transaction: id, leftOvers }
}

function describePlan(plan: Plan, { listChanged }: MergeOptions): MergeReport {
  const { packageName, entries, removals, kept } = plan
  const counts: Record<string, number> = {}
  for (const { fate, live } of entries) {
    const what = fate === 'place' && live !== undefined ? 'replace' : fate
    counts[what] = (counts[what] ?? 0) + 1
  }
  if (removals.length > 0) counts.remove = removals.length
  const changed = listChanged === true ? { changed: changedNames(plan) } : {}
  return {
    package: packageName,
    entries: entries.length,
    counts,
    kept,
    bytesByMethod: {},
    holes: 0,
    leftOvers: [],
    ...changed,
  }
}
