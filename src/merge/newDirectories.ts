// Directories that a merge makes: empty and private first, with the image's metadata when everything is in them.

import {
  applyAttributes,
  type Loss,
  MetadataLostError,
  type Mover,
  type Place,
  readAttributes,
  withDescriptor,
} from '../movefile/index.ts'
import { displayName, type Fd, type Kernel, O_DIRECTORY, O_NOFOLLOW, O_RDONLY } from '../sys/index.ts'
import type { PlannedEntry } from './plan.ts'

const directoryFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW

/** Makes a directory, mode 0700; `isTop` when its parent is a live directory. */
export function makeNewDirectory(kernel: Kernel, { directory, name }: Place, isTop: boolean): void {
  kernel.mkdirat(directory, name, 0o700)
  if (isTop) takeOffInheritance(kernel, directory, name)
}

/** A default ACL and a set-group-id bit of the live parent would be handed on to every child of the new directory. */
function takeOffInheritance(kernel: Kernel, parent: Fd, name: string): void {
  withDescriptor(kernel, kernel.openat(parent, name, directoryFlags), (fd) => {
    for (const xattr of kernel.listXattrs(fd)) if (xattr.startsWith('system.posix_acl_')) kernel.removeXattr(fd, xattr)
    if (kernel.fstat(fd).mode !== 0o700) kernel.fchmod(fd, 0o700)
  })
}

/**
 * Gives a new directory the metadata of the image's; after everything was made in it, since that moves its mtime.
 *
 * @param onLost  called with the open directory, and what of its metadata could not be kept
 * @returns its inode flags, of which some are set when everything is in place
 * @throws {MetadataLostError} where all of it has to be
 */
export function finishNewDirectory(
  mover: Mover,
  { entry, from }: PlannedEntry,
  made: Place,
  onLost: (fd: Fd, losses: readonly Loss[]) => void,
): number | undefined {
  const { kernel, policy } = mover
  const within = <T>(place: Place, body: (fd: Fd) => T) =>
    withDescriptor(kernel, kernel.openat(place.directory, place.name, directoryFlags), body)
  return within(from.image.place(entry.name), (source) =>
    within(made, (fd) => {
      const attributes = readAttributes(kernel, source, entry.stat, policy)
      const lost = applyAttributes(kernel, { fd, type: 'directory' }, attributes, policy)
      if (lost.length > 0 && policy.metadata === 'require') throw new MetadataLostError(displayName(entry.name), lost)
      if (lost.length > 0) onLost(fd, lost)
      return attributes.inodeFlags
    }),
  )
}
