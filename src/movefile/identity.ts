// Whether two names mean one object, or are even one and the same entry of one directory.

import { type Fd, type Kernel, type Name, O_DIRECTORY, O_RDONLY, type Stat } from '../sys/index.ts'
import { withDescriptor } from './descriptors.ts'
import type { Place } from './place.ts'
import type { Route } from './route.ts'

/** Whether two stats are of one object. */
export function isSameObject(one: Stat, other: Stat): boolean {
  return one.ino === other.ino && one.dev === other.dev
}

/** Two places, and what is known of the directories that they are in. */
export interface Places {
  readonly source: Place
  readonly target: Place
  readonly route: Route
}

/**
 * Whether two places are one entry of one directory, perhaps through two mounts of it: renaming one to the other does
 * nothing, and removing one removes both.
 */
export function isSameEntry({ source, target, route }: Places): boolean {
  return route.isOneDirectory && source.name === target.name
}

/**
 * As isSameEntry, of two names that are known to mean one object: where a directory folds case, two spellings can be
 * one entry too, and then it lists only one of them.
 */
export function isSameEntryOfObject(kernel: Kernel, places: Places): boolean {
  const { source, target, route } = places
  if (!route.isOneDirectory) return false
  if (source.name === target.name) return true
  const listed = namesIn(kernel, source.directory)
  return !(listed.has(source.name) && listed.has(target.name))
}

/** Opened anew: the directory may be held by O_PATH, and one that cannot be listed has to say so (EACCES). */
function namesIn(kernel: Kernel, directory: Fd): Set<Name> {
  const fd = kernel.openat(directory, '.', O_RDONLY | O_DIRECTORY)
  return withDescriptor(kernel, fd, () => new Set(kernel.readDirectory(fd).map(({ name }) => name)))
}
