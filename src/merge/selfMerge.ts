// Images that are a part of the root that they are merged into, or contain it: what must not be taken out of them.

import { isSameObject } from '../movefile/index.ts'
import { displayName, type Fd, isSyscallError, joinName, type Kernel, type Name, type Stat } from '../sys/index.ts'
import { InvalidArgumentError, UnsafeEntryError } from './errors.ts'
import { nameBelow, realPath } from './realPath.ts'
import type { Root } from './root.ts'
import type { State } from './state.ts'
import type { TreeEntry, TreeImage } from './treeImage.ts'

/** What of a root no image may bring, or give away, known by its objects: the paths may be any. */
export class SelfMerge {
  readonly #kernel: Kernel
  readonly #root: Stat
  readonly #state: Stat | undefined
  /** Of both, the root first. */
  readonly #paths: readonly Name[]

  constructor({ kernel, fd, path }: Root, state: State) {
    this.#kernel = kernel
    this.#root = kernel.fstat(fd)
    const directory = state.find()
    this.#state = directory && kernel.fstat(directory.fd)
    const root = realPath(kernel, fd, path)
    this.#paths = directory === undefined ? [root] : [root, realPath(kernel, directory.fd, joinName(root, state.name))]
  }

  /**
   * Refuses an image in the state, one that is the root itself if it would be taken out of it, and one in which the
   * root or its state are seen at once: what contains them may be a whole system, which takes a minute to plan.
   *
   * @throws {InvalidArgumentError} @throws {UnsafeEntryError}
   */
  checkTop(image: TreeImage): void {
    const { path, mode, fd } = image
    if (mode === 'consume') return // a tree of our own
    const top = this.#kernel.fstat(fd)
    if (mode === 'move' && isSameObject(top, this.#root))
      throw new InvalidArgumentError(`the image '${displayName(path)}' is the root itself`, {
        hint: 'Merge it without --move, which would remove what it installs.',
      })
    if (this.#state !== undefined && this.#isWithin(fd, this.#state))
      throw new InvalidArgumentError(`the image '${displayName(path)}' lies in the state directory`, {
        hint: 'What is in there is no image: give another.',
      })
    for (const path of this.#paths) this.#checkWithin(image, path)
  }

  /** By their paths, which another mount may hide: then they are met among the entries. */
  #checkWithin(image: TreeImage, path: Name): void {
    const name = nameBelow(realPath(this.#kernel, image.fd, image.path), path)
    const stat = name === undefined || !image.brings(name) ? undefined : image.find(name)
    if (name !== undefined && stat !== undefined) this.checkEntry({ name, type: stat.type, stat })
  }

  /** Refuses the root and its state as directories of an image. @throws {UnsafeEntryError} */
  checkEntry({ name, type, stat }: TreeEntry): void {
    if (type !== 'directory') return
    if (isSameObject(stat, this.#root)) throw new UnsafeEntryError(name, 'is the root itself: leave it out (--exclude)')
    if (this.#state !== undefined && isSameObject(stat, this.#state))
      throw new UnsafeEntryError(name, 'is the state directory of the root: leave it out (--exclude)')
  }

  /** Refuses a directory that would be emptied because it is the one that it is merged into. @throws {UnsafeEntryError} */
  checkTaken({ name, type, stat }: TreeEntry, { mode }: TreeImage, live: () => Stat | undefined): void {
    if (type !== 'directory' || mode !== 'move') return
    const target = live()
    if (target !== undefined && isSameObject(stat, target))
      throw new UnsafeEntryError(name, 'is the very directory that it goes to: without --move nothing is taken from it')
  }

  /** Whether an open directory is another one, or below it. */
  #isWithin(fd: Fd, directory: Stat): boolean {
    try {
      for (let path = '.'; ; path = `../${path}`) {
        const [here, above] = [this.#kernel.statat(fd, path), this.#kernel.statat(fd, `../${path}`)]
        if (isSameObject(here, directory)) return true
        if (isSameObject(here, above)) return false
      }
    } catch (error) {
      if (isSyscallError(error, 'EACCES')) return false // the state can be read, so it is none of those above
      throw error
    }
  }
}
