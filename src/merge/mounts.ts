// Which mount a directory of the root is on: recovery must not take a file system that is not mounted for an empty one.

import { type Name, parentName, STATX_ATTR_MOUNT_ROOT, type Stat } from '../sys/index.ts'
import type { Root } from './root.ts'

/** Answers, for directories of one root, at which of them something is mounted. */
export class Mounts {
  readonly #root: Root
  readonly #known = new Map<Name, Name>()

  constructor(root: Root) {
    this.#root = root
  }

  /** The name of the mount point that a directory lies on; '' for the root's own file system. */
  of(name: Name): Name {
    if (name === '') return ''
    const known = this.#known.get(name)
    if (known !== undefined) return known
    const mount = this.isMountPoint(name) ? name : this.of(parentName(name))
    this.#known.set(name, mount)
    return mount
  }

  /** Whether something is mounted on a directory now. */
  isMountPoint(name: Name): boolean {
    const { kernel } = this.#root
    const directory = this.#root.findDirectory(name)
    if (directory === undefined) return false
    const stat = kernel.fstat(directory.fd)
    if ((stat.attributes & STATX_ATTR_MOUNT_ROOT) !== 0) return true
    return this.#devOf(parentName(name)) !== stat.dev // kernels before 5.8 do not tell of mounts
  }

  /** When the directory on top of a mount was made: another file system's tells another time. Some do not know. */
  bornNs(mount: Name): string | undefined {
    const top = mount === '' ? undefined : this.#root.findDirectory(mount)
    return top && this.#root.kernel.fstat(top.fd).btimeNs?.toString()
  }

  #devOf(name: Name): Stat['dev'] | undefined {
    const directory = this.#root.findDirectory(name)
    return directory && this.#root.kernel.fstat(directory.fd).dev
  }
}
