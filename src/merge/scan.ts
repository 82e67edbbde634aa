// Looking for staging names that no journal knows any more, and removing those with which nothing is lost.
//
// Such a name is left where clean-up was refused (and said so), or where an unflushed merge lost its journal to a power
// cut. It may then be an old object, the only one of its kind, so it is removed only on evidence.

import { isStagingName, quietly, withDescriptor } from '../movefile/index.ts'
import {
  displayName,
  type Fd,
  isSyscallError,
  joinName,
  type Kernel,
  magics,
  type Name,
  nameBytes,
  O_APPEND,
  O_CREAT,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  O_WRONLY,
  type Stat,
  tryOpenat,
} from '../sys/index.ts'
import { backupsName } from './backupManifest.ts'
import { removeObject } from './removal.ts'
import { readWhole, type State, writeWhole } from './state.ts'
import { ownFile } from './stateFiles.ts'
import type { LeftOver } from './transaction.ts'

/** What a scan found. */
export interface ScanReport {
  /** Names that were removed, escaped for reading. */
  readonly removed: readonly string[]
  /** Names that stay, and why. */
  readonly kept: readonly LeftOver[]
}

/** What to look through, and how to stop. */
export interface ScanRequest {
  /** Relative to the root; all of it by default. */
  readonly directories?: readonly Name[]
  readonly cancel: { check(): void }
}

const finishedFile = 'left-over'
const pattern = /^\.rootmerge-([0-9a-f]{16})-/

/** Remembers, with the clean-up that was refused, that a transaction was finished: what has its staging names is old. */
export function rememberFinished(state: State, id: string): void {
  const { kernel } = state.root
  quietly(() => {
    const fd = kernel.openat(state.make().fd, finishedFile, O_WRONLY | O_CREAT | O_APPEND | ownFile, 0o644)
    withDescriptor(kernel, fd, () => writeWhole(kernel, fd, nameBytes(`${id}\n`)))
  })
}

function readFinished({ kernel }: State['root'], directory: Fd): ReadonlySet<string> {
  const fd = tryOpenat(kernel, directory, finishedFile, O_RDONLY | ownFile)
  const text = fd === undefined ? '' : withDescriptor(kernel, fd, () => readWhole(kernel, fd).toString('latin1'))
  return new Set(text.split('\n'))
}

/** Looks through a locked and recovered root. Symlinks are not followed; what lies in the state's backups is needed by undo. */
export function scanRoot(state: State, { directories = [''], cancel }: ScanRequest): ScanReport {
  const { root } = state
  const made = state.find()
  const finished = made === undefined ? new Set<string>() : readFinished(root, made.fd)
  const scan = new Scan(root.kernel, { finished, without: made && joinName(made.name, backupsName), cancel })
  for (const name of directories) {
    const { fd, name: resolved } = root.directory(name)
    withDescriptor(root.kernel, root.kernel.openat(fd, '.', O_RDONLY | O_DIRECTORY), (own) => scan.look(own, resolved))
  }
  return { removed: scan.removed, kept: scan.kept }
}

class Scan {
  readonly removed: string[] = []
  readonly kept: LeftOver[] = []
  readonly #kernel: Kernel
  readonly #finished: ReadonlySet<string>
  readonly #without: Name | undefined
  readonly #cancel: ScanRequest['cancel']

  constructor(
    kernel: Kernel,
    known: { finished: ReadonlySet<string>; without: Name | undefined; cancel: ScanRequest['cancel'] },
  ) {
    this.#kernel = kernel
    this.#finished = known.finished
    this.#without = known.without
    this.#cancel = known.cancel
  }

  look(directory: Fd, name: Name): void {
    for (const entry of this.#kernel.readDirectory(directory)) {
      this.#cancel.check()
      const full = joinName(name, entry.name)
      const isOurs = pattern.test(entry.name) || entry.name.startsWith('.rootmerge-kept-')
      if (full === this.#without || isStagingName(entry.name, 'move')) continue
      if (isOurs) this.#settle(directory, entry.name, full)
      else if ((entry.type ?? this.#kernel.findat(directory, entry.name)?.type) === 'directory') {
        this.#enter(directory, entry.name, full)
      }
    }
  }

  #enter(directory: Fd, name: Name, full: Name): void {
    let fd: Fd
    try {
      fd = this.#kernel.openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    } catch (error) {
      if (!isSyscallError(error)) throw error
      this.#keep(full, `could not be looked into: ${error.message}`)
      return
    }
    withDescriptor(this.#kernel, fd, () => {
      if (!isPseudo(this.#kernel, fd)) this.look(fd, full)
    })
  }

  #settle(directory: Fd, name: Name, full: Name): void {
    const stat = this.#kernel.findat(directory, name)
    if (stat === undefined) return
    const evidence = this.#evidenceFor(name, stat)
    if (!evidence) return this.#keep(full, reasonFor(name))
    const kept = this.kept.length
    const parent = { fd: directory, name: full.slice(0, Math.max(0, full.length - name.length - 1)) }
    const context = { kernel: this.#kernel, leftOver: (left: Name, reason: string) => this.#keep(left, reason) }
    try {
      removeObject(context, parent, name, stat)
    } catch (error) {
      if (!isSyscallError(error)) throw error
      this.#keep(full, error.message)
    }
    if (this.kept.length === kept) this.removed.push(displayName(full))
  }

  /** A finished transaction's, or one of several names of an inode: nothing is lost with it. */
  #evidenceFor(name: Name, stat: Stat): boolean {
    const id = pattern.exec(name)?.[1]
    if (id === undefined) return false
    return this.#finished.has(id) || (stat.type === 'file' && stat.nlink > 1)
  }

  #keep(name: Name, reason: string): void {
    this.kept.push({ name: displayName(name), reason })
  }
}

function reasonFor(name: Name): string {
  return pattern.test(name)
    ? 'may be the only copy of an old object: look at it, then remove it'
    : 'is kept for you: somebody else changed things there during a merge, or an undo needs it'
}

/** /proc, /sys and their like hold no files. (btrfs counts no inodes.) */
function isPseudo(kernel: Kernel, fd: Fd): boolean {
  const { magic, bytesAvailable, inodesTotal } = kernel.fstatfs(fd)
  return magic !== magics.btrfs && bytesAvailable === 0 && inodesTotal === 0
}
