// Putting a move on the disk: the object, then the directory that names it, then the one that does not any more.

import {
  displayName,
  type Fd,
  isSyscallError,
  type Kernel,
  type Name,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  type Stat,
} from '../sys/index.ts'
import { withDescriptor } from './descriptors.ts'
import { NotDurableError } from './errors.ts'
import { describePlace, type Place } from './place.ts'

/** `file`: when a move returns it survives a power cut. `none`: it survives a killed process only. */
export type Durability = 'file' | 'none'

/** The two directories of a move, once it is done; they throw NotDurableError. */
export interface DirectorySync {
  /** Makes the target's name durable. */
  target(): void
  /** Makes the absence of the source's name durable. */
  source(): void
}

const unsynced: DirectorySync = { target() {}, source() {} }

/**
 * Does `work` with both directories ready to be synced.
 *
 * They are opened first, so that a directory that cannot be opened is refused before anything changes.
 */
export function withDirectorySync<T>(
  kernel: Kernel,
  places: { source: Place; target: Place; durability: Durability },
  work: (sync: DirectorySync) => T,
): T {
  const { source, target, durability } = places
  if (durability === 'none') return work(unsynced)
  const open = ({ directory }: Place): Fd => kernel.openat(directory, '.', O_RDONLY | O_DIRECTORY)
  const sync = (fd: Fd) => () => {
    try {
      kernel.fsync(fd)
    } catch (error) {
      throw new NotDurableError(displayName(describePlace(kernel, target)), error)
    }
  }
  return withDescriptor(kernel, open(target), (targetFd) =>
    withDescriptor(kernel, open(source), (sourceFd) => work({ target: sync(targetFd), source: sync(sourceFd) })),
  )
}

/**
 * Writes an object that is about to be renamed to the disk: a file's contents; of a tree, or of a file that its owner
 * may move but not read, all of the file system.
 */
export function syncObject(kernel: Kernel, { directory, name }: Place, stat: Stat): void {
  if (stat.type !== 'file' && stat.type !== 'directory') return // it is its directory entry and inode
  const fd = tryOpen(kernel, directory, name) ?? kernel.openat(directory, '.', O_RDONLY | O_DIRECTORY)
  withDescriptor(kernel, fd, () => {
    if (stat.type === 'file' && kernel.fstat(fd).type === 'file') kernel.fsync(fd)
    else kernel.syncfs(fd)
  })
}

function tryOpen(kernel: Kernel, directory: Fd, name: Name): Fd | undefined {
  try {
    return kernel.openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  } catch (error) {
    if (isSyscallError(error, 'EACCES')) return undefined
    throw error
  }
}
