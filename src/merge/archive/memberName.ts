// What a member's path becomes inside the image, or why it cannot.

import type { Name } from '../../sys/index.ts'
import { UnsafeEntryError } from '../errors.ts'

/** What an image's names may not begin with: they would be taken for our own. */
export const reservedPrefix = '.rootmerge-'

/** A component that is empty or begins with a dot, or a NUL. */
const unusual = /(?:^|\/)(?:[/.]|$)|\0/

/**
 * A member's path as a name inside the image; '' for the image itself, and for what loses all its components.
 *
 * @throws {UnsafeEntryError} for an absolute path, `..`, a NUL, or a staging name
 */
export function memberName(path: Name, stripComponents: number): Name {
  const plain = path.startsWith('./') ? path.slice(2) : path
  if (stripComponents === 0 && !unusual.test(plain)) return plain
  if (path.startsWith('/')) throw new UnsafeEntryError(path, 'has an absolute name')
  if (path.includes('\0')) throw new UnsafeEntryError(path, 'has a NUL in its name')
  const components = path.split('/').filter((component) => component !== '' && component !== '.')
  if (components.includes('..')) throw new UnsafeEntryError(path, 'leads upwards')
  const kept = components.slice(stripComponents)
  if (kept.some((component) => component.startsWith(reservedPrefix)))
    throw new UnsafeEntryError(path, `names that begin with ${reservedPrefix} are rootmerge's own`)
  return kept.join('/')
}
