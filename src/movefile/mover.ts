// One object from one name to another: by rename where the kernel allows it, else as a complete copy that is staged
// beside the target and renamed over it. The result is the same, and the name is never missing or half-written.

import { Copier, type CopyOptions, SameFileError } from '../filecopy/index.ts'
import {
  type CancelFlag,
  displayName,
  type Fd,
  isSyscallError,
  type Kernel,
  type Name,
  type Stat,
} from '../sys/index.ts'
import { removeAbandoned } from './abandoned.ts'
import { type DirectorySync, type Durability, syncObject, withDirectorySync } from './durability.ts'
import { type ExpectedSource, refuseUnexpected, renamingExpected } from './expected.ts'
import { isAppendOnly, refuseIntoItself, refuseUnmovable } from './hopeless.ts'
import { isSameEntry, isSameEntryOfObject, isSameObject, type Places } from './identity.ts'
import { linkToCandidate } from './linking.ts'
import type { Loss } from './losses.ts'
import { describePlace, type Place } from './place.ts'
import { type Placed, placeCopy } from './placement.ts'
import { type MetadataPolicy, metadataPolicy } from './policy.ts'
import { removeTree } from './removeTree.ts'
import { renameInto, withChange } from './rename.ts'
import { Route } from './route.ts'
import { removeSource } from './sourceRemoval.ts'
import { type StagedObject, type StageOptions, type Stager, stageCopy } from './stage.ts'
import type { TreeEntry, TreeOptions, TreeReport } from './tree.ts'

/** What a mover works with; everything has a default. */
export interface MoverOptions {
  readonly policy?: MetadataPolicy
  /** How contents are copied. */
  readonly copy?: CopyOptions
  readonly cancel?: CancelFlag
  /** Bytes copied since it was last called. */
  readonly onProgress?: (bytes: number) => void
  /** Called after each object that was copied. */
  readonly onEntry?: (entry: TreeEntry) => void
  /** A directory's path: symlinks whose target begins with it point to the same path without it. */
  readonly imagePrefix?: Name
}

/** What one move or copy is asked for. */
export interface PlacementOptions {
  /** Whether a target that exists is left alone (EEXIST). */
  readonly noReplace?: boolean
  /** The modification time that the target gets instead of the source's, in nanoseconds. */
  readonly newMtimeNs?: bigint
  /** What the source must be: another object under its name is refused. */
  readonly expected?: ExpectedSource
  /** What the caller has just seen of the source: saves a call. */
  readonly stat?: Stat
  /** Of the two directories (Mover.route): saves two calls. */
  readonly route?: Route | undefined
  readonly durability?: Durability
}

/** What one move is asked for. */
export interface MoveOptions extends PlacementOptions {
  /** Names that the same inode was already moved to: the first that can be linked becomes the target. */
  readonly hardlinkCandidates?: readonly Place[]
}

/** How an object came to its target. */
export interface MoveReport {
  /** `link`: the target is a further name of an object that was there already. */
  readonly method: 'rename' | 'copy' | 'link'
  readonly mtimeNs: bigint
  /** Of the contents that were copied. */
  readonly copy?: TreeReport
  /** What of the metadata could not be kept. */
  readonly lost: readonly Loss[]
}

/** A move that has not been refused. */
interface Begun extends Places {
  /** The source when the move began. */
  readonly stat: Stat
}

/** A move under way. */
export interface Move extends Begun {
  /** The source when it was last looked at. */
  stat: Stat
  readonly options: MoveOptions
  readonly sync: DirectorySync
  /** Whether no rename is tried, for which the source is changed and changed back: `stat` then still has to be true. */
  readonly isUntouched: boolean
  /** Why candidates could not be linked. */
  readonly unlinked: Loss[]
}

/** Moves and copies objects between names of open directories. */
export class Mover implements Stager {
  readonly kernel: Kernel
  readonly copier: Copier
  readonly policy: MetadataPolicy
  readonly copyOptions: CopyOptions
  readonly cancel: CancelFlag | undefined
  readonly onEntry: MoverOptions['onEntry']
  readonly #imagePrefix: Name | undefined
  /** By the identities of the two directories. */
  readonly #routes = new Map<string, Route>()

  constructor(kernel: Kernel, options: MoverOptions = {}) {
    const { cancel, onProgress } = options
    this.kernel = kernel
    this.policy = options.policy ?? metadataPolicy()
    this.copyOptions = options.copy ?? {}
    this.cancel = cancel
    this.onEntry = options.onEntry
    this.copier = new Copier(kernel, {
      ...(cancel === undefined ? {} : { cancel }),
      ...(onProgress === undefined ? {} : { onProgress }),
    })
    this.#imagePrefix = options.imagePrefix?.replace(/\/+$/, '')
  }

  /**
   * Stages a complete copy of one object that is not a directory: contents, then metadata.
   *
   * Nothing is visible under the final name; after an error nothing is left under the staging name.
   *
   * @throws {SourceChangedError, SourceReplacedError, MetadataLostError, SyscallError}
   */
  stageCopy(source: Place, staging: Place, options: StageOptions = {}): StagedObject {
    return stageCopy(this, source, staging, options)
  }

  /** Stages a further name of an object that is in place; EXDEV, EMLINK and EPERM are the caller's to answer. */
  stageLink(existing: Place, staging: Place): void {
    this.kernel.linkat(existing.directory, existing.name, staging.directory, staging.name)
  }

  /** Removes what is under a staging name, a whole tree too. */
  discard(staging: Place): void {
    removeTree(this.kernel, staging)
  }

  /** Whether rewriteLink ever changes anything. */
  get rewritesLinks(): boolean {
    return this.#imagePrefix !== undefined
  }

  /** The target of a symlink without the image's prefix. */
  rewriteLink(target: Name): Name {
    const prefix = this.#imagePrefix
    if (prefix === undefined || !target.startsWith(prefix)) return target
    const rest = target.slice(prefix.length)
    return rest === '' || rest.startsWith('/') ? rest.replace(/^\/*/, '/') : target
  }

  /**
   * Moves one object of any type, a directory with everything below it, to `target`.
   *
   * At every instant `target` is the old object or the new one; a target is replaced as rename(2) replaces it. When
   * it returns the source is gone; when it throws nothing has changed, unless the error says that the target is in place.
   *
   * @throws {SyscallError} what rename(2) answers: EISDIR, ENOTDIR, ENOTEMPTY, EEXIST, EACCES, EROFS …
   * @throws {SameFileError, IntoItselfError, MountPointError, SourceChangedError, SourceReplacedError}
   * @throws {MetadataLostError} with `metadata: require`
   * @throws {SourceNotRemovedError, NotDurableError} and the target is in place
   */
  move(source: Place, target: Place, options: MoveOptions = {}): MoveReport {
    const begun = this.#begin(source, target, options)
    const durability = options.durability ?? 'none'
    return withDirectorySync(this.kernel, { source, target, durability }, (sync) => {
      const move = moveOf(begun, options, sync)
      return this.#dropName(move) ?? this.#link(move) ?? this.#rename(move) ?? this.#copyAndRemove(move)
    })
  }

  /**
   * Copies one object of any type, a directory with everything below it, to `target`: staged, then renamed over it.
   *
   * @throws as move, but never SourceNotRemovedError
   */
  copy(source: Place, target: Place, options: PlacementOptions & Pick<TreeOptions, 'filter'> = {}): MoveReport {
    const begun = this.#begin(source, target, options)
    const durability = options.durability ?? 'none'
    return withDirectorySync(this.kernel, { source: target, target, durability }, (sync) => {
      return this.#placeCopy(moveOf(begun, options, sync), options).report
    })
  }

  #begin(source: Place, target: Place, options: PlacementOptions): Begun {
    const { kernel } = this
    const stat = options.stat ?? kernel.statat(source.directory, source.name)
    const path = (place: Place) => displayName(describePlace(kernel, place))
    refuseUnexpected(stat, options.expected, () => path(source))
    const route = options.route ?? this.route(source.directory, target.directory)
    const begun = { source, target, route, stat }
    if (isSameEntry(begun)) throw new SameFileError(`'${path(source)}' and '${path(target)}'`)
    return begun
  }

  /** The way between two open directories; for all moves from one to the other, while both are open. */
  route(source: Fd, target: Fd): Route {
    const from = this.kernel.fstat(source)
    const to = source === target ? from : this.kernel.fstat(target)
    const key = `${from.dev}:${from.ino} ${to.dev}:${to.ino}`
    const known = this.#routes.get(key)
    if (known !== undefined) return known
    const route = new Route(from, to)
    this.#routes.set(key, route)
    return route
  }

  /**
   * Source and target are two names of one file: rename(2) would do nothing and leave both, so the source's goes.
   * Undefined when they are not.
   */
  #dropName(move: Move): MoveReport | undefined {
    const { source, target, stat, options, sync } = move
    if (stat.nlink === 1 || stat.type === 'directory' || options.noReplace) return undefined
    const existing = this.kernel.findat(target.directory, target.name)
    if (existing === undefined || !isSameObject(existing, stat)) return undefined
    if (isSameEntryOfObject(this.kernel, move)) return undefined // two spellings: the kernel renames
    const report = withChange(this, move, () => {
      this.kernel.unlinkat(source.directory, source.name)
      return 'link'
    })
    if (report !== undefined) sync.source()
    return report
  }

  /** The target becomes a further name of a candidate; undefined when there is none that can be linked and renamed. */
  #link(move: Move): MoveReport | undefined {
    const { hardlinkCandidates: candidates = [] } = move.options
    if (isAppendOnly(move.route.targetDirectory)) return undefined
    if (candidates.length > 0) this.#cleanOnce(move)
    for (const candidate of candidates) {
      const report = linkToCandidate(this.kernel, move, candidate)
      if (report !== undefined) return report
    }
    return undefined
  }

  /** Undefined when the kernel cannot rename between the two places, or what it renames would not end as a copy. */
  #rename(move: Move): MoveReport | undefined {
    const { source, target, route, stat, options, sync } = move
    // A directory is asked for each time: much more hangs on it.
    if (route.isApart && stat.type !== 'directory') return undefined
    const durable = options.durability === 'file'
    // Before the rename, so that the name never stands for contents that a power cut can take. Between two devices it
    // will hardly be renamed (overlayfs does), and flushing the source of a copy would be for nothing.
    const early = durable && route.targetDirectory.dev === stat.dev
    const rename = (): 'rename' | undefined => {
      if (early) syncObject(this.kernel, source, stat)
      try {
        renameInto(this.kernel, source, target, options.noReplace ?? false)
      } catch (error) {
        if (isSyscallError(error, 'EINVAL')) refuseIntoItself(this.kernel, move, error)
        if (!isSyscallError(error, 'EXDEV')) throw error
        route.isApart = true
        return undefined
      }
      return 'rename'
    }
    const report = renamingExpected(this.kernel, move, () => withChange(this, move, rename))
    if (report === undefined) return undefined
    if (durable && !early) syncObject(this.kernel, target, stat)
    sync.target()
    sync.source()
    return report
  }

  #copyAndRemove(move: Move): MoveReport {
    refuseUnmovable(this.kernel, move)
    const { report, copied } = this.#placeCopy(move, { consuming: true })
    removeSource(this.kernel, move.source, move.target, copied)
    move.sync.source()
    return report
  }

  #placeCopy(move: Move, tree: TreeOptions): Placed {
    this.#cleanOnce(move)
    return placeCopy(this, move, tree)
  }

  /** What a move that died has left beside the target goes, once a route. */
  #cleanOnce({ target, route }: Places): void {
    if (route.isCleaned) return
    route.isCleaned = true
    removeAbandoned(this.kernel, target.directory)
  }
}

function moveOf({ source, target, route, stat }: Begun, options: MoveOptions, sync: DirectorySync): Move {
  return { source, target, route, stat, options, sync, isUntouched: route.isApart, unlinked: [] }
}
