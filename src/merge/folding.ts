// Which directories of a root fold case, so that Name and name are one: what is to be placed there cannot be asked about.

import { isSameObject } from '../movefile/index.ts'
import { type Fd, FS_CASEFOLD_FL, isSyscallError, type Kernel, type Name } from '../sys/index.ts'
import type { Root } from './root.ts'
import { otherCase } from './spellings.ts'

/** Tells for each directory, once, whether it folds the case of the names in it. */
export class Folding {
  readonly #root: Root
  readonly #known = new Map<Name, boolean>()
  /** Of file systems, by device, what the names in one directory have shown. */
  readonly #shown = new Map<number, boolean>()

  constructor(root: Root) {
    this.#root = root
  }

  /** Of a directory that is there. */
  in(directory: Name): boolean {
    const known = this.#known.get(directory)
    if (known !== undefined) return known
    const fd = this.#root.findDirectory(directory)?.fd
    const folds = fd !== undefined && (hasFlag(this.#root.kernel, fd) || this.#byNames(fd))
    this.#known.set(directory, folds)
    return folds
  }

  /**
   * Most file systems that fold case do it everywhere, and have no flag to say so: then whatever name is in one of their
   * directories is there in the other case too.
   */
  #byNames(fd: Fd): boolean {
    const { kernel } = this.#root
    const { dev } = kernel.fstat(fd)
    const shown = this.#shown.get(dev) ?? foldsMembers(kernel, fd)
    if (shown !== undefined) this.#shown.set(dev, shown)
    return shown ?? false
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

/** Undefined where no member has letters. */
function foldsMembers(kernel: Kernel, fd: Fd): boolean | undefined {
  const listed = new Set(kernel.readDirectory(fd).map(({ name }) => name))
  for (const name of listed) {
    const other = otherCase(name)
    if (other === name || listed.has(other)) continue
    const stat = kernel.findat(fd, name)
    const found = stat && kernel.findat(fd, other)
    if (stat !== undefined) return found !== undefined && isSameObject(found, stat)
  }
  return undefined
}
