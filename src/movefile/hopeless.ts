// Refusals that the kernel would give only when all the copying is done, given before it begins.

import { SameFileError } from '../filecopy/index.ts'
import {
  displayName,
  type ErrnoName,
  type Fd,
  isSyscallError,
  type Kernel,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  STATX_ATTR_APPEND,
  STATX_ATTR_IMMUTABLE,
  STATX_ATTR_MOUNT_ROOT,
  type Stat,
  SyscallError,
} from '../sys/index.ts'
import { withDescriptor } from './descriptors.ts'
import { IntoItselfError, MountPointError } from './errors.ts'
import { isSameObject } from './identity.ts'
import type { Move } from './mover.ts'
import { describePlace, type Place } from './place.ts'

/**
 * @returns what the copy will replace
 * @throws what rename(2) will answer when the copy is renamed over the target, if that can be known already
 */
export function refuseHopeless(kernel: Kernel, move: Move): Stat | undefined {
  const { source, target, stat, options } = move
  refuseIntoItself(kernel, move)
  const existing = kernel.findat(target.directory, target.name)
  if (existing === undefined) return undefined
  const path = (place: Place) => describePlace(kernel, place)
  if (isSameObject(existing, stat)) {
    throw new SameFileError(`'${displayName(path(source))}' and '${displayName(path(target))}'`)
  }
  const code = options.noReplace ? 'EEXIST' : refusalOf(kernel, stat, target, existing)
  if (code !== undefined) throw new SyscallError(code, 'renameat2', path(source), path(target))
  if (isMountPoint(existing)) throw new MountPointError(displayName(path(target)))
  return existing
}

/** rename(2), ERRORS: what cannot replace what. */
function refusalOf(kernel: Kernel, stat: Stat, target: Place, existing: Stat): ErrnoName | undefined {
  if (isUnchangeable(existing)) return 'EPERM'
  if (existing.type !== 'directory') return stat.type === 'directory' ? 'ENOTDIR' : undefined
  if (stat.type !== 'directory') return 'EISDIR'
  return hasMembers(kernel, target) ? 'ENOTEMPTY' : undefined
}

function hasMembers(kernel: Kernel, { directory, name }: Place): boolean {
  try {
    const fd = kernel.openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    return withDescriptor(kernel, fd, () => kernel.readDirectory(fd).length > 0)
  } catch (error) {
    if (isSyscallError(error, 'EACCES', 'ENOENT')) return false // the rename will say
    throw error
  }
}

/**
 * A directory would become a member of itself. Through a bind mount of a part of it, whose parents lie elsewhere, this is
 * noticed only by who copies it.
 *
 * @param cause  what the kernel has said already
 */
export function refuseIntoItself(kernel: Kernel, { source, target, stat }: Move, cause?: unknown): void {
  if (stat.type !== 'directory' || !isInside(kernel, target.directory, stat)) return
  const path = (place: Place) => displayName(describePlace(kernel, place))
  throw new IntoItselfError(path(source), path(target), cause)
}

/** Whether an open directory is another, or below it, as far as its parents can be seen. */
function isInside(kernel: Kernel, directory: Fd, other: Stat): boolean {
  let below: Stat | undefined
  try {
    for (let path = '.'; ; path += '/..') {
      const stat = kernel.statat(directory, path)
      if (isSameObject(stat, other)) return true
      if (below !== undefined && isSameObject(stat, below)) return false // the top is its own parent
      below = stat
    }
  } catch (error) {
    if (isSyscallError(error, 'EACCES', 'ENAMETOOLONG')) return false
    throw error
  }
}

/**
 * A source that cannot be renamed cannot be removed either: EPERM before the copy, as rename(2) has it. Of one on which
 * something is mounted only the contents would go.
 */
export function refuseUnmovable(kernel: Kernel, { source, target, stat }: Move): void {
  if (isMountPoint(stat)) throw new MountPointError(displayName(describePlace(kernel, source)))
  if (!isUnchangeable(stat)) return
  throw new SyscallError('EPERM', 'renameat2', describePlace(kernel, source), describePlace(kernel, target))
}

/**
 * In an append-only directory names can be made, but neither renamed nor removed: what was staged would stay there.
 */
export function refuseStaging(kernel: Kernel, { source, target, route }: Move): void {
  if (!isAppendOnly(route.targetDirectory)) return
  throw new SyscallError('EPERM', 'renameat2', describePlace(kernel, source), describePlace(kernel, target))
}

/** Whether members of a directory can neither be renamed nor removed. */
export function isAppendOnly({ attributes }: Stat): boolean {
  return (attributes & STATX_ATTR_APPEND) !== 0
}

function isUnchangeable({ attributes }: Stat): boolean {
  return (attributes & (STATX_ATTR_APPEND | STATX_ATTR_IMMUTABLE)) !== 0
}

/** Whether something is mounted where an object is. */
export function isMountPoint({ attributes }: Stat): boolean {
  return (attributes & STATX_ATTR_MOUNT_ROOT) !== 0
}
