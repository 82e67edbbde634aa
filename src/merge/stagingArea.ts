// Where a transaction makes what is new: under its own hidden names, in directories that the journal knows.

import { quietly } from '../movefile/index.ts'
import {
  type Fd,
  isSyscallError,
  type Kernel,
  magics,
  type Name,
  O_DIRECTORY,
  O_RDONLY,
  parentName,
  type Stat,
} from '../sys/index.ts'
import { NotMountedError, RootChangedError, type WrongMount } from './errors.ts'
import { identityOf } from './identity.ts'
import type { Journal, JournaledDirectory } from './journal.ts'
import type { Members } from './members.ts'
import { Mounts } from './mounts.ts'
import { removeObject } from './removal.ts'
import type { Directory, Root } from './root.ts'
import { keepAside } from './steps/renaming.ts'
import type { StepContext } from './steps.ts'
import { type JournaledTakings, Takings } from './takings.ts'

/** The beginning of every name that a transaction makes for itself. */
export function stagingPrefix(id: string): Name {
  return `.rootmerge-${id}-`
}

/** The directories of one transaction, by number, and its staging names. */
export class StagingArea {
  readonly root: Root
  readonly id: string
  /** What is taken out of images. */
  readonly takings: Takings
  readonly #byNumber: JournaledDirectory[] = []
  readonly #numbers = new Map<Name, number>()
  /** The open directories whose identity has been checked. */
  readonly #checked = new Map<number, Directory>()
  /** One descriptor for each file system, opened before anything was written to it. */
  readonly #fileSystems = new Map<number, Fd>()
  readonly #mounts: Mounts
  #names = 0

  constructor(root: Root, id: string, known: readonly JournaledDirectory[] = [], takings?: JournaledTakings) {
    this.root = root
    this.id = id
    this.#mounts = new Mounts(root)
    this.takings = new Takings(root, takings)
    for (const directory of known) this.#add(directory)
  }

  /**
   * Journals directories, by their names without symlinks, before the first staging name is made in them.
   *
   * Not durable before the journal's next flush.
   */
  announce(names: Iterable<Name>, journal: Journal): void {
    const { kernel } = this.root
    for (const name of names) {
      if (this.#numbers.has(name)) continue
      const mount = this.#mounts.of(name)
      const { fd } = this.root.directory(name)
      const stat = kernel.fstat(fd)
      copyUp(kernel, fd, stat)
      const mountBornNs = this.#mounts.bornNs(mount)
      const directory = {
        number: this.#byNumber.length,
        name,
        identity: identityOf(kernel, fd, '') ?? '',
        mtimeNs: String(stat.mtimeNs),
        mount,
        ...(mountBornNs === undefined ? {} : { mountBornNs }),
      }
      this.#add(directory)
      journal.append({ kind: 'directory', ...directory })
      this.#openFileSystem(fd, stat.dev)
    }
  }

  /** After a restart: opens the file systems of the journaled directories, so that they can be synced. */
  openFileSystems(): void {
    for (const { number } of this.#byNumber) {
      const directory = this.find(number)
      if (directory !== undefined) this.#openFileSystem(directory.fd, this.root.kernel.fstat(directory.fd).dev)
    }
  }

  #openFileSystem(fd: Fd, dev: number): void {
    if (this.#fileSystems.has(dev)) return
    this.#fileSystems.set(dev, this.root.kernel.openat(fd, '.', O_RDONLY | O_DIRECTORY))
  }

  #add(directory: JournaledDirectory): void {
    this.#byNumber.push(directory)
    this.#numbers.set(directory.name, directory.number)
  }

  /** The number of an announced directory. */
  numberOf(name: Name): number {
    const number = this.#numbers.get(name)
    if (number === undefined) throw new Error(`'${name}' was not announced`)
    return number
  }

  /** The journaled directories, by number. */
  get directories(): readonly JournaledDirectory[] {
    return this.#byNumber
  }

  /**
   * Opens a journaled directory, or throws when its path now leads to another one.
   *
   * @throws {NotMountedError} the file system that it is on is not mounted, or another one is mounted over it
   * @throws {RootChangedError} a directory that was swapped
   * @throws {SyscallError} ENOENT when it has gone
   */
  open(number: number): Directory {
    const journaled = this.#byNumber[number]
    if (journaled === undefined) throw new RangeError(`no directory ${number} in the journal`)
    const directory = this.#openMounted(journaled)
    if (this.#checked.get(number) === directory) return directory
    if (identityOf(this.root.kernel, directory.fd, '') !== journaled.identity) {
      this.#demandMount(journaled)
      throw new RootChangedError(this.root.pathOf(journaled.name), 'became another directory')
    }
    this.#checked.set(number, directory)
    return directory
  }

  #openMounted(journaled: JournaledDirectory): Directory {
    try {
      return this.root.directory(journaled.name)
    } catch (error) {
      if (isSyscallError(error, 'ENOENT', 'ENOTDIR')) this.#demandMount(journaled)
      throw error
    }
  }

  /**
   * Where a file system is not mounted, its mount point is an empty directory, which says nothing of what is on it; and
   * what is mounted over a directory says nothing of that.
   */
  #demandMount({ name, mount, mountBornNs }: JournaledDirectory): void {
    const demand = (isAsItWas: boolean, on: Name, now: WrongMount) => {
      if (!isAsItWas) throw new NotMountedError(this.root.pathOf(on), name, now)
    }
    demand(mount === '' || this.#mounts.isMountPoint(mount), mount, 'nothing')
    demand(mountBornNs === undefined || mountBornNs === this.#mounts.bornNs(mount), mount, 'another')
    const now = new Mounts(this.root).of(this.#nearest(name))
    demand(now === mount, now, 'covering')
  }

  /** The directory of a name, or the innermost one above it that is there. */
  #nearest(name: Name): Name {
    return this.root.findDirectory(name) === undefined ? this.#nearest(parentName(name)) : name
  }

  /** As open, but undefined when the directory has gone. */
  find(number: number): Directory | undefined {
    try {
      return this.open(number)
    } catch (error) {
      if (isSyscallError(error, 'ENOENT', 'ENOTDIR')) return undefined
      throw error
    }
  }

  /** Where a name with a staging name in it, or that of a journaled directory, is: the directory, and what is below it. */
  locate(name: Name): { directory: number; below: Name } {
    const start = `/${name}`.indexOf(`/${stagingPrefix(this.id)}`)
    if (start < 0) return { directory: this.numberOf(name), below: '' }
    return { directory: this.numberOf(name.slice(0, Math.max(0, start - 1))), below: name.slice(start) }
  }

  /** A new staging name. */
  newName(): Name {
    return `${stagingPrefix(this.id)}${this.#names++}`
  }

  /** Makes everything that was written durable, on every file system that was written to. */
  syncFileSystems(): void {
    for (const fd of this.#fileSystems.values()) this.root.kernel.syncfs(fd)
  }

  /**
   * Gives back what was taken out of images, then removes every object that still has a staging name.
   *
   * @param bornSinceNs  older objects are no staged ones: they are kept aside and reported
   */
  discard(context: StepContext, bornSinceNs?: bigint): void {
    this.takings.giveBack(context)
    for (const { number } of this.#byNumber) {
      const directory = context.findDirectory(number)
      if (directory === undefined) continue
      for (const { name } of context.kernel.readDirectory(directory.fd)) {
        if (!name.startsWith(stagingPrefix(this.id))) continue
        const stat = context.kernel.findat(directory.fd, name)
        if (stat === undefined) continue
        if (bornSinceNs === undefined || (stat.btimeNs ?? 0n) >= bornSinceNs) {
          removeObject(context, directory, name, stat)
        } else keepAside(context, { directory: directory.fd, name }, directory, 'may be an old object')
      }
    }
  }

  /** Puts back the mtimes that staging and undoing have moved. */
  restoreTimes(context: StepContext): void {
    for (const { number, mtimeNs } of this.#byNumber) {
      const directory = context.findDirectory(number)
      if (directory === undefined) continue
      const { atimeNs } = context.kernel.fstat(directory.fd)
      try {
        context.kernel.futimens(directory.fd, atimeNs, BigInt(mtimeNs))
      } catch (error) {
        if (!isSyscallError(error, 'EPERM', 'EROFS')) throw error // not our directory: then its time is not ours to keep
      }
    }
  }

  close(): void {
    for (const fd of this.#fileSystems.values()) quietly(() => this.root.kernel.close(fd))
    this.#fileSystems.clear()
  }
}

/**
 * On overlayfs the first change below a directory of the lower layer copies it up, and before Linux 6.6 (whose handles
 * outlive that) its identity is another one afterwards: so it is copied up first, by setting the times that it has.
 */
function copyUp(kernel: Kernel, directory: Fd, { atimeNs, mtimeNs }: Stat): void {
  if (kernel.fstatfs(directory).magic !== magics.overlay) return
  quietly(() => kernel.futimens(directory, atimeNs, mtimeNs))
}

/** What the context of a transaction's steps is made from. */
export interface ContextParts {
  readonly members: Members
  readonly isRecovering: boolean
  leftOver(name: Name, reason: string): void
  note(text: string): void
}

/** The context that steps of a transaction run in. */
export function stepContext(area: StagingArea, { members, ...parts }: ContextParts): StepContext {
  return {
    ...parts,
    kernel: area.root.kernel,
    id: area.id,
    declinesExchange: new Set(),
    directory: (number) => area.open(number),
    findDirectory: (number) => area.find(number),
    membersOf: (staging, which) => members.of(staging, which),
    countMembers: (staging) => members.count(staging, 'staged'),
  }
}
