// What callers call something inside a root: paths as they are typed, as names.

import { baseName, joinName, type Name, parentName } from '../sys/index.ts'
import { InvalidArgumentError } from './errors.ts'
import type { Root } from './root.ts'

/** The components of a path: slashes at its ends, a second one, and `.` mean nothing. `..` is left to the caller. */
export function componentsOf(path: Name): Name[] {
  return path.split('/').filter((component) => component !== '' && component !== '.')
}

/**
 * A path as a name inside the root: `..` leads to where the directory before it lies, and never out of the root.
 *
 * @throws {InvalidArgumentError} for an empty one, which would be the whole root: a variable that was not set
 */
export function nameInside(root: Root, path: Name): Name {
  if (path === '') throw new InvalidArgumentError('a path is empty', { hint: 'Leave it out, or say which one.' })
  let name: Name = ''
  for (const component of componentsOf(path)) {
    if (component === '..') name = parentName(root.findDirectory(name)?.name ?? name)
    else name = joinName(name, component)
  }
  return name
}

/** A name without symlinks in the directories above it, as far as they are there. */
export function resolvedInside(root: Root, name: Name): Name {
  return joinName(root.findDirectory(parentName(name))?.name ?? parentName(name), baseName(name))
}
