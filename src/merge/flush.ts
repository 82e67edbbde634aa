// Putting a transaction on the disk: whole file systems at once, or its own files and directories one by one.

import { release } from 'node:os'
import { type Place, withDescriptor } from '../movefile/index.ts'
import { type Fd, isSyscallError, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } from '../sys/index.ts'
import type { StagingArea } from './stagingArea.ts'
import { stagedPlace } from './steps/renaming.ts'
import type { Step, StepContext } from './steps.ts'

/**
 * How sure it shall be that a finished merge is on the disk.
 *
 * `transaction`: after a power cut at any instant the root is before or after. `file`: the same promise, but kept by
 * flushing the merge's own files and directories, never whole file systems: what others are writing costs it nothing,
 * and many files cost more. `none`: nothing is flushed; it survives kills, and promises nothing after a power cut.
 */
export type MergeDurability = 'transaction' | 'file' | 'none'

/** Up to so many objects are flushed one by one: a busy machine's dirty data must not stall a merge of a few files. */
export const fewObjects = 64

/** Whether syncfs(2) tells of failed writes: since Linux 5.8. */
export function syncfsTells(kernelRelease: string): boolean {
  const [major = 0, minor = 0] = kernelRelease.split('.').map(Number)
  return major > 5 || (major === 5 && minor >= 8)
}

/** Flushes one transaction; every failure is an error. */
export class Flush {
  readonly #area: StagingArea
  readonly #durability: MergeDurability
  readonly #syncfsTells: boolean
  #objects = 0

  constructor(area: StagingArea, durability: MergeDurability, tells: boolean = syncfsTells(release())) {
    this.#area = area
    this.#durability = durability
    this.#syncfsTells = tells
  }

  get #isOneByOne(): boolean {
    if (this.#durability === 'file' || !this.#syncfsTells) return true
    return this.#objects + this.#area.directories.length <= fewObjects
  }

  /** Everything that steps will place, complete, under its staging name. */
  staged(context: StepContext, steps: readonly Step[]): void {
    if (this.#durability === 'none') return
    const placing = steps.filter((step) => step.kind === 'place' || step.kind === 'replace')
    this.#objects = placing.reduce(
      (sum, { staging }) => sum + 1 + context.countMembers(staging),
      steps.length - placing.length,
    )
    if (!this.#isOneByOne) return this.#area.syncFileSystems()
    for (const step of placing) this.#object(stagedPlace(context, step))
    this.names(context)
  }

  /** Names that steps gave or took, and directories that they changed; without steps, all names. */
  names(context: StepContext, steps?: readonly Step[]): void {
    if (this.#durability === 'none') return
    if (!this.#isOneByOne) return this.#area.syncFileSystems()
    const touched = steps?.flatMap((step) =>
      'staging' in step ? [step.directory, step.stagingDirectory] : [step.directory],
    )
    const numbers = new Set(touched ?? this.#area.directories.map(({ number }) => number))
    for (const number of numbers) {
      const directory = number === undefined ? undefined : context.findDirectory(number)
      if (directory !== undefined) this.#fsync(directory.fd)
    }
    for (const step of steps ?? []) {
      const parent = step.kind === 'changeDirectory' ? context.findDirectory(step.directory) : undefined
      if (parent !== undefined) this.#open({ directory: parent.fd, name: step.name }, (fd) => this.#fsync(fd))
    }
  }

  /** What steps keep of what they displaced: the names in the transaction's own backup, which no step makes. */
  kept(context: StepContext, steps: readonly Step[]): void {
    if (this.#durability === 'none' || !this.#isOneByOne) return
    const numbers = steps.map((step) => ('backups' in step ? step.backups : undefined))
    const number = numbers.find((each) => each !== undefined)
    const backups = number === undefined ? undefined : context.findDirectory(number)
    if (backups !== undefined) this.#open({ directory: backups.fd, name: context.id }, (fd) => this.#fsync(fd))
  }

  /** A file, or a directory and all that is in it; other objects are their directory's. */
  #object({ directory, name }: Place): void {
    const stat = this.#area.root.kernel.findat(directory, name)
    if (stat?.type === 'file') this.#open({ directory, name }, (fd) => this.#fsync(fd))
    if (stat?.type === 'directory') this.#open({ directory, name }, (fd) => this.#tree(fd))
  }

  #tree(fd: Fd): void {
    for (const { name } of this.#area.root.kernel.readDirectory(fd)) this.#object({ directory: fd, name })
    this.#fsync(fd)
  }

  /** A file that its owner may not read cannot be opened by an ordinary user: then its whole file system is flushed. */
  #open({ directory, name }: Place, body: (fd: Fd) => void): void {
    const { kernel } = this.#area.root
    let fd: Fd
    try {
      fd = kernel.openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
    } catch (error) {
      if (!isSyscallError(error, 'EACCES')) throw error
      return kernel.syncfs(directory)
    }
    withDescriptor(kernel, fd, body)
  }

  /** fsync(2): EINVAL where a file system cannot do that to a directory. */
  #fsync(fd: Fd): void {
    const { kernel } = this.#area.root
    try {
      kernel.fsync(fd)
    } catch (error) {
      if (!isSyscallError(error, 'EINVAL')) throw error
      kernel.syncfs(fd)
    }
  }
}
