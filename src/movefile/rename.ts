// The rename itself, and what has to be changed before it so that it ends as a copy would.

import {
  type CancelFlag,
  type DirectoryEntry,
  displayName,
  type Fd,
  isSyscallError,
  type Kernel,
  type Name,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  RENAME_NOREPLACE,
  type Stat,
  SyscallError,
} from '../sys/index.ts'
import { findXattr, listNames, type Xattr } from './attributes.ts'
import { quietly, withDescriptor } from './descriptors.ts'
import { MountPointError } from './errors.ts'
import { isMountPoint } from './hopeless.ts'
import type { Move, MoveReport, Mover } from './mover.ts'
import { describePlace, type Place } from './place.ts'
import { isStripped } from './policy.ts'
import { type Stager, unswapped } from './stage.ts'

/** What of an object in place differs from what a copy of it would be. */
interface Change {
  /** Attributes that the policy excludes. */
  readonly stripped: readonly Xattr[]
  /** The time to set, if it is another one. */
  readonly mtimeNs: bigint | undefined
}

/**
 * Does `action` on an object that has been made what a copy of it would be (excluded attributes off, the new time on),
 * and takes the change back when `action` fails or declines (undefined).
 *
 * The change comes first, so that the target never shows anything else. Undefined too when a change is needed that
 * cannot be made in place, inside a directory or by the kernel's refusal: then the object has to be copied.
 */
export function withChange(
  mover: Mover,
  move: Move,
  action: () => MoveReport['method'] | undefined,
): MoveReport | undefined {
  const { kernel, policy } = mover
  const { source, stat, options } = move
  const report = (method: MoveReport['method'] | undefined): MoveReport | undefined =>
    method && { method, mtimeNs: options.newMtimeNs ?? stat.mtimeNs, lost: [] }
  if (stat.type === 'symlink' && isRewritten(mover, source.directory, source.name)) return undefined
  if (!policy.excludesAny && !mover.rewritesLinks && options.newMtimeNs === undefined) return report(action())
  if (isLeftAsItIs(mover, move)) return report(action())
  return withDescriptor(kernel, openForAttributes(kernel, source, stat), (fd) => {
    if (stat.type === 'directory' && membersNeedCopy(mover, fd, move)) return undefined
    const change = findChange(mover, fd, stat, options.newMtimeNs)
    if (change === undefined) return report(action())
    unswapped(kernel, source, { now: kernel.fstat(fd), known: stat })
    const isMade = makeChange(kernel, fd, stat, change)
    const method = isMade ? undoneUnless(kernel, { fd, stat, change }, action) : undefined
    if (method === undefined) move.stat = kernel.fstat(fd) // overlayfs may have copied it up, to another inode number
    return report(method)
  })
}

/** Whether nothing of an object has to be changed, as far as one call can tell. */
function isLeftAsItIs({ kernel, policy }: Mover, { source, stat, options }: Move): boolean {
  if (stat.type === 'directory' || options.newMtimeNs !== undefined) return false
  const names = kernel.listXattrsAt(source.directory, source.name)
  return names?.some((name) => isStripped(name, policy)) === false
}

function undoneUnless<T>(kernel: Kernel, made: { fd: Fd; stat: Stat; change: Change }, action: () => T): T {
  const undo = () => undoChange(kernel, made.fd, made.stat, made.change)
  let result: T
  try {
    result = action()
  } catch (error) {
    quietly(undo)
    throw error
  }
  if (result === undefined) undo()
  return result
}

/**
 * Whether something inside a directory has to be changed. Between two devices no directory is ever renamed (EXDEV),
 * so there is no need to look.
 */
function membersNeedCopy(mover: Mover, directory: Fd, { route, stat }: Move): boolean {
  if (!mover.policy.excludesAny && !mover.rewritesLinks) return false
  return route.targetDirectory.dev === stat.dev && membersNeedChange(mover, directory, mover.cancel)
}

/** Finds what to change about an open object before it is renamed; undefined when nothing is. */
function findChange(stager: Stager, fd: Fd, stat: Stat, newMtimeNs: bigint | undefined): Change | undefined {
  const { kernel, policy } = stager
  // What cannot be listed, or read, stays as it is: a rename loses nothing.
  const names = (listNames(kernel, fd) ?? []).filter((name) => isStripped(name, policy))
  const stripped = names.flatMap((name) => readable(kernel, fd, name) ?? [])
  const mtimeNs = newMtimeNs === stat.mtimeNs ? undefined : newMtimeNs
  return stripped.length === 0 && mtimeNs === undefined ? undefined : { stripped, mtimeNs }
}

/** An attribute with its value; undefined where the object may be moved but not read, so that it could not be put back. */
function readable(kernel: Kernel, fd: Fd, name: Name): Xattr | undefined {
  try {
    const value = findXattr(kernel, fd, name)
    return value && { name, value }
  } catch (error) {
    if (isSyscallError(error, 'EACCES')) return undefined
    throw error
  }
}

/**
 * Makes the change, or none of it: false when the kernel refuses (a file of somebody else, a read-only file system),
 * so that the object has to be copied to become what was asked for.
 */
function makeChange(kernel: Kernel, fd: Fd, stat: Stat, change: Change): boolean {
  try {
    for (const { name } of change.stripped) kernel.removeXattr(fd, name)
    if (change.mtimeNs !== undefined) kernel.utimensat(fd, '', stat.atimeNs, change.mtimeNs)
    return true
  } catch (error) {
    undoChange(kernel, fd, stat, change)
    if (isSyscallError(error, 'EPERM', 'EACCES', 'EROFS', 'EOPNOTSUPP', 'EINVAL', 'ENODATA')) return false
    throw error
  }
}

/** Puts back what makeChange changed. */
function undoChange(kernel: Kernel, fd: Fd, stat: Stat, change: Change): void {
  const present = new Set(listNames(kernel, fd))
  for (const { name, value } of change.stripped) {
    if (!present.has(name)) kernel.setXattr(fd, name, value)
  }
  if (change.mtimeNs !== undefined && kernel.fstat(fd).mtimeNs !== stat.mtimeNs) {
    kernel.utimensat(fd, '', stat.atimeNs, stat.mtimeNs)
  }
}

/** Opens an object for looking at its attributes; O_PATH where it cannot, or should not, be read. */
function openForAttributes(kernel: Kernel, { directory, name }: Place, stat: Stat): Fd {
  if (stat.type === 'file' || stat.type === 'directory') {
    try {
      return kernel.openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
    } catch (error) {
      if (!isSyscallError(error, 'EACCES', 'EPERM', 'EAGAIN')) throw error
    }
  }
  return kernel.openat(directory, name, O_PATH | O_NOFOLLOW)
}

/**
 * Whether anything below an open directory has to be changed, so that renaming it would not end as copying it. One
 * that cannot be read (it is held by O_PATH) cannot be copied either, so its members stay as they are.
 */
function membersNeedChange(stager: Stager, directory: Fd, cancel?: CancelFlag): boolean {
  return readableMembers(stager.kernel, directory).some(({ name }) => {
    cancel?.check()
    return memberNeedsChange(stager, { directory, name }, cancel)
  })
}

function readableMembers(kernel: Kernel, directory: Fd): readonly DirectoryEntry[] {
  try {
    return kernel.readDirectory(directory)
  } catch (error) {
    if (isSyscallError(error, 'EBADF')) return []
    throw error
  }
}

function memberNeedsChange(stager: Stager, place: Place, cancel: CancelFlag | undefined): boolean {
  const { kernel } = stager
  const stat = kernel.statat(place.directory, place.name)
  return withDescriptor(kernel, openForAttributes(kernel, place, stat), (fd) => {
    if (stat.type === 'symlink' && isRewritten(stager, fd, '')) return true
    if (findChange(stager, fd, stat, undefined) !== undefined) return true
    return stat.type === 'directory' && membersNeedChange(stager, fd, cancel)
  })
}

/** Whether the target of a symlink is one that has to be rewritten. */
function isRewritten(stager: Stager, directory: Fd, name: Name): boolean {
  const target = stager.kernel.readlinkat(directory, name)
  return stager.rewriteLink(target) !== target
}

/**
 * renameat2(2), with the same meaning where the file system does not know RENAME_NOREPLACE (NFS, and FUSE without it).
 *
 * @throws {MountPointError} when something is mounted on either name
 */
export function renameInto(kernel: Kernel, source: Place, target: Place, noReplace: boolean): void {
  try {
    if (noReplace) renameToFreeName(kernel, source, target)
    else kernel.renameat(source.directory, source.name, target.directory, target.name)
  } catch (error) {
    // rename(2): "ENOTEMPTY or EEXIST"; XFS says EEXIST, all others ENOTEMPTY.
    if (!noReplace && isSyscallError(error, 'EEXIST')) {
      throw new SyscallError('ENOTEMPTY', 'renameat2', describePlace(kernel, source), describePlace(kernel, target))
    }
    if (!isSyscallError(error, 'EBUSY')) throw error
    for (const place of [target, source]) {
      const stat = kernel.findat(place.directory, place.name)
      if (stat !== undefined && isMountPoint(stat)) {
        throw new MountPointError(displayName(describePlace(kernel, place)), error)
      }
    }
    throw error
  }
}

/**
 * Renames to a name that has to be free. link(2) refuses a name that is taken too; a directory cannot be linked, so its
 * EINVAL is the answer.
 */
export function renameToFreeName(kernel: Kernel, source: Place, target: Place): void {
  try {
    kernel.renameat(source.directory, source.name, target.directory, target.name, RENAME_NOREPLACE)
  } catch (error) {
    if (!isSyscallError(error, 'EINVAL', 'ENOSYS')) throw error
    const stat = kernel.statat(source.directory, source.name)
    if (stat.type === 'directory') throw error
    kernel.linkat(source.directory, source.name, target.directory, target.name)
    kernel.unlinkat(source.directory, source.name)
  }
}

/** Opens a directory for reading its members. */
export function openDirectory(kernel: Kernel, { directory, name }: Place): Fd {
  return kernel.openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
}
