// Further names of objects that are staged.

import type { Place } from '../movefile/index.ts'
import { isSyscallError, type Kernel } from '../sys/index.ts'

/** Links a staged object; false where that cannot be: mounts may be below the root, and some file systems have no links. */
export function tryLink(kernel: Kernel, existing: Place, place: Place): boolean {
  try {
    kernel.linkat(existing.directory, existing.name, place.directory, place.name)
    return true
  } catch (error) {
    if (!isSyscallError(error, 'EXDEV', 'EMLINK', 'EPERM', 'EOPNOTSUPP', 'ENOSYS')) throw error
    return false
  }
}
