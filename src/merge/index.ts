// Merging images into a root: the public functions. Each runs the synchronous engine in its own thread, so the
// caller's event loop goes on; knows no errno numbers and no copy method.

import { publish } from '../sys/diagnostics.ts'
import { callEngine } from '../sys/engineThread.ts'
import type { ReadArchiveOptions } from './archive/listArchive.ts'
import type {
  ConfigUpdate,
  ConfigUpdatesOptions,
  MergedUpdate,
  MergeUpdateOptions,
  ResolvedUpdate,
  ResolveUpdateOptions,
  UpdateContents,
  UpdateDifference,
  UpdateOptions,
} from './config/configOptions.ts'
import type { ExportOptions } from './exportRecord.ts'
import type { ImportOptions, ImportReport } from './import/importOptions.ts'
import type { EncodedPlan } from './mergeReport.ts'
import type {
  HistoryEntry,
  ListedEntry,
  MergeOptions,
  MergePlan,
  MergeProgress,
  MergeReport,
  OwnedName,
  RecoverOptions,
  UndoOptions,
  UndoReport,
  UnmergeOptions,
  UnmergeReport,
  VerifiedEntry,
  VerifyOptions,
} from './options.ts'
import { PlanSteps } from './planSteps.ts'
import type { RecoveryReport } from './recover.ts'
import type { RootOptions } from './session.ts'
import { threadErrors } from './threadErrors.ts'
import { verifyInThreads } from './verifyInThreads.ts'

export { MountPointError } from '../movefile/errors.ts'
export type { ReadArchiveOptions } from './archive/listArchive.ts'
export { ConflictMarkersError, NoUpdateError } from './config/configErrors.ts'
export type * from './config/configOptions.ts'
export type { ProtectionOptions } from './config/protection.ts'
export { type StyleName, styleNames } from './config/styles.ts'
export { type Difference, differences, soleDifferences } from './differences.ts'
export * from './errors.ts'
export type { ExportFormat, ExportOptions } from './exportRecord.ts'
export type { ImportOptions, ImportReport } from './import/importOptions.ts'
export type { LostMetadata } from './lostMetadata.ts'
export type { KeptName } from './obsolete.ts'
export type * from './options.ts'
export { type Manager, managers } from './packageName.ts'
export { type PlanAction, type PlanStep, PlanSteps, planActions } from './planSteps.ts'
export type { RecoveryAction, RecoveryReport } from './recover.ts'
export type { ScanReport } from './scan.ts'
export type { RootOptions } from './session.ts'
export type { LeftOver, MergeDurability } from './transaction.ts'

/** What an operation that changes a root takes beside its own options. */
export interface Approving {
  /**
   * Shown the plan before anything of it is done; anything but true refuses it, and what it throws is what the operation
   * rejects with. The root stays locked meanwhile.
   */
  readonly approve?: (plan: MergePlan) => boolean | Promise<boolean>
}

/** What every asynchronous operation takes beside its own options. */
export interface Watching {
  /** Aborting undoes the operation; the promise then rejects with the signal's reason. */
  readonly signal?: AbortSignal
  /** Called at most ten times a second, and at the start of each phase. What it throws undoes the operation, as aborting does. */
  readonly onProgress?: (progress: MergeProgress) => void
}

/**
 * Merges an image into a root, in place of an older version of the same package, as one transaction.
 *
 * After it fulfils the root is the new one; after it rejects with anything but RecoveryPendingError it is as it was.
 * Scripts and triggers are not run: that is the installer's work.
 *
 * @throws {CollisionError} with every name that is taken, before anything is written; RefusedError where more is wrong
 * @throws {NotApprovedError} when `approve` says no
 * @throws {SyscallError} for what the kernel refuses; everything is undone
 */
export function merge(options: MergeOptions & Approving & Watching): Promise<MergeReport> {
  return call('mergeImages', options)
}

/**
 * What merge() would do, step by step; nothing is written inside the root. It rejects as merge() would.
 *
 * @throws {RefusedError} with everything that stands in the way, where that is of several kinds
 */
export async function plan(options: MergeOptions & Watching): Promise<MergePlan> {
  return decodePlan(await call('planImages', options))
}

/**
 * Removes packages as one transaction: every name that still is what was recorded.
 *
 * Edited files, names of other packages and directories that are not empty stay; the report says which and why.
 *
 * @throws {UnknownPackageError}
 */
export function unmerge(options: UnmergeOptions & Approving & Watching): Promise<UnmergeReport> {
  return call('unmergePackages', options)
}

/** What unmerge() would do, step by step; nothing is written. It rejects as unmerge() would. */
export async function planUnmerge(options: UnmergeOptions & Watching): Promise<MergePlan> {
  return decodePlan(await call('planUnmerge', options))
}

/**
 * Compares what packages own with their records, in several threads: the entries that differ, in the records' order;
 * [] when all is as recorded. What cannot be read is one of them, and does not end it.
 *
 * @throws {UnknownPackageError} @throws {CorruptRecordError}
 * @throws {RootChangedError} when another transaction of these packages ended meanwhile, or one of any is running
 */
export function verify(options: VerifyOptions & Watching): Promise<VerifiedEntry[]> {
  return verifyInThreads((share) => call('verifyShare', share), options)
}

/**
 * Makes the packages of another installer known, from its database in the root; or one package, from a file.
 *
 * Imported packages own their names (a merge that wants one is refused) and are verified, and their own installer's
 * database is only read. They are called `dpkg:bash`, and only their installer may replace or remove them. Importing
 * again refreshes: what the database no longer has is forgotten. From a file the package becomes one of ours.
 *
 * @throws {CorruptDatabaseError} @throws {CollisionError} when a file claims what another package owns
 */
export function importPackages(options: ImportOptions & Watching): Promise<ImportReport> {
  return call('importPackages', options)
}

/** The names of the packages in a root, sorted. */
export function list(options: RootOptions): Promise<string[]> {
  return call('listPackages', options)
}

/** What a package owns, in image order. @throws {UnknownPackageError} */
export function listEntries(options: RootOptions & { readonly package: string }): Promise<ListedEntry[]> {
  return call('listEntries', options)
}

/** A package's record as it is stored, in mtree format. @throws {UnknownPackageError} */
export function readRecord(options: RootOptions & { readonly package: string }): Promise<Uint8Array> {
  return call('readRecordText', options)
}

/**
 * A package's record in Portage's CONTENTS format, with md5 sums of the files as they are.
 *
 * @throws {UnknownPackageError}
 * @throws {InexpressibleError} with every name that the format cannot have, or whose file is not as recorded
 */
export function readContents(options: RootOptions & { readonly package: string }): Promise<Uint8Array> {
  return call('formatContents', options)
}

/**
 * What an archive would be recorded as, in mtree format with the digest of every file; nothing is written anywhere.
 *
 * @throws {CorruptImageError} @throws {UnsafeEntryError} as merge() would
 */
export function readArchive(options: ReadArchiveOptions & Watching): Promise<Uint8Array> {
  return call('readArchiveRecord', options)
}

/**
 * A package's record as a file of dpkg's or pacman's database, so that their tools can list and verify it.
 *
 * @throws {UnknownPackageError}
 * @throws {InexpressibleError} with every name that the format cannot have, or whose file is not as recorded
 */
export function exportRecord(options: ExportOptions): Promise<Uint8Array> {
  return call('exportRecord', options)
}

/**
 * Which packages own each of some names, in the order asked; symlinked directories on the way are followed.
 *
 * A name that nobody owns and that is a glob pattern (`usr/bin/*`) stands for every recorded name that it matches.
 */
export function owner(
  options: RootOptions & { readonly names: readonly (string | Uint8Array)[] },
): Promise<OwnedName[]> {
  return call('findOwners', options)
}

/**
 * Brings a root out of a transaction that was left behind; every operation that changes a root does so first.
 *
 * @throws {RecoveryPendingError} when the kernel refuses what has to be done
 */
export function recover(options: RecoverOptions): Promise<RecoveryReport> {
  return call('recoverRootNow', options)
}

/** The transactions that can be undone, the newest first; those that `keepUndo` has kept. */
export function history(options: RootOptions): Promise<HistoryEntry[]> {
  return call('listHistory', options)
}

/**
 * Undoes a finished transaction, the last one by default, as a transaction of its own: names, contents and metadata,
 * records and set-id bits are as they were before it.
 *
 * @throws {CannotUndoError} with every reason, when the root is not as that transaction left it; nothing is changed
 */
export function undo(options: UndoOptions & Watching): Promise<UndoReport> {
  return call('undoTransaction', options)
}

/** The updates of configuration files that wait beside edited ones, in order of their packages. */
export function configUpdates(options: ConfigUpdatesOptions): Promise<ConfigUpdate[]> {
  return call('listUpdates', options)
}

/** How an update differs from its file, as a unified diff. @throws {NoUpdateError} */
export function diffUpdate(options: UpdateOptions): Promise<UpdateDifference> {
  return call('diffUpdate', options)
}

/** An update's contents, to be edited. @throws {NoUpdateError} @throws {InvalidArgumentError} for what is no text */
export function readUpdate(options: UpdateOptions): Promise<UpdateContents> {
  return call('readUpdate', options)
}

/**
 * Merges an update and its file over the version that the file comes from; writes nothing.
 *
 * @throws {NoUpdateError} @throws {InvalidArgumentError} for what is no text
 */
export function mergeUpdate(options: MergeUpdateOptions): Promise<MergedUpdate> {
  return call('mergeUpdate', options)
}

/**
 * Accepts or rejects an update, or puts a merged text in its file's place, as one transaction.
 *
 * The record then says what was offered and what the live file comes from, so that the same is not offered again.
 *
 * @throws {NoUpdateError} @throws {ConflictMarkersError} @throws {RootChangedError} as `expectedLive` and `expectedUpdate` say
 */
export function resolveUpdate(options: ResolveUpdateOptions): Promise<ResolvedUpdate> {
  return call('resolveUpdate', options)
}

function call<Result>(name: string, given: object): Promise<Result> {
  const { signal, onProgress, approve, ...options } = given as Watching & Approving
  const watching = {
    ...(signal && { signal }),
    ...(approve && { onQuestion: (question: unknown) => approve(decodePlan(question as EncodedPlan)) }),
    onProgress: tellingPhases(name, onProgress),
  }
  return callEngine<Result>(name, options, { ...watching, errors: threadErrors })
}

function decodePlan({ steps, ...counts }: EncodedPlan): MergePlan {
  return { ...counts, steps: new PlanSteps(steps) }
}

/** Passes progress on, and publishes each new phase to the diagnostics channel `rootmerge:phase`. */
function tellingPhases(operation: string, onProgress: Watching['onProgress']): (progress: unknown) => void {
  let phase: string | undefined
  return (told) => {
    const progress = told as MergeProgress
    if (progress.phase !== phase) publish('phase', { operation, phase: progress.phase })
    phase = progress.phase
    onProgress?.(progress)
  }
}
