// Where a transaction makes what is new: under its own hidden names, in directories that the journal knows.

import { quietly } from '../movefile/index.ts'
import { type Fd, isSyscallError, type Name, O_DIRECTORY, O_RDONLY } from '../sys/index.ts'
import { RootChangedError } from './errors.ts'
import { identityOf } from './identity.ts'
import type { Journal, JournaledDirectory } from './journal.ts'
import { removeObject } from './removal.ts'
import type { Directory, Root } from './root.ts'
import type { StepContext } from './steps.ts'

/** The beginning of every name that a transaction makes for itself. */
export function stagingPrefix(id: string): Name {
  return `.rootmerge-${id}-`
}

/** The directories of one transaction, by number, and its staging names. */
export class StagingArea {
  readonly root: Root
  readonly id: string
  readonly #byNumber: JournaledDirectory[] = []
  readonly #numbers = new Map<Name, number>()
  /** The open directories whose identity has been checked. */
  readonly #checked = new Map<number, Directory>()
  /** One descriptor for each file system, opened before anything was written to it. */
  readonly #fileSystems = new Map<number, Fd>()
  #names = 0

  constructor(root: Root, id: string, known: readonly JournaledDirectory[] = []) {
    this.root = root
    this.id = id
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
      const { fd } = this.root.directory(name)
      const stat = kernel.fstat(fd)
      const identity = identityOf(kernel, fd, '') ?? ''
      const directory = { number: this.#byNumber.length, name, identity, mtimeNs: String(stat.mtimeNs) }
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

  /**
   * Opens a journaled directory, or throws when its path now leads to another one.
   *
   * @throws {RootChangedError} a file system that is not mounted, or a directory that was swapped
   */
  open(number: number): Directory {
    const journaled = this.#byNumber[number]
    if (journaled === undefined) throw new RangeError(`no directory ${number} in the journal`)
    const directory = this.root.directory(journaled.name)
    if (this.#checked.get(number) === directory) return directory
    if (identityOf(this.root.kernel, directory.fd, '') !== journaled.identity) {
      throw new RootChangedError(this.root.pathOf(journaled.name), 'became another directory')
    }
    this.#checked.set(number, directory)
    return directory
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

  /** A new staging name. */
  newName(): Name {
    return `${stagingPrefix(this.id)}${this.#names++}`
  }

  /** Makes everything that was written durable, on every file system that was written to. */
  syncFileSystems(): void {
    for (const fd of this.#fileSystems.values()) this.root.kernel.syncfs(fd)
  }

  /** Removes every object that still has a staging name, in every journaled directory. */
  discard(context: StepContext): void {
    for (const { number } of this.#byNumber) {
      const directory = context.directory(number)
      for (const { name } of context.kernel.readDirectory(directory.fd)) {
        if (!name.startsWith(stagingPrefix(this.id))) continue
        const stat = context.kernel.findat(directory.fd, name)
        if (stat !== undefined) removeObject(context, directory, name, stat)
      }
    }
  }

  /** Puts back the mtimes that staging and undoing have moved. */
  restoreTimes(context: StepContext): void {
    for (const { number, mtimeNs } of this.#byNumber) {
      const { fd } = context.directory(number)
      const { atimeNs } = context.kernel.fstat(fd)
      try {
        context.kernel.futimens(fd, atimeNs, BigInt(mtimeNs))
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

/** The context that steps of a transaction run in. */
export function stepContext(
  area: StagingArea,
  committedNs: bigint | undefined,
  leftOver: (name: Name, reason: string) => void,
): StepContext {
  const directories = { directory: (n: number) => area.open(n), findDirectory: (n: number) => area.find(n) }
  return { kernel: area.root.kernel, committedNs, leftOver, linkedInodes: new Set(), ...directories }
}
