// What a merge takes out of its images by rename (move mode): journaled before it is renamed, given back when the merge
// is undone; and what was copied instead, which is removed from the image once the merge is final.

import type { Place } from '../movefile/index.ts'
import {
  AT_REMOVEDIR,
  displayName,
  isSyscallError,
  joinName,
  type Kernel,
  type Name,
  RENAME_NOREPLACE,
  type Stat,
} from '../sys/index.ts'
import { InvalidArgumentError, RecoveryPendingError } from './errors.ts'
import { identityOf } from './identity.ts'
import type { Journal } from './journal.ts'
import { nameBelow, realPath } from './realPath.ts'
import { type Directory, makeDirectories, Root } from './root.ts'
import type { StepContext } from './steps.ts'

/** An image that objects are taken out of. */
export interface JournaledImage {
  readonly number: number
  /** Without symlinks: relative to the root where the image lies in it, so that recovery works from outside; else absolute. */
  readonly path: Name
  readonly isInRoot: boolean
  readonly identity: string
}

/** Members of one directory of an image that are taken, and where to. */
export interface Taking {
  /** The image's number. */
  readonly image: number
  /** The directory of the image; '' is its top. */
  readonly within: Name
  /** Its mtime before, in nanoseconds, which giving back puts back. */
  readonly mtimeNs: string
  /** The number of the journaled directory that they go to. */
  readonly directory: number
  /** Where below it, '' for itself. */
  readonly below: Name
  /** The name in the image, the one there, and the inode's number: journals of older releases lack it. */
  readonly names: readonly (readonly [Name, Name, ino?: string])[]
}

/** Members of one directory of an image that were not taken, and go when the merge is final. */
export interface Remainder {
  readonly image: number
  readonly within: Name
  /** Each name with what it was (see seenOf). */
  readonly members: readonly (readonly [Name, string])[]
}

/** What the journal says of images. */
export interface JournaledTakings {
  readonly images: readonly JournaledImage[]
  readonly takings: readonly Taking[]
  readonly remainders: readonly Remainder[]
}

/** What an object of an image was when it was merged, to be compared before it is removed. */
export function seenOf(stat: Stat): string {
  return stat.type === 'directory' ? stat.type : `${stat.type}:${stat.ino}:${stat.size}:${stat.mtimeNs}`
}

/** The part of StepContext that giving back needs. */
type GivingContext = Pick<StepContext, 'findDirectory' | 'id' | 'leftOver'>

/** The takings of one transaction. */
export class Takings {
  readonly #root: Root
  readonly #images: JournaledImage[]
  readonly #takings: Taking[]
  readonly #remainders: Remainder[]

  constructor(root: Root, known: JournaledTakings = { images: [], takings: [], remainders: [] }) {
    this.#root = root
    this.#images = [...known.images]
    this.#takings = [...known.takings]
    this.#remainders = [...known.remainders]
  }

  /** Journals an image. @returns its number */
  addImage({ path, fd }: { readonly path: Name; readonly fd: number }, journal: Journal): number {
    const { kernel } = this.#root
    const real = realPath(kernel, fd, path)
    const inRoot = nameBelow(realPath(kernel, this.#root.fd, this.#root.path), real)
    const identity = identityOf(kernel, fd, '') ?? ''
    const image = { number: this.#images.length, path: inRoot ?? real, isInRoot: inRoot !== undefined, identity }
    this.#images.push(image)
    journal.append({ kind: 'image', ...image })
    return image.number
  }

  /** Journals what is about to be taken; durable with the journal's next flush, and not to be renamed before that. */
  add(taking: Taking, journal: Journal): void {
    this.#takings.push(taking)
    journal.append({ kind: 'taking', ...taking })
  }

  /** Journals what goes with the clean-up. */
  addRemainder(remainder: Remainder, journal: Journal): void {
    this.#remainders.push(remainder)
    journal.append({ kind: 'remainder', ...remainder })
  }

  /**
   * Gives back what has a staging name and was taken out of an image: each image is whole again.
   *
   * What still is in its image was copied (the kernel would not rename it), and what is in neither place was never
   * taken, so this may be done again and again. What cannot have its name again, since somebody gave that to another
   * object, is kept beside that and reported.
   *
   * @throws {RecoveryPendingError} when an image is not where it was
   */
  giveBack(context: GivingContext): void {
    for (const image of this.#images) {
      const takings = this.#takings.filter((taking) => taking.image === image.number)
      if (takings.length === 0) continue
      const opened = openToGiveBack(this.#root, image)
      try {
        for (const taking of takings) this.#giveBackTo(opened, taking, context)
        for (const { within, mtimeNs } of takings) restoreTime(opened, within, BigInt(mtimeNs))
        opened.kernel.syncfs(opened.fd) // before the journal says that there is nothing left to give back
      } finally {
        opened.close()
      }
    }
  }

  #giveBackTo(image: Root, { within, directory, below, names }: Taking, context: GivingContext): void {
    const parent = context.findDirectory(directory)
    const from = parent && this.#root.findDirectory(joinName(parent.name, below))
    // Without it nothing was taken into it, or all of that was given back, by one who died before telling.
    const to = from === undefined ? image.findDirectory(within) : makeDirectories(image, within)
    if (to === undefined) return
    for (const [name, staging, ino] of names) {
      const place = { directory: to.fd, name }
      const beside = { directory: to.fd, name: `.rootmerge-kept-${context.id}-${ino}` }
      const taken = from && { directory: from.fd, name: staging }
      if (taken !== undefined && isTaken(image.kernel, taken, place, ino)) {
        if (tryRename(image.kernel, { taken, ino }, place)) continue
        tryRename(image.kernel, { taken, ino }, beside) // else another link of it is there already
      }
      if (inoAt(image.kernel, beside) === undefined) continue
      const reason = `is '${displayName(name)}', whose name somebody gave to another object meanwhile`
      context.leftOver(image.pathOf(joinName(within, beside.name)), reason)
    }
  }

  /** After `final`: removes from the images what was merged without being taken, and directories that are empty by then. */
  removeRemainders(leftOver: StepContext['leftOver']): void {
    for (const image of this.#images) {
      const remainders = this.#remainders.filter((remainder) => remainder.image === image.number)
      if (remainders.length === 0) continue
      try {
        const again = openAgain(this.#root, image)
        if (again?.isSame) removeFrom(again.opened, remainders.toReversed(), leftOver)
        else again?.opened.close()
      } catch (error) {
        if (!isSyscallError(error)) throw error
        leftOver(pathOf(this.#root, image), error.message) // the merge is final: what stays in an image does no harm
      }
    }
  }
}

/**
 * Whether what has a staging name came out of the image: a copy is another inode, and what was copied still has its name. Where
 * the image has nothing under that name the number is not asked: overlayfs may give another one to what it renames.
 */
function isTaken(kernel: Kernel, staged: Place, place: Place, ino: string | undefined): boolean {
  const [taken, present] = [inoAt(kernel, staged), inoAt(kernel, place)]
  return taken !== undefined && (present === undefined || (taken === ino && present !== ino))
}

/**
 * Of a copy, whose original somebody has removed from the image, nothing has to be given back.
 *
 * @returns false where somebody has the name
 * @throws {SyscallError} EXDEV where the image is on another file system than what was taken out of it
 */
function tryRename(kernel: Kernel, { taken, ino }: { taken: Place; ino: string | undefined }, to: Place): boolean {
  try {
    kernel.renameat(taken.directory, taken.name, to.directory, to.name, RENAME_NOREPLACE)
    return true
  } catch (error) {
    if (isSyscallError(error, 'EXDEV') && ino !== undefined && inoAt(kernel, taken) !== ino) return true
    if (!isSyscallError(error, 'EEXIST')) throw error
    return false
  }
}

function inoAt(kernel: Kernel, { directory, name }: Place): string | undefined {
  return kernel.findat(directory, name)?.ino.toString()
}

function pathOf(root: Root, { path, isInRoot }: JournaledImage): Name {
  return isInRoot ? root.pathOf(path) : path
}

/** Opens what is under an image's path now; undefined when nothing is. */
function openAgain(root: Root, image: JournaledImage): { opened: Root; isSame: boolean } | undefined {
  const { kernel } = root
  let opened: Root
  try {
    opened = new Root(kernel, pathOf(root, image))
  } catch (error) {
    if (error instanceof InvalidArgumentError) return undefined
    throw error
  }
  try {
    return { opened, isSame: identityOf(kernel, opened.fd, '') === image.identity }
  } catch (error) {
    opened.close()
    throw error
  }
}

/** The image as it was, or, where somebody removed it, an empty directory in its place. */
function openToGiveBack(root: Root, image: JournaledImage): Root {
  const again = openAgain(root, image)
  if (again === undefined) throw notThere(root, image, 'it is not there')
  const { opened, isSame } = again
  try {
    if (isSame || root.kernel.readDirectory(opened.fd).length === 0) return opened
    throw notThere(root, image, 'another directory is there now')
  } catch (error) {
    opened.close()
    throw error
  }
}

function notThere(root: Root, image: JournaledImage, reason: string): RecoveryPendingError {
  const path = displayName(pathOf(root, image))
  return new RecoveryPendingError(root.path, `what was taken from the image '${path}' has to go back, but ${reason}`, {
    hint:
      `Put the image back, or make an empty directory '${path}' to receive what was taken from it; ` +
      `then run: rootmerge recover --root ${displayName(root.path)}`,
  })
}

function restoreTime(image: Root, within: Name, mtimeNs: bigint): void {
  const { fd } = image.directory(within)
  try {
    image.kernel.futimens(fd, image.kernel.fstat(fd).atimeNs, mtimeNs)
  } catch (error) {
    if (!isSyscallError(error, 'EPERM', 'EROFS')) throw error // not our directory: then its time is not ours to keep
  }
}

function removeFrom(image: Root, remainders: readonly Remainder[], leftOver: StepContext['leftOver']): void {
  try {
    for (const { within, members } of remainders) {
      const directory = image.findDirectory(within)
      if (directory === undefined) continue
      for (const [name, seen] of members) {
        const full = image.pathOf(joinName(within, name))
        removeMember(image.kernel, directory, { name, seen }, (reason) => leftOver(full, reason))
      }
    }
  } finally {
    image.close()
  }
}

function removeMember(
  kernel: Kernel,
  { fd }: Directory,
  { name, seen }: { name: Name; seen: string },
  leftOver: (reason: string) => void,
): void {
  const stat = kernel.findat(fd, name)
  if (stat === undefined) return
  if (seenOf(stat) !== seen) return leftOver('changed after it was merged, so it stays in the image')
  try {
    kernel.unlinkat(fd, name, stat.type === 'directory' ? AT_REMOVEDIR : 0)
  } catch (error) {
    // Not empty (EEXIST on some file systems): it holds what was not to be merged.
    if (isSyscallError(error, 'ENOTEMPTY', 'EEXIST', 'ENOENT')) return
    if (!isSyscallError(error)) throw error
    leftOver(error.message)
  }
}
