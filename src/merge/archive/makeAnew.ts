// Making an object under a name of the hidden tree, where an earlier member of the same name has to go.

import { type Fd, isSyscallError, type Kernel, type Name } from '../../sys/index.ts'
import { UnsafeEntryError } from '../errors.ts'

const tooLong = 'has a name or target that is longer than the file system allows'

/** Whatever is refused because a name is too long, as an error of the entry. */
export function withinLength<T>(name: Name, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (isSyscallError(error, 'ENAMETOOLONG')) throw new UnsafeEntryError(name, tooLong)
    throw error
  }
}

/** Where an object is made: an open directory of the tree, and the name in it. */
export interface NewPlace {
  readonly kernel: Kernel
  readonly directory: Fd
  readonly component: Name
  /** The whole name, for errors. */
  readonly name: Name
}

/**
 * Makes an object; one that an earlier member made under the same name goes.
 *
 * @param make  fails with EEXIST where there is one
 * @throws {UnsafeEntryError} when that is a directory, or the name too long
 */
export function makeAnew<T>({ kernel, directory, component, name }: NewPlace, make: () => T): T {
  try {
    return withinLength(name, make)
  } catch (error) {
    if (!isSyscallError(error, 'EEXIST')) throw error
  }
  if (kernel.statat(directory, component).type === 'directory')
    throw new UnsafeEntryError(name, 'is a directory in the same archive')
  kernel.unlinkat(directory, component)
  return make()
}
