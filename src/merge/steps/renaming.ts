// The renames of steps, and what is done where the kernel declines one: NFS and FAT know no RENAME_EXCHANGE, some FUSE
// servers no flags at all, and overlayfs renames no directory of a lower layer (EXDEV, seen on 6.18).

import { type Place, renameToFreeName } from '../../movefile/index.ts'
import { displayName, isSyscallError, type Kernel, type Name, RENAME_EXCHANGE, SyscallError } from '../../sys/index.ts'
import type { Directory } from '../root.ts'
import type { DisplacingStep, ReplaceStep, Step, StepContext } from './step.ts'

/** Where a step's staging name is. */
export function stagedPlace(context: StepContext, step: Extract<Step, { staging: Name }>): Place {
  return { directory: context.directory(step.stagingDirectory ?? step.directory).fd, name: step.staging }
}

/** Where a step's name is. */
export function livePlace(context: StepContext, { directory, name }: Step): Place {
  return { directory: context.directory(directory).fd, name }
}

/** Where the old object goes when two names cannot be exchanged: what it is called follows from the journaled step. */
export function asidePlace(context: StepContext, step: DisplacingStep): Place {
  return { directory: context.directory(step.directory).fd, name: asideName(step) }
}

/** The name of asidePlace. */
export function asideName({ staging }: DisplacingStep): Name {
  return `${staging}-old`
}

/** How an object is called that is kept, for its owner or for an undo: what is called so is never removed by the way. */
export function keptName(staging: Name): Name {
  return staging.replace(/^\.rootmerge-(kept-)*/, '.rootmerge-kept-')
}

/** Exchanges a staged object and a live one; false where that cannot be done. */
export function tryExchange(context: StepContext, step: ReplaceStep): boolean {
  if (context.declinesExchange.has(step.directory)) return false
  const staged = stagedPlace(context, step)
  const live = livePlace(context, step)
  try {
    context.kernel.renameat(staged.directory, staged.name, live.directory, live.name, RENAME_EXCHANGE)
    return true
  } catch (error) {
    if (!isSyscallError(error, 'EINVAL', 'ENOSYS', 'EOPNOTSUPP', 'EXDEV')) throw error
    // EXDEV is this directory's own (a lower layer's); the others are the file system's.
    if (error.code !== 'EXDEV') context.declinesExchange.add(step.directory)
    const { name } = context.directory(step.directory)
    context.note(
      `'${displayName(name)}': names cannot be exchanged there (${error.code}), so they are renamed one by one`,
    )
    return false
  }
}

/**
 * Renames an object to a name that has to be free, in whatever way the file system has.
 *
 * Without RENAME_NOREPLACE and without hard links (FAT), or for a directory, there is an instant between looking and
 * renaming in which somebody else's new object could be replaced.
 *
 * @throws {SyscallError} EEXIST
 */
export function renameToFree(kernel: Kernel, from: Place, to: Place): void {
  try {
    renameToFreeName(kernel, from, to)
  } catch (error) {
    if (!isSyscallError(error, 'EINVAL', 'ENOSYS', 'EOPNOTSUPP', 'EPERM', 'EMLINK')) throw error
    if (kernel.findat(from.directory, from.name) === undefined) throw error
    if (kernel.findat(to.directory, to.name) !== undefined) throw new SyscallError('EEXIST', 'renameat2', to.name)
    kernel.renameat(from.directory, from.name, to.directory, to.name)
  }
}

/**
 * Gives an old object its name back. When somebody has given that name to another object meanwhile, both are kept: the
 * old one beside it, under a name that says so and that is reported.
 */
export function putBack(context: StepContext, old: Place, step: DisplacingStep): void {
  const { kernel } = context
  const live = livePlace(context, step)
  try {
    renameToFree(kernel, old, live)
  } catch (error) {
    if (!isSyscallError(error, 'EEXIST')) throw error
    keepAside(context, old, context.directory(step.directory), `is the old '${displayName(step.name)}'`)
  }
}

/** Keeps an object that is not ours to remove, under a name that says so. */
export function keepAside(context: StepContext, object: Place, beside: Directory, what: string): void {
  const kept = keptName(object.name)
  renameToFree(context.kernel, object, { directory: beside.fd, name: kept })
  const full = beside.name === '' ? kept : `${beside.name}/${kept}`
  context.leftOver(full, `${what}; somebody else changed things there meanwhile`)
}
