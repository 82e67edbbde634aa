// Removing what was staged, whatever it is and whatever its permissions have become.

import {
  AT_REMOVEDIR,
  type Fd,
  isSyscallError,
  type Kernel,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
} from '../sys/index.ts'
import { withDescriptor } from './descriptors.ts'
import type { Place } from './place.ts'

/**
 * Removes an object of our own with everything below it; never follows a symlink.
 *
 * Directories that their new mode keeps us out of are opened up first. It cannot be cancelled: it is what cancelling
 * does.
 */
export function removeTree(kernel: Kernel, place: Place): void {
  const { directory, name } = place
  try {
    kernel.unlinkat(directory, name)
    return
  } catch (error) {
    if (isSyscallError(error, 'ENOENT')) return
    // unlink(2) of a directory, on Linux; what POSIX has for it, EPERM, is an immutable object or a sticky directory here.
    if (!isSyscallError(error, 'EISDIR')) throw error
  }
  if (removeEmpty(kernel, place)) return
  withDescriptor(kernel, openOwnDirectory(kernel, place), (fd) => removeMembers(kernel, fd))
  kernel.unlinkat(directory, name, AT_REMOVEDIR)
}

/** Before anything is opened: where descriptors have run out, what was being made can still be removed. */
function removeEmpty(kernel: Kernel, { directory, name }: Place): boolean {
  try {
    kernel.unlinkat(directory, name, AT_REMOVEDIR)
    return true
  } catch (error) {
    if (isSyscallError(error, 'ENOTEMPTY', 'EEXIST')) return false
    throw error
  }
}

function removeMembers(kernel: Kernel, directory: Fd): void {
  for (const { name } of kernel.readDirectory(directory)) removeTree(kernel, { directory, name })
}

function openOwnDirectory(kernel: Kernel, { directory, name }: Place): Fd {
  const handle = kernel.openat(directory, name, O_PATH | O_DIRECTORY | O_NOFOLLOW)
  return withDescriptor(kernel, handle, () => {
    if ((kernel.fstat(handle).mode & 0o700) !== 0o700) kernel.fchmodat2(handle, 0o700)
    return kernel.openat(handle, '.', O_RDONLY | O_DIRECTORY)
  })
}
