// Staging names that a process left behind when it died in the middle of a move.
//
// A living move holds a lock on what it stages; what cannot be locked (symlinks, nodes) exists for microseconds, and
// a move whose staging name was taken away under it simply stages again. So there is no guessing by age.

import {
  type Fd,
  isSyscallError,
  type Kernel,
  LOCK_EX,
  LOCK_NB,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
} from '../sys/index.ts'
import { withDescriptor } from './descriptors.ts'
import { isStagingName, type Place } from './place.ts'
import { removeTree } from './removeTree.ts'

/**
 * Removes what moves that died have left in a directory; a merge's staging names are its journal's and stay.
 *
 * It helps where it can: what may not be read, locked or removed stays.
 */
export function removeAbandoned(kernel: Kernel, directory: Fd): void {
  tolerating(() => {
    for (const { name } of kernel.readDirectory(directory)) {
      if (isStagingName(name, 'move')) tolerating(() => removeUnlessLocked(kernel, { directory, name }))
    }
  })
}

function removeUnlessLocked(kernel: Kernel, place: Place): void {
  const { type } = kernel.statat(place.directory, place.name)
  if (type !== 'file' && type !== 'directory') {
    kernel.unlinkat(place.directory, place.name)
    return
  }
  const fd = kernel.openat(place.directory, place.name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  withDescriptor(kernel, fd, () => {
    kernel.flock(fd, LOCK_EX | LOCK_NB)
    removeTree(kernel, place)
  })
}

/** Marks what is being staged as alive; where there are no locks, nothing is ever taken for abandoned. */
export function lockStaged(kernel: Kernel, fd: Fd): void {
  tolerating(() => kernel.flock(fd, LOCK_EX | LOCK_NB))
}

function tolerating(action: () => void): void {
  try {
    action()
  } catch (error) {
    if (!isSyscallError(error)) throw error
  }
}
