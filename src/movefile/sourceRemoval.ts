// Removing the source of a move once its copy is in place: only what was copied, and only if it still is that.

import { AT_REMOVEDIR, displayName, type Kernel, type Name, type Stat } from '../sys/index.ts'
import { withDescriptor } from './descriptors.ts'
import { SourceNotRemovedError, SourceReplacedError } from './errors.ts'
import { isSameObject } from './identity.ts'
import { describePlace, type Place } from './place.ts'
import { openDirectory } from './rename.ts'

/** One object as it was copied, and for a directory what of it was. */
export interface CopiedObject {
  readonly stat: Pick<Stat, 'type' | 'ino' | 'dev' | 'size' | 'mtimeNs'>
  readonly members?: ReadonlyMap<Name, CopiedObject>
}

/**
 * Removes the source of a move whose target is in place.
 *
 * @throws {SourceNotRemovedError} when it cannot be removed, or is not what was copied any more (then it stays)
 */
export function removeSource(kernel: Kernel, source: Place, target: Place, copied: CopiedObject): void {
  try {
    removeCopied(kernel, source, copied)
  } catch (error) {
    const path = (place: Place) => displayName(describePlace(kernel, place))
    throw new SourceNotRemovedError(path(source), path(target), error)
  }
}

function removeCopied(kernel: Kernel, place: Place, copied: CopiedObject): void {
  const { directory, name } = place
  const now = kernel.findat(directory, name)
  if (now === undefined) return
  if (!isUnchanged(now, copied.stat)) {
    throw new SourceReplacedError(displayName(describePlace(kernel, place)), 'changed after it was copied')
  }
  if (copied.members === undefined) {
    kernel.unlinkat(directory, name)
    return
  }
  const members = copied.members
  withDescriptor(kernel, openDirectory(kernel, place), (fd) => {
    for (const [member, record] of members) removeCopied(kernel, { directory: fd, name: member }, record)
  })
  kernel.unlinkat(directory, name, AT_REMOVEDIR)
}

/** A directory's size and time change with every member that goes; the change time of a file with every link. */
function isUnchanged(now: Stat, copied: CopiedObject['stat']): boolean {
  if (now.type !== copied.type || !isSameObject(now, copied as Stat)) return false
  return now.type === 'directory' || (now.size === copied.size && now.mtimeNs === copied.mtimeNs)
}
