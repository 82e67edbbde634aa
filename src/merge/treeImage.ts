// A directory tree as an image: its entries in order, and where to find each for copying.

import type { Place } from '../movefile/index.ts'
import {
  AT_FDCWD,
  baseName,
  displayName,
  type Fd,
  isSyscallError,
  joinName,
  type Kernel,
  type Name,
  parentName,
  type Stat,
} from '../sys/index.ts'
import type { EntryFacts, EntryObject, Writable } from './entry.ts'
import { CorruptImageError, InvalidArgumentError } from './errors.ts'
import { withoutGone } from './hardLinks.ts'
import { compileMask, type InstallMask } from './mask.ts'
import { withoutMasked } from './maskedEntries.ts'
import { Root } from './root.ts'
import { type SelectionOptions, selectNames } from './selection.ts'

/** An entry of a tree, with what was seen of its object. */
export interface TreeEntry extends EntryObject {
  /** As it was when the image was read: its metadata is taken from there, as a merge keeps an entry for each name. */
  readonly stat: Stat
}

/** Bytes of an entry's payload; 0 for what is no regular file. */
export function sizeOf({ type, stat }: TreeEntry): number {
  return type === 'file' ? stat.size : 0
}

/** All that an entry says. Field by field: spreading objects was a third of what making a record cost. */
export function factsOf(entry: TreeEntry): EntryFacts {
  const { name, type, stat, target, rdev, linkTo } = entry
  const { uid, gid, mode, mtimeNs } = stat
  const facts: Writable<EntryFacts> = { name, type, uid, gid, mode, mtimeNs, size: sizeOf(entry) }
  if (target !== undefined) facts.target = target
  if (rdev !== undefined) facts.rdev = rdev
  if (linkTo !== undefined) facts.linkTo = linkTo
  return facts
}

/**
 * What becomes of an image: `copy` leaves it as it is; `move` takes its objects by rename where the kernel allows it,
 * gives them back when the merge is undone, and leaves nothing of what was merged; `consume` is as move, of a tree of
 * our own that is removed as a whole afterwards, so that nothing has to be given back.
 */
export type ImageMode = 'copy' | 'move' | 'consume'

/** What is known of a tree beside its objects. */
export interface TreeOrigin {
  readonly mode?: ImageMode
  /** sha256 of a file's payload where it is known already, so that it is not read once more. */
  readonly digestOf?: (name: Name) => Uint8Array | undefined
  /** What a regular file is that has one name, where that is known already and nobody else could reach it since. */
  readonly statOf?: (name: Name) => Stat | undefined
  /** Whether an object is known to have no extended attributes, so that it need not be opened to see. */
  readonly isPlain?: (name: Name) => boolean
  /** Names of files that the package itself calls configuration. */
  readonly configFiles?: ReadonlySet<Name>
  /** Entries that something else of the same call hides. */
  readonly isHidden?: (entry: EntryObject) => boolean
}

/** An open directory tree. */
export class TreeImage {
  readonly path: Name
  readonly mode: ImageMode
  /** The digest of an entry's payload, where it is known without reading it. */
  readonly digestOf: (name: Name) => Uint8Array | undefined
  /** Whether an object is known to have no extended attributes without being opened. */
  readonly isPlain: (name: Name) => boolean
  readonly configFiles: ReadonlySet<Name>
  readonly #tree: Root
  /** The names that are merged; undefined when all are. */
  readonly #selected: ReadonlySet<Name> | undefined
  readonly #mask: InstallMask | undefined
  readonly #leftOut = new Set<Name>()
  readonly #isHidden: TreeOrigin['isHidden']
  readonly #statOf: TreeOrigin['statOf']
  /** How many names each directory had when its entries were taken. */
  readonly #counts = new Map<Name, number>()
  /** Names by inode, of objects that have several. */
  readonly #firstNames = new Map<string, Name>()

  /** @throws {InvalidArgumentError} when `path` is no directory */
  constructor(kernel: Kernel, path: Name, selection: SelectionOptions = {}, origin: TreeOrigin = {}) {
    const stat = kernel.findat(AT_FDCWD, path)
    if (stat === undefined) {
      throw new InvalidArgumentError(`the image '${displayName(path)}' does not exist`)
    }
    this.path = path
    this.mode = origin.mode ?? 'copy'
    this.digestOf = origin.digestOf ?? (() => undefined)
    this.#statOf = origin.statOf
    this.isPlain = origin.isPlain ?? (() => false)
    this.configFiles = origin.configFiles ?? new Set()
    this.#isHidden = origin.isHidden
    this.#tree = new Root(kernel, path)
    this.#selected = selectNames(this.#tree, selection)
    this.#mask = selection.installMask?.length ? compileMask(selection.installMask) : undefined
  }

  /** The open directory and the name in it, of an entry. Valid until 64 other directories were asked for. */
  place(name: Name): Place {
    return { directory: this.#tree.directory(parentName(name)).fd, name: baseName(name) }
  }

  /** What the image has under a name, without following its last component. */
  find(name: Name): Stat | undefined {
    return this.#tree.find(name)
  }

  /** Whether it brings something under a name: nothing that is left out. */
  brings(name: Name): boolean {
    const found = this.#selected?.has(name) === false ? undefined : this.find(name)
    return found !== undefined && this.#mask?.leavesOut(name, found.type === 'directory') !== true
  }

  /** Its top directory, open as long as the image is. */
  get fd(): Fd {
    return this.#tree.fd
  }

  /** An open directory of the image, '' being its top. Valid as that of place(). */
  directory(name: Name): Fd {
    return this.#tree.directory(name).fd
  }

  /** All entries, in byte order of their names: a directory before what is in it. */
  *entries(): Generator<TreeEntry> {
    const all = this.#isHidden === undefined ? this.#all() : withoutGone(this.#all(), this.#isHidden)
    yield* this.#mask === undefined ? all : withoutMasked(all, this.#mask, (name) => void this.#leftOut.add(name))
  }

  /** The names that the install mask has left out; complete when every entry has been taken. */
  get leftOut(): readonly Name[] {
    return [...this.#leftOut]
  }

  /**
   * How many names a directory of the image has, those that are not merged among them. In a tree of our own nobody else
   * makes any, so there they are counted once, when the entries are taken.
   */
  countIn(directory: Name): number {
    const counted = this.mode === 'consume' ? this.#counts.get(directory) : undefined
    return counted ?? this.#tree.kernel.readDirectory(this.directory(directory)).length
  }

  /** Forgets an open directory that is not in the image any more. */
  forget(name: Name): void {
    this.#tree.forget(name)
  }

  close(): void {
    this.#tree.close()
  }

  /** With a list of the directories that it is in: a generator for each would pass every entry on as often as it is deep. */
  *#all(): Generator<TreeEntry> {
    const open = [this.#namesIn('')]
    for (let inside = open.at(-1); inside !== undefined; inside = open.at(-1)) {
      const component = inside.names.pop()
      if (component === undefined) {
        open.pop()
        continue
      }
      const name = joinName(inside.directory, component)
      if (this.#selected?.has(name) === false) continue
      const entry = this.#entry(name)
      yield entry
      if (entry.type === 'directory') open.push(this.#namesIn(name))
    }
  }

  /** The names in a directory, the first one last. */
  #namesIn(directory: Name): { readonly directory: Name; readonly names: Name[] } {
    const names = this.#tree.kernel.readDirectory(this.directory(directory)).map((entry) => entry.name)
    this.#counts.set(directory, names.length)
    return { directory, names: names.sort().reverse() }
  }

  #entry(name: Name): TreeEntry {
    const known = this.#statOf?.(name)
    if (known !== undefined) return describe(name, known, undefined, undefined)
    const { kernel } = this.#tree
    const { directory, name: component } = this.place(name)
    try {
      const stat = kernel.statat(directory, component)
      const target = stat.type === 'symlink' ? kernel.readlinkat(directory, component) : undefined
      return describe(name, stat, target, this.#earlierName(name, stat))
    } catch (error) {
      if (!isSyscallError(error, 'ENOENT')) throw error
      throw new CorruptImageError(this.path, 'an entry went away while the image was read', {
        entry: name,
        cause: error,
      })
    }
  }

  /** The name under which the same inode came before, if it did. */
  #earlierName(name: Name, stat: Stat): Name | undefined {
    if (stat.type === 'directory' || stat.nlink < 2) return undefined
    const key = `${stat.dev}:${stat.ino}`
    const first = this.#firstNames.get(key)
    if (first === undefined) this.#firstNames.set(key, name)
    return first
  }
}

/** A live object as an entry. */
export function describe(name: Name, stat: Stat, target: Name | undefined, linkTo: Name | undefined): TreeEntry {
  const { type } = stat
  const entry: Writable<TreeEntry> = { name, type, stat }
  if (target !== undefined) entry.target = target
  if (type === 'character' || type === 'block') entry.rdev = stat.rdev
  if (linkTo !== undefined) entry.linkTo = linkTo
  return entry
}
