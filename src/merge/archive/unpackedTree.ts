// The hidden tree that an archive is unpacked into: inside the state directory, from where its objects are renamed into
// the root. It is locked by whoever fills it, so that the next one can tell a tree that was left behind.

import { quietly, withDescriptor } from '../../movefile/index.ts'
import {
  AT_REMOVEDIR,
  displayName,
  type Fd,
  isSyscallError,
  type Kernel,
  LOCK_EX,
  LOCK_NB,
  type Name,
  O_NOFOLLOW,
  O_RDONLY,
  SyscallError,
} from '../../sys/index.ts'
import { removeObject } from '../removal.ts'
import { type Directory, Root } from '../root.ts'

const prefix: Name = '.rootmerge-unpacked-'
/** Trees that are tried, should somebody remove each before it is locked. */
const mostAttempts = 16

/** A directory that hidden trees are made in. */
export interface Spool {
  readonly root: Root
  /** Relative to `root`. */
  readonly name: Name
}

/** A hidden tree, empty at first; it is there until `remove` was called, or its process has ended and another looks. */
export class UnpackedTree {
  readonly #kernel: Kernel
  readonly #spool: Spool
  readonly #name: Name
  readonly #fd: Fd
  /** The tree as names are resolved in it; closed by whoever has filled it. */
  readonly root: Root
  /** Whether what is made in it gets extended attributes only from whoever makes it: a kernel that labels, labels the tree too. */
  readonly givesNoXattrs: boolean

  constructor(kernel: Kernel, spool: Spool) {
    this.#kernel = kernel
    this.#spool = spool
    const { name, fd } = makeLocked(kernel, this.#parent())
    this.#name = name
    this.#fd = fd
    try {
      withoutInheritance(kernel, this.#fd)
      this.givesNoXattrs = kernel.listXattrs(this.#fd).length === 0
      this.root = new Root(kernel, this.path)
    } catch (error) {
      this.remove()
      throw error
    }
  }

  /** A path to the tree for this process, while it is open. */
  get path(): Name {
    return `/proc/self/fd/${this.#fd}`
  }

  /**
   * Removes the tree with all that is still in it.
   *
   * What the kernel does not let go stays for the next one who looks: the merge itself has succeeded or failed by now, and
   * is not told to be otherwise.
   */
  remove(): void {
    quietly(() => removeTree(this.#kernel, this.#parent(), this.#name))
    quietly(() => this.#kernel.close(this.#fd))
  }

  #parent(): Directory {
    return this.#spool.root.directory(this.#spool.name)
  }
}

/**
 * Makes a directory and locks it.
 *
 * Who looks for abandoned trees may meet one between the two, and take it for that: then the next one is tried.
 */
function makeLocked(kernel: Kernel, { fd: parent }: Directory): { readonly name: Name; readonly fd: Fd } {
  for (let attempt = 1; ; attempt++) {
    const name = `${prefix}${process.pid}-${process.hrtime.bigint().toString(36)}`
    kernel.mkdirat(parent, name, 0o700)
    try {
      return { name, fd: lockNew(kernel, parent, name) }
    } catch (error) {
      quietly(() => kernel.unlinkat(parent, name, AT_REMOVEDIR))
      if (attempt === mostAttempts || !isSyscallError(error, 'ENOENT', 'EAGAIN')) throw error
    }
  }
}

/** @throws {SyscallError} EAGAIN when somebody looks at it, ENOENT when he has removed it */
function lockNew(kernel: Kernel, parent: Fd, name: Name): Fd {
  const fd = kernel.openat(parent, name, O_RDONLY | O_NOFOLLOW)
  try {
    kernel.flock(fd, LOCK_EX | LOCK_NB)
    if (kernel.statat(parent, name).ino === kernel.fstat(fd).ino) return fd
    throw new SyscallError('ENOENT', 'statat', name)
  } catch (error) {
    quietly(() => kernel.close(fd))
    throw error
  }
}

/** Removes hidden trees whose maker has died: nobody holds their lock. One that cannot be removed now hinders nobody. */
export function removeAbandonedTrees(kernel: Kernel, parent: Directory): void {
  for (const { name } of kernel.readDirectory(parent.fd))
    if (name.startsWith(prefix)) quietly(() => removeIfAbandoned(kernel, parent, name))
}

function removeIfAbandoned(kernel: Kernel, parent: Directory, name: Name): void {
  withDescriptor(kernel, kernel.openat(parent.fd, name, O_RDONLY | O_NOFOLLOW), (fd) => {
    kernel.flock(fd, LOCK_EX | LOCK_NB) // EAGAIN: its maker lives
    removeTree(kernel, parent, name)
  })
}

function removeTree(kernel: Kernel, parent: Directory, name: Name): void {
  const leftOver = (left: Name, reason: string) => {
    throw new Error(`${displayName(left)}: ${reason}`)
  }
  const stat = kernel.findat(parent.fd, name)
  if (stat !== undefined) removeObject({ kernel, leftOver }, parent, name, stat)
}

/** What is unpacked gets neither a default ACL nor the group of the directory around it. */
function withoutInheritance(kernel: Kernel, fd: Fd): void {
  for (const xattr of kernel.listXattrs(fd)) if (xattr.startsWith('system.posix_acl_')) kernel.removeXattr(fd, xattr)
  if (kernel.fstat(fd).mode !== 0o700) kernel.fchmod(fd, 0o700)
}
