// Refusals that the kernel would give only when all the copying is done, given before it begins.

import { SameFileError } from '../filecopy/index.ts'
import {
  displayName,
  type ErrnoName,
  isSyscallError,
  type Kernel,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  STATX_ATTR_APPEND,
  STATX_ATTR_IMMUTABLE,
  type Stat,
  SyscallError,
} from '../sys/index.ts'
import { withDescriptor } from './descriptors.ts'
import { isSameObject } from './identity.ts'
import type { Move } from './mover.ts'
import { describePlace, type Place } from './place.ts'

/**
 * @returns what the copy will replace
 * @throws what rename(2) will answer when the copy is renamed over the target, if that can be known already
 */
export function refuseHopeless(kernel: Kernel, { source, target, stat, options }: Move): Stat | undefined {
  const existing = kernel.findat(target.directory, target.name)
  if (existing === undefined) return undefined
  const path = (place: Place) => describePlace(kernel, place)
  if (isSameObject(existing, stat)) {
    throw new SameFileError(`'${displayName(path(source))}' and '${displayName(path(target))}'`)
  }
  const code = options.noReplace ? 'EEXIST' : refusalOf(kernel, stat, target, existing)
  if (code !== undefined) throw new SyscallError(code, 'renameat2', path(source), path(target))
  return existing
}

/** rename(2), ERRORS: what cannot replace what. */
function refusalOf(kernel: Kernel, stat: Stat, target: Place, existing: Stat): ErrnoName | undefined {
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

/** A source that cannot be renamed cannot be removed either: EPERM before the copy, as rename(2) has it. */
export function refuseUnmovable(kernel: Kernel, { source, target, stat }: Move): void {
  if ((stat.attributes & (STATX_ATTR_APPEND | STATX_ATTR_IMMUTABLE)) === 0) return
  throw new SyscallError('EPERM', 'renameat2', describePlace(kernel, source), describePlace(kernel, target))
}
