// Removing objects: staged ones that are not wanted, and old ones after the final marker.

import { withDescriptor } from '../movefile/index.ts'
import {
  AT_REMOVEDIR,
  isSyscallError,
  joinName,
  type Name,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  type Stat,
} from '../sys/index.ts'
import { identityOf } from './identity.ts'
import type { Directory } from './root.ts'
import type { StepContext } from './steps/step.ts'

const directoryFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW

/** The part of StepContext that removal needs. */
export type RemovalContext = Pick<StepContext, 'kernel' | 'leftOver'>

/** Removes an object, a directory with all that is in it. */
export function removeObject(context: RemovalContext, parent: Directory, name: Name, stat: Stat): void {
  if (stat.type === 'directory') removeTree(context, parent, { name, within: '', members: undefined })
  else unlinkIfThere(context, parent, name)
}

/**
 * Removes of a directory that others could see what was listed in it.
 *
 * Whatever else is in it stays, with the directories above it, and is reported.
 */
export function removeListed(
  context: RemovalContext,
  parent: Directory,
  name: Name,
  members: ReadonlyMap<Name, string>,
): void {
  removeTree(context, parent, { name, within: '', members })
}

interface Tree {
  readonly name: Name
  /** Where it is in the directory that is removed. */
  readonly within: Name
  readonly members: ReadonlyMap<Name, string> | undefined
}

function removeTree(context: RemovalContext, parent: Directory, { name, within, members }: Tree): void {
  const { kernel } = context
  withDescriptor(kernel, kernel.openat(parent.fd, name, directoryFlags), (fd) => {
    const directory = { fd, name: joinName(parent.name, name) }
    for (const entry of kernel.readDirectory(fd)) {
      const stat = kernel.findat(fd, entry.name)
      if (stat === undefined) continue
      const place = joinName(within, entry.name)
      if (members !== undefined && members.get(place) !== identityOf(kernel, fd, entry.name)) {
        context.leftOver(joinName(directory.name, entry.name), 'is not of this transaction')
      } else if (stat.type === 'directory') removeTree(context, directory, { name: entry.name, within: place, members })
      else unlinkIfThere(context, directory, entry.name)
    }
  })
  try {
    kernel.unlinkat(parent.fd, name, AT_REMOVEDIR)
  } catch (error) {
    if (!isSyscallError(error, 'ENOTEMPTY', 'EEXIST', 'ENOENT')) throw error
  }
}

function unlinkIfThere({ kernel, leftOver }: RemovalContext, parent: Directory, name: Name): void {
  try {
    kernel.unlinkat(parent.fd, name)
  } catch (error) {
    if (isSyscallError(error, 'ENOENT')) return
    if (!isSyscallError(error, 'EBUSY', 'EPERM')) throw error
    leftOver(joinName(parent.name, name), error.message)
  }
}
