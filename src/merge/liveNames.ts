// The names that a package's record claims: as it has them, and as they are behind the symlinks of the root.

import { baseName, joinName, type Name, parentName } from '../sys/index.ts'
import type { State } from './state.ts'

/**
 * A function that gives every name of a package's record to `take`, and where its directory is reached through a
 * symlink (lib -> usr/lib) the name without it too: another package may know the object by that one.
 *
 * Each directory is looked at once, however many packages have it.
 */
export function eachLiveName(state: State): (packageName: string, take: (name: Name) => void) => void {
  const directories = new Map<Name, Name>([['', '']])
  const live = (parent: Name) => {
    const known = directories.get(parent)
    if (known !== undefined) return known
    const found = state.root.findDirectory(parent)?.name ?? parent
    directories.set(parent, found)
    return found
  }
  return (packageName, take) => {
    state.eachName(packageName, (name) => {
      take(name)
      const parent = parentName(name)
      const directory = live(parent)
      if (directory !== parent) take(joinName(directory, baseName(name)))
    })
  }
}
