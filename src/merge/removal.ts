// Removing objects: staged ones that are not wanted, and old ones after the final marker.

import { withDescriptor } from '../movefile/index.ts'
import {
  AT_REMOVEDIR,
  type Fd,
  isSyscallError,
  joinName,
  type Kernel,
  type Name,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  type Stat,
} from '../sys/index.ts'
import type { Directory } from './root.ts'
import type { StepContext } from './steps.ts'

const setIdBits = 0o6000
const directoryFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW

/**
 * Removes an object, a directory with all that is in it.
 *
 * Objects that changed after the commit marker are somebody else's: they stay, with the directories above them, and
 * are reported.
 */
export function removeObject(context: RemovalContext, parent: Directory, name: Name, stat: Stat): void {
  const { kernel, leftOver } = context
  if (stat.type === 'directory') return removeTree(context, parent, name)
  if (stat.nlink > 1) context.linkedInodes.add(stat.ino)
  unlinkIfThere(kernel, parent.fd, name, leftOver, joinName(parent.name, name))
}

/** The part of StepContext that removal needs. */
export type RemovalContext = Pick<StepContext, 'kernel' | 'committedNs' | 'leftOver' | 'linkedInodes'>

function removeTree(context: RemovalContext, parent: Directory, name: Name): void {
  const { kernel } = context
  withDescriptor(kernel, kernel.openat(parent.fd, name, directoryFlags), (fd) => {
    const directory = { fd, name: joinName(parent.name, name) }
    for (const entry of kernel.readDirectory(fd)) {
      const stat = kernel.findat(fd, entry.name)
      if (stat === undefined) continue
      if (isForeign(context, stat))
        context.leftOver(joinName(directory.name, entry.name), 'was changed by somebody else')
      else removeObject(context, directory, entry.name, stat)
    }
  })
  try {
    kernel.unlinkat(parent.fd, name, AT_REMOVEDIR)
  } catch (error) {
    if (!isSyscallError(error, 'ENOTEMPTY', 'EEXIST')) throw error
  }
}

/**
 * Whether an object changed after the commit marker, so that it is not (or no longer) what was staged.
 *
 * A directory's own ctime moves when its children go, so only other objects tell; that of an inode with several names
 * moves when one of them is renamed or removed, so there its birth tells.
 */
function isForeign({ committedNs, linkedInodes }: RemovalContext, stat: Stat): boolean {
  if (committedNs === undefined || stat.type === 'directory') return false
  const isLinked = stat.nlink > 1 || linkedInodes.has(stat.ino)
  return isLinked ? (stat.btimeNs ?? 0n) > committedNs : stat.ctimeNs > committedNs
}

function unlinkIfThere(kernel: Kernel, fd: Fd, name: Name, leftOver: StepContext['leftOver'], fullName: Name): void {
  try {
    kernel.unlinkat(fd, name)
  } catch (error) {
    if (isSyscallError(error, 'ENOENT')) return
    if (!isSyscallError(error, 'EBUSY', 'EPERM')) throw error
    leftOver(fullName, error.message)
  }
}

/** Takes set-id bits and capabilities off an inode that is about to lose a name. */
export function harmless(kernel: Kernel, directory: Fd, name: Name, stat: Stat): void {
  if (stat.type !== 'file' || stat.nlink < 2) return
  withDescriptor(kernel, kernel.openat(directory, name, O_RDONLY | O_NOFOLLOW), (fd) => {
    if ((stat.mode & setIdBits) !== 0) kernel.fchmod(fd, stat.mode & ~setIdBits)
    if (kernel.listXattrs(fd).includes('security.capability')) kernel.removeXattr(fd, 'security.capability')
  })
}
