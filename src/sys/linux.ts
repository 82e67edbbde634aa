// The Kernel of Linux: one small method per system call, by subject, numbers and memory from door.ts.

import { AT_FDCWD } from './constants.ts'
import { contentCalls, durabilityCalls, extentCalls } from './contentCalls.ts'
import { descriptorCalls } from './descriptorCalls.ts'
import { openDoor } from './door.ts'
import { isSyscallError } from './errors.ts'
import { inspectionCalls, permissionCalls } from './inspectionCalls.ts'
import type { Fd, Kernel, Name } from './kernel.ts'
import { inodeFlagCalls, metadataCalls } from './metadataCalls.ts'
import { nameCalls } from './nameCalls.ts'
import { type FsXattr, listingCalls, loadFsXattr, xattrCalls } from './xattrCalls.ts'

/** The kernel with everything that can be loaded for it (fs-xattr). */
export async function openKernel(): Promise<Kernel> {
  return linuxKernel(loadFsXattr)
}

/**
 * The kernel of the machine at hand, for the calling thread alone.
 *
 * @param load  loads fs-xattr, which is not used otherwise
 * @throws {UnsupportedPlatformError} where there is none
 */
export function linuxKernel(load?: () => FsXattr | undefined): Kernel {
  const door = openDoor()
  return {
    ...descriptorCalls(door),
    ...inspectionCalls(door),
    ...permissionCalls(door),
    ...nameCalls(door),
    ...metadataCalls(door),
    ...xattrCalls(door, load),
    ...listingCalls(door),
    ...inodeFlagCalls(door),
    ...contentCalls(door),
    ...extentCalls(door),
    ...durabilityCalls(door),
  }
}

/** Opens the file system's root directory or any path outside a root, by the process's own view. */
export function openPath(kernel: Kernel, path: Name, flags: number): Fd {
  return kernel.openat(AT_FDCWD, path, flags)
}

/** As openat, but undefined when the name is absent. */
export function tryOpenat(kernel: Kernel, directory: Fd, path: Name, flags: number): Fd | undefined {
  try {
    return kernel.openat(directory, path, flags)
  } catch (error) {
    if (isSyscallError(error, 'ENOENT')) return undefined
    throw error
  }
}
