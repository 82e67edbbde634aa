// What would stop a plan: looked for before anything is written, and all of it.

import { MountPointError } from '../movefile/index.ts'
import {
  isSyscallError,
  type Name,
  parentName,
  STATX_ATTR_APPEND,
  STATX_ATTR_IMMUTABLE,
  STATX_ATTR_MOUNT_ROOT,
  type Stat,
  SyscallError,
  W_OK,
  X_OK,
} from '../sys/index.ts'
import type { Removal } from './obsolete.ts'
import { type Changes, entriesOf, type PlannedEntry } from './plan.ts'
import type { Problems } from './problems.ts'
import { changing, goesWhenEmpty } from './removalSteps.ts'
import type { Root } from './root.ts'
import { SpaceNeeds } from './space.ts'
import type { State } from './state.ts'

const fixed = STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND
const sticky = 0o1000
/** Of a record's entry, beside its name. */
const recordedBytes = 100

/** The directory that something is made in, or the nearest one above it that is there already. */
export interface Site {
  readonly liveName: Name
  readonly stat: Stat
}

/**
 * Adds to `problems` what the kernel would refuse later: directories that may not be written (permissions, read-only
 * mounts), immutable and append-only objects, mount points that would have to move, file systems without the room.
 *
 * It is a look ahead, no promise: what it misses fails while staging, before anything is visible.
 */
export function findObstacles(
  { root, state }: { root: Root; state: State },
  plan: Pick<Changes, 'packages' | 'removals'>,
  problems: Problems,
): void {
  const survey = new Survey(root, problems)
  for (const planned of entriesOf(plan)) {
    if (changing.has(planned.fate)) survey.addEntry(planned)
    survey.addRecorded(planned)
  }
  for (const removal of plan.removals) survey.addRemoval(removal)
  survey.addRecords(state)
  survey.finish()
}

class Survey {
  readonly #needs: SpaceNeeds
  readonly #root: Root
  readonly #problems: Problems
  /** By live name; undefined for a name that is no directory, which is somebody else's problem. */
  readonly #sites = new Map<Name, Site | undefined>()
  readonly #readOnly = new Set<Name>()
  #recordBytes = 0
  readonly #user = process.geteuid?.() ?? 0

  constructor(root: Root, problems: Problems) {
    this.#root = root
    this.#problems = problems
    this.#needs = new SpaceNeeds(root)
  }

  addEntry(planned: PlannedEntry): void {
    const { entry, fate, live, liveName } = planned
    const site = this.#site(parentName(liveName))
    if (site === undefined) return
    if (fate === 'changeDirectory') return this.#checkFlags(liveName, live)
    if (fate === 'newDirectory') this.#sites.set(liveName, site)
    this.#needs.add(site, planned)
    if (live !== undefined) this.#checkDisplaced(site, liveName, live)
    if (entry.type !== 'directory' && live !== undefined) this.#needs.addCopyUp(site, live)
  }

  /** A directory is only removed when it is empty and nobody needs it: what hinders that is no obstacle. */
  addRemoval(removal: Removal): void {
    if (goesWhenEmpty(removal)) return
    const { live, liveName } = removal
    const site = this.#site(parentName(liveName))
    if (site === undefined) return
    this.#checkDisplaced(site, liveName, live)
    this.#needs.addCopyUp(site, live)
  }

  /** What a record says of an entry. */
  addRecorded({ entry }: PlannedEntry): void {
    this.#recordBytes += entry.name.length + recordedBytes
  }

  /** The records go into the state directory, or where it will be made. */
  addRecords(state: State): void {
    for (let name = state.name; ; name = parentName(name)) {
      const directory = this.#root.findDirectory(name)
      if (directory === undefined && name !== '') continue
      const site = this.#site(directory?.name ?? '')
      if (site !== undefined) this.#needs.addBytes(site, this.#recordBytes)
      return
    }
  }

  #site(liveName: Name): Site | undefined {
    if (!this.#sites.has(liveName)) this.#sites.set(liveName, this.#findSite(liveName))
    return this.#sites.get(liveName)
  }

  #findSite(liveName: Name): Site | undefined {
    const directory = this.#root.findDirectory(liveName)
    if (directory === undefined) return undefined
    const stat = this.#root.kernel.fstat(directory.fd)
    this.#checkWritable(directory.fd, liveName)
    if ((stat.attributes & STATX_ATTR_APPEND) !== 0) this.#problems.addImmutable(this.#root.pathOf(liveName))
    return { liveName, stat }
  }

  /** Of a read-only file system the uppermost directory is told, when all are known. */
  #checkWritable(fd: number, liveName: Name): void {
    try {
      this.#root.kernel.accessat(fd, '.', W_OK | X_OK)
    } catch (error) {
      if (!isSyscallError(error, 'EACCES', 'EPERM', 'EROFS')) throw error
      if (error.code === 'EPERM') return this.#problems.addImmutable(this.#root.pathOf(liveName))
      if (error.code === 'EROFS') {
        this.#readOnly.add(liveName)
        return
      }
      this.#problems.add(new SyscallError(error.code, error.syscall, this.#root.pathOf(liveName)))
    }
  }

  /** What only the whole survey can say. */
  finish(): void {
    const isBelow = (name: Name): boolean =>
      name !== '' && (this.#readOnly.has(parentName(name)) || isBelow(parentName(name)))
    for (const name of this.#readOnly) {
      if (!isBelow(name)) this.#problems.add(new SyscallError('EROFS', 'faccessat2', this.#root.pathOf(name)))
    }
    for (const error of this.#needs.missing()) this.#problems.add(error)
  }

  #checkDisplaced({ stat: parent }: Site, liveName: Name, live: Stat): void {
    const path = this.#root.pathOf(liveName)
    if ((live.attributes & STATX_ATTR_MOUNT_ROOT) !== 0) this.#problems.add(new MountPointError(path))
    this.#checkFlags(liveName, live)
    // inode(7): in a sticky directory only the owner of the object or of the directory may rename or remove it.
    const isOthers = live.uid !== this.#user && parent.uid !== this.#user && this.#user !== 0
    if ((parent.mode & sticky) !== 0 && isOthers) this.#problems.add(new SyscallError('EPERM', 'renameat2', path))
  }

  #checkFlags(liveName: Name, live: Stat | undefined): void {
    if (((live?.attributes ?? 0) & fixed) !== 0) this.#problems.addImmutable(this.#root.pathOf(liveName))
  }
}
