// Which directories of a root fold case, so that Name and name are one: what is to be placed there cannot be asked about.

import { isSameObject } from '../movefile/index.ts'
import {
  baseName,
  type Fd,
  FS_CASEFOLD_FL,
  isSyscallError,
  joinName,
  type Kernel,
  type Name,
  parentName,
  type Stat,
} from '../sys/index.ts'
import type { Root } from './root.ts'
import { otherCase } from './spellings.ts'

/** Tells for each directory, once, whether it folds the case of the names in it. */
export class Folding {
  readonly #root: Root
  readonly #known = new Map<Name, boolean>()

  constructor(root: Root) {
    this.#root = root
  }

  /** Of a directory that is there. */
  in(directory: Name): boolean {
    const known = this.#known.get(directory)
    if (known !== undefined) return known
    const fd = this.#root.findDirectory(directory)?.fd
    const folds = fd !== undefined && (hasFlag(this.#root.kernel, fd) || this.#byNames(directory, fd))
    this.#known.set(directory, folds)
    return folds
  }

  /**
   * Most file systems that fold case do it everywhere, and have no flag to say so: then a directory's own name is there in
   * the other case too. Where a file system begins, only what is in it can tell.
   */
  #byNames(directory: Name, fd: Fd): boolean {
    const { kernel } = this.#root
    const stat = kernel.fstat(fd)
    const [parent, name] = [parentName(directory), baseName(directory)]
    const above = directory === '' ? undefined : this.#root.find(parent === '' ? '.' : parent)
    if (above?.dev !== stat.dev) return foldsMembers(kernel, fd)
    const other = otherCase(name)
    if (other === name) return this.in(parent)
    return isObject(this.#root.find(joinName(parent, other)), stat)
  }
}

function hasFlag(kernel: Kernel, fd: Fd): boolean {
  try {
    return (kernel.getInodeFlags(fd) & FS_CASEFOLD_FL) !== 0
  } catch (error) {
    if (isSyscallError(error, 'ENOTTY', 'EOPNOTSUPP', 'EINVAL', 'ENOSYS')) return false
    throw error
  }
}

function foldsMembers(kernel: Kernel, fd: Fd): boolean {
  const listed = new Set(kernel.readDirectory(fd).map(({ name }) => name))
  for (const name of listed) {
    const other = otherCase(name)
    if (other === name || listed.has(other)) continue
    const stat = kernel.findat(fd, name)
    if (stat !== undefined) return isObject(kernel.findat(fd, other), stat)
  }
  return false
}

function isObject(found: Stat | undefined, stat: Stat): boolean {
  return found !== undefined && isSameObject(found, stat)
}
