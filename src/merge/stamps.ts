// Stamps: what tells that an object is the very one that a transaction left, unchanged.

import { type Place, withDescriptor } from '../movefile/index.ts'
import { joinName, type Kernel, type Name, O_DIRECTORY, O_NOFOLLOW, O_RDONLY } from '../sys/index.ts'
import { identityOf } from './identity.ts'

/**
 * The stamp of an object: its type, owner and mode; who it is, its size and mtime, too, but for directories: they are
 * what is in them, and one that an undo has made again is as good as the first. Undefined for an absent name.
 *
 * @param mode  the mode that the object is going to have, where that is another one
 */
export function stampOf(kernel: Kernel, { directory, name }: Place, mode?: number): string | undefined {
  const stat = kernel.findat(directory, name)
  if (stat === undefined) return undefined
  const { type, uid, gid, size, mtimeNs } = stat
  const own = type === 'directory' ? [] : [identityOf(kernel, directory, name), size, mtimeNs]
  return [type, (mode ?? stat.mode).toString(8), uid, gid, ...own].join(' ')
}

/**
 * The stamps of all that is in a directory, by the name within.
 *
 * @param modes  the modes that some are going to have, by their names within
 */
export function stampsIn(
  kernel: Kernel,
  place: Place,
  modes: ReadonlyMap<Name, number> = new Map(),
): Record<Name, string> {
  const stamps = new Map<Name, string>()
  collect(kernel, place, '', (within, member) => stamps.set(within, stampOf(kernel, member, modes.get(within)) ?? ''))
  return Object.fromEntries(stamps)
}

function collect(
  kernel: Kernel,
  { directory, name }: Place,
  within: Name,
  onMember: (within: Name, member: Place) => void,
): void {
  withDescriptor(kernel, kernel.openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW), (fd) => {
    for (const entry of kernel.readDirectory(fd)) {
      const place = { directory: fd, name: entry.name }
      const full = joinName(within, entry.name)
      onMember(full, place)
      if (kernel.statat(fd, entry.name).type === 'directory') collect(kernel, place, full, onMember)
    }
  })
}
