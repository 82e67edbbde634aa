// Steps: what a transaction does to the root, one visible change each.
//
// The law of a step (a test proves it for every kind): apply then undo leaves the root as it was; undo after nothing
// changes nothing; JSON and back is the same step; `where` tells from the disk alone whether it was applied.

import { withDescriptor } from '../movefile/index.ts'
import {
  AT_REMOVEDIR,
  isSyscallError,
  joinName,
  type Kernel,
  type Name,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
} from '../sys/index.ts'
import { identityOf } from './identity.ts'
import { harmless, removeObject } from './removal.ts'
import type { Directory } from './root.ts'

/**
 * Which of the two objects that a step is about has the name now; `foreign`: neither of them; `either`: it does not
 * matter, since applying and undoing may both be done again.
 */
export type Whereabouts = 'before' | 'after' | 'either' | 'foreign'

/** When a step is applied: the records follow once every payload step is durable. */
export type Phase = 'payload' | 'record'

interface InDirectory {
  readonly phase: Phase
  /** The number of the journaled directory that holds the name. */
  readonly directory: number
  readonly name: Name
}

/** A staged object gets a name that was free. */
export interface PlaceStep extends InDirectory {
  readonly kind: 'place'
  readonly staging: Name
  /** The staged object's identity. */
  readonly identity: string
}

/** A staged object and a live one change places; the live one then has the staging name. */
export interface ReplaceStep extends InDirectory {
  readonly kind: 'replace'
  readonly staging: Name
  readonly identity: string
  /** As of RemoveStep. */
  readonly keepsSetId?: boolean
}

/** A live object goes aside, under a staging name. */
export interface RemoveStep extends InDirectory {
  readonly kind: 'remove'
  readonly staging: Name
  /** The displaced inode has another owned name, and keeps its set-id bits and capabilities for that. */
  readonly keepsSetId?: boolean
}

/** A directory that the transaction may have emptied goes with the clean-up, if it is empty. */
export interface RemoveDirectoryStep extends InDirectory {
  readonly kind: 'removeDirectory'
}

/** Owner and permission bits of a directory. */
export interface DirectoryMetadata {
  readonly uid: number
  readonly gid: number
  readonly mode: number
}

/** A directory that only the package itself owns takes the new version's owner and mode. */
export interface ChangeDirectoryStep extends InDirectory {
  readonly kind: 'changeDirectory'
  readonly before: DirectoryMetadata
  readonly after: DirectoryMetadata
}

/** A change of the root, as the journal keeps it. */
export type Step = PlaceStep | ReplaceStep | RemoveStep | RemoveDirectoryStep | ChangeDirectoryStep

/** What steps work with. */
export interface StepContext {
  readonly kernel: Kernel
  /** Opens a journaled directory, which is still the one that was journaled. */
  directory(number: number): Directory
  /** As directory, but undefined when it has gone: a clean-up that was interrupted may have removed it already. */
  findDirectory(number: number): Directory | undefined
  /** What changed after this instant was changed by others; undefined while nothing was visible. */
  readonly committedNs: bigint | undefined
  /** Inodes that had several names when one of them was removed. */
  readonly linkedInodes: Set<bigint>
  /** Something that could not be removed, or is not ours to remove. */
  leftOver(name: Name, reason: string): void
}

interface StepKind<S extends Step> {
  /** Makes the change; everything that can fail for want of space has been done before. */
  apply(context: StepContext, step: S): void
  /** Takes an applied change back; the staged object is under its staging name again, or gone. */
  undo(context: StepContext, step: S): void
  /** Whether the change was applied, by what is on the disk. */
  where(context: StepContext, step: S): Whereabouts
  /** After `final`: removes what the change displaced. Idempotent. */
  cleanUp(context: StepContext, step: S): void
}

const place: StepKind<PlaceStep> = {
  apply: ({ kernel, directory }, { directory: number, staging, name }) => {
    const { fd } = directory(number)
    kernel.renameat(fd, staging, fd, name, RENAME_NOREPLACE)
  },
  undo: (context, { directory: number, staging, name }) => {
    const parent = context.directory(number)
    const placed = context.kernel.findat(parent.fd, name)
    // Others may have put files into a directory since it has its name: it keeps that name, and them.
    if (placed?.type === 'directory') removeObject(context, parent, name, placed)
    else context.kernel.renameat(parent.fd, name, parent.fd, staging, RENAME_NOREPLACE)
  },
  where: whereIsStaged,
  cleanUp: () => {},
}

const replace: StepKind<ReplaceStep> = {
  apply: exchange,
  undo: exchange,
  where: whereIsStaged,
  cleanUp: removeDisplaced,
}

const remove: StepKind<RemoveStep> = {
  apply: ({ kernel, directory }, { directory: number, staging, name }) => {
    const { fd } = directory(number)
    kernel.renameat(fd, name, fd, staging, RENAME_NOREPLACE)
  },
  undo: ({ kernel, directory }, { directory: number, staging, name }) => {
    const { fd } = directory(number)
    kernel.renameat(fd, staging, fd, name, RENAME_NOREPLACE)
  },
  where: ({ kernel, directory }, { directory: number, staging, name }) => {
    const { fd } = directory(number)
    if (kernel.findat(fd, staging) !== undefined) return 'after'
    return kernel.findat(fd, name) === undefined ? 'foreign' : 'before'
  },
  cleanUp: removeDisplaced,
}

const removeDirectory: StepKind<RemoveDirectoryStep> = {
  apply: () => {},
  undo: () => {},
  where: () => 'after',
  cleanUp: ({ kernel, findDirectory, leftOver }, { directory: number, name }) => {
    const parent = findDirectory(number)
    if (parent === undefined) return
    try {
      kernel.unlinkat(parent.fd, name, AT_REMOVEDIR)
    } catch (error) {
      // Not empty (EEXIST on some file systems), gone already, or a mount point: it stays, and that is right.
      if (isSyscallError(error, 'ENOTEMPTY', 'EEXIST', 'ENOENT', 'ENOTDIR', 'EBUSY')) return
      if (!isSyscallError(error)) throw error
      leftOver(joinName(parent.name, name), error.message)
    }
  },
}

const changeDirectory: StepKind<ChangeDirectoryStep> = {
  apply: (context, step) => setDirectoryMetadata(context, step, step.after),
  undo: (context, step) => setDirectoryMetadata(context, step, step.before),
  where: ({ kernel, directory }, { directory: number, name, before, after }) => {
    const stat = kernel.findat(directory(number).fd, name)
    const isOurs = (part: keyof DirectoryMetadata) => stat?.[part] === before[part] || stat?.[part] === after[part]
    // It may have stopped between owner and mode: either way, doing it again puts it right.
    return stat?.type === 'directory' && isOurs('uid') && isOurs('gid') && isOurs('mode') ? 'either' : 'foreign'
  },
  cleanUp: () => {},
}

const kinds: { readonly [K in Step['kind']]: StepKind<Extract<Step, { kind: K }>> } = {
  place,
  replace,
  remove,
  removeDirectory,
  changeDirectory,
}

function kindOf(step: Step): StepKind<Step> {
  return kinds[step.kind] as StepKind<Step>
}

/** Makes a step's change. */
export function applyStep(context: StepContext, step: Step): void {
  kindOf(step).apply(context, step)
}

/** Takes an applied step back. */
export function undoStep(context: StepContext, step: Step): void {
  kindOf(step).undo(context, step)
}

/**
 * Takes back those of some steps that were applied, the last first, by what is on the disk: a name that somebody has
 * given to another object meanwhile is left to it.
 */
export function undoSteps(context: StepContext, steps: readonly Step[]): void {
  for (const step of steps.toReversed()) {
    const whereabouts = whereIs(context, step)
    if (whereabouts === 'after' || whereabouts === 'either') undoStep(context, step)
    if (whereabouts === 'foreign') context.leftOver(step.name, 'is neither the old nor the new object')
  }
}

/** Whether a step was applied, by what is on the disk. */
export function whereIs(context: StepContext, step: Step): Whereabouts {
  return kindOf(step).where(context, step)
}

/** Removes what an applied step displaced; after `final` only. */
export function cleanUpStep(context: StepContext, step: Step): void {
  kindOf(step).cleanUp(context, step)
}

function exchange({ kernel, directory }: StepContext, step: ReplaceStep): void {
  const { fd } = directory(step.directory)
  kernel.renameat(fd, step.staging, fd, step.name, RENAME_EXCHANGE)
}

function whereIsStaged({ kernel, directory }: StepContext, step: PlaceStep | ReplaceStep): Whereabouts {
  const { fd } = directory(step.directory)
  if (identityOf(kernel, fd, step.name) === step.identity) return 'after'
  if (identityOf(kernel, fd, step.staging) === step.identity) return 'before'
  return 'foreign'
}

/** Owner first: chown(2) takes set-id bits off. Both by descriptor, and idempotent. */
function setDirectoryMetadata(
  { kernel, directory }: StepContext,
  step: ChangeDirectoryStep,
  metadata: DirectoryMetadata,
): void {
  const fd = kernel.openat(directory(step.directory).fd, step.name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
  withDescriptor(kernel, fd, () => {
    const { uid, gid } = kernel.fstat(fd)
    if (uid !== metadata.uid || gid !== metadata.gid) kernel.fchown(fd, metadata.uid, metadata.gid)
    kernel.fchmod(fd, metadata.mode)
  })
}

/** The old object loses its set-id bits and capabilities before its name goes: a stashed hard link is harmless. */
function removeDisplaced(context: StepContext, step: ReplaceStep | RemoveStep): void {
  const { kernel, leftOver } = context
  const parent = context.findDirectory(step.directory)
  const stat = parent && kernel.findat(parent.fd, step.staging)
  if (parent === undefined || stat === undefined) return
  try {
    if (!step.keepsSetId) harmless(kernel, parent.fd, step.staging, stat)
    removeObject(context, parent, step.staging, stat)
  } catch (error) {
    if (!isSyscallError(error)) throw error
    leftOver(joinName(parent.name, step.staging), error.message)
  }
}
