// The append and immutable flags: set when everything is in place, because they forbid renaming.

import {
  displayName,
  type Fd,
  isSyscallError,
  type Kernel,
  type Name,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  RESOLVE_BENEATH,
  RESOLVE_NO_SYMLINKS,
} from '../sys/index.ts'
import { withDescriptor } from './descriptors.ts'
import { afterCommit, setInodeFlags } from './inodeFlags.ts'
import { type Loss, Losses } from './losses.ts'
import type { Place } from './place.ts'

/** Flags that one object of a tree gets when the tree is in place; the name '' is its top. */
export interface FinalFlags {
  readonly name: Name
  readonly flags: number
}

/** Those of an object's flags that come last; none for most objects. */
export function finalFlagsOf(name: Name, inodeFlags: number | undefined): FinalFlags[] {
  const flags = (inodeFlags ?? 0) & afterCommit
  return flags === 0 ? [] : [{ name, flags }]
}

/** Sets the last flags of an object, or of the objects of a tree, that is in place; any refusal is a loss by now. */
export function setFinalFlags(kernel: Kernel, place: Place, finals: readonly FinalFlags[]): Loss[] {
  return finals.flatMap(({ name, flags }) => {
    const lost = new Losses()
    try {
      withDescriptor(kernel, openBelow(kernel, place, name), (fd) => {
        setInodeFlags(kernel, fd, { flags, mask: afterCommit }, lost)
      })
    } catch (error) {
      if (!isSyscallError(error)) throw error
      lost.add('inodeFlags', error)
    }
    return name === '' ? lost.list : lost.list.map((loss) => ({ ...loss, path: displayName(name) }))
  })
}

/** The tree is in place and others may write to it by now, so no symlink is followed. */
function openBelow(kernel: Kernel, { directory, name: top }: Place, name: Name): Fd {
  const resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS
  const path = name === '' ? top : `${top}/${name}`
  return kernel.openat2(directory, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, resolve)
}
