// How much room a plan needs on each file system. A lower bound, but for what overlayfs copies up: there the layers
// cannot be told apart.

import { smallSize } from '../filecopy/index.ts'
import { type FileSystemStat, isSyscallError, magics, type Name, type Stat } from '../sys/index.ts'
import { NoSpaceError } from './errors.ts'
import type { Site } from './obstacles.ts'
import type { PlannedEntry } from './plan.ts'
import type { Root } from './root.ts'
import { sizeOf } from './treeImage.ts'

/** One file system, and what is to come onto it. */
interface Need {
  /** The first directory on it that something is made in. */
  readonly liveName: Name
  readonly fileSystem: FileSystemStat
  bytes: number
  inodes: number
}

/** File systems that may share extents between two files; overlayfs does where its upper file system does. */
const cloning: ReadonlySet<number> = new Set([magics.btrfs, magics.xfs, magics.overlay])
/** File systems that give every file whole blocks, and every directory one. */
const wholeBlocks: ReadonlySet<number> = new Set([magics.ext, magics.xfs, magics.tmpfs])
/** ext4(5): a symlink of fewer bytes lives in its inode; others keep longer ones there. */
const inodeBytes = 60

/** Sums up what entries need. */
export class SpaceNeeds {
  readonly #root: Root
  readonly #needs = new Map<number, Need>()
  /** Magic numbers of the images' file systems, by device. */
  readonly #images = new Map<number, number>()

  constructor(root: Root) {
    this.#root = root
  }

  /** An entry that is staged beside its name; another name of an inode needs nothing. */
  add(site: Site, planned: PlannedEntry): void {
    if (planned.linkedTo !== undefined) return
    const need = this.#of(site)
    need.inodes++
    need.bytes += bytesOf(planned, need.fileSystem, this.#isCloned(site, need, planned))
  }

  /** overlayfs copies a lower file up before it can rename it; whether a file is lower it does not say. */
  addCopyUp(site: Site, live: Stat): void {
    const need = this.#of(site)
    if (need.fileSystem.magic === magics.overlay) need.bytes += live.blocks * 512
  }

  /** What is written there beside entries. */
  addBytes(site: Site, bytes: number): void {
    this.#of(site).bytes += bytes
  }

  /** One error for each file system that has not enough. */
  missing(): NoSpaceError[] {
    const isRoot = process.geteuid?.() === 0
    return [...this.#needs.values()].flatMap(({ liveName, fileSystem, bytes, inodes }) => {
      const free = isRoot ? fileSystem.bytesFree : fileSystem.bytesAvailable
      const missingBytes = Math.max(0, bytes - free)
      const missingInodes = fileSystem.inodesTotal === 0 ? 0 : Math.max(0, inodes - fileSystem.inodesFree)
      if (missingBytes === 0 && missingInodes === 0) return []
      return [new NoSpaceError(this.#root.pathOf(liveName), { bytes: missingBytes, inodes: missingInodes })]
    })
  }

  #of({ liveName, stat }: Site): Need {
    const known = this.#needs.get(stat.dev)
    if (known !== undefined) return known
    const fileSystem = this.#root.kernel.fstatfs(this.#root.directory(liveName).fd)
    const need = { liveName, fileSystem, bytes: 0, inodes: 0 }
    this.#needs.set(stat.dev, need)
    return need
  }

  /** Whether the copy may share all its bytes with the image. btrfs has a device for each subvolume. */
  #isCloned({ stat }: Site, { fileSystem }: Need, { entry, from }: PlannedEntry): boolean {
    if (sizeOf(entry) <= smallSize || !cloning.has(fileSystem.magic)) return false
    const { dev } = entry.stat
    if (dev === stat.dev) return true
    if (fileSystem.magic !== magics.btrfs) return false
    let magic = this.#images.get(dev)
    if (magic === undefined) {
      magic = this.#root.kernel.fstatfs(from.image.place(entry.name).directory).magic
      this.#images.set(dev, magic)
    }
    return magic === magics.btrfs
  }
}

function bytesOf({ entry }: PlannedEntry, { magic, blockSize }: FileSystemStat, isCloned: boolean): number {
  const hasBlocks = wholeBlocks.has(magic)
  if (entry.type === 'directory') return magic === magics.ext ? blockSize : 0
  if (entry.type === 'symlink') return hasBlocks && (entry.target?.length ?? 0) >= inodeBytes ? blockSize : 0
  if (entry.type !== 'file' || isCloned) return 0
  const allocated = Math.min(sizeOf(entry), entry.stat.blocks * 512) // holes stay holes
  return hasBlocks ? Math.ceil(allocated / blockSize) * blockSize : allocated
}

/** A refusal of the kernel as what it means for a merge: room that ran out is told as that. */
export function explained(error: unknown, path: Name): unknown {
  return isSyscallError(error, 'ENOSPC', 'EDQUOT') ? new NoSpaceError(path, { cause: error }) : error
}
