// Which objects of an image may be taken out of it by rename: those that would be the same as copies of them, with all
// their hard links in the image; and which directories as a whole, with one rename.

import {
  differsFromCopy,
  type MetadataPolicy,
  readAttributes,
  SourceReplacedError,
  withDescriptor,
} from '../movefile/index.ts'
import {
  displayName,
  type Fd,
  isSyscallError,
  joinName,
  type Kernel,
  type Name,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  parentName,
  STATX_ATTR_APPEND,
  STATX_ATTR_IMMUTABLE,
  STATX_ATTR_MOUNT_ROOT,
  type Stat,
} from '../sys/index.ts'
import type { Xattrs } from './entry.ts'
import type { Comparer } from './live.ts'
import type { Fate, PlannedEntry, PlannedPackage } from './plan.ts'
import type { Root } from './root.ts'
import type { TreeImage } from './treeImage.ts'

/** How an entry is staged: made anew, taken by its own rename, taken with everything below it, or with what is above. */
export type Verdict = 'make' | 'take' | 'takeWhole' | 'withParent'

/** What was found of an object in the image. */
export interface Inspected {
  readonly xattrs: Xattrs
  readonly sha256?: string
}

/** What decides about takings. */
export interface TakeableInput {
  readonly root: Root
  readonly policy: MetadataPolicy
  readonly comparer: Comparer
  readonly digests: boolean
  readonly beforeEntry: () => void
  /** Told what was found of each entry that may be taken. */
  readonly onInspected: (planned: PlannedEntry, inspected: Inspected) => void
}

/** Actions that put an object of the image into the root. */
const placing: ReadonlySet<Fate> = new Set(['place', 'refresh', 'newDirectory'])
/** What forbids renaming. */
const unmovable = STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND | STATX_ATTR_MOUNT_ROOT
// FS_NOCOW_FL, FS_COMPR_FL, FS_NOCOMP_FL, FS_PROJINHERIT_FL, FS_CASEFOLD_FL of linux/fs.h: what a live directory gives to
// what is made in it, and what an object that comes by rename would bring along instead.
const inheritedFlags = 0x800000 | 0x4 | 0x400 | 0x20000000 | 0x40000000

/** One verdict for each entry of a package, in their order. */
export function findTakeable(input: TakeableInput, { entries, image }: PlannedPackage): Verdict[] {
  if (image.mode === 'copy') return entries.map(() => 'make')
  const finder = new TakeableFinder(input, entries)
  return finder.verdicts()
}

class TakeableFinder {
  readonly #input: TakeableInput
  readonly #kernel: Kernel
  readonly #entries: readonly PlannedEntry[]
  /** How many entries lie in each directory of the image. */
  readonly #members = new Map<Name, number>()
  /** New live directories that get something from elsewhere too. */
  readonly #shared = new Set<Name>()
  /** By inode: how many names are entries that may be taken. */
  readonly #links = new Map<string, number>()
  /** The inheritable flags of live directories. */
  readonly #flags = new Map<Name, number>()
  /** The image's directory that was looked at last, and its inheritable flags. */
  #imageDirectory: { readonly name: Name; readonly flags: number } | undefined

  constructor(input: TakeableInput, entries: readonly PlannedEntry[]) {
    this.#input = input
    this.#kernel = input.root.kernel
    this.#entries = entries
  }

  verdicts(): Verdict[] {
    this.#count()
    const mayGo = this.#entries.map((planned) => {
      this.#input.beforeEntry()
      return placing.has(planned.fate) && this.#inspect(planned)
    })
    this.#countLinks(mayGo)
    return this.#settle(mayGo)
  }

  #count(): void {
    const imageNames = new Map<Name, Name>()
    for (const { entry, liveName, fate, isInNewDirectory } of this.#entries) {
      const parent = parentName(entry.name)
      this.#members.set(parent, (this.#members.get(parent) ?? 0) + 1)
      if (fate === 'newDirectory') imageNames.set(liveName, entry.name)
      if (isInNewDirectory && imageNames.get(parentName(liveName)) !== parent) this.#shared.add(parentName(liveName))
    }
  }

  /** Whether an object would be the same after a rename as copied; what was found on the way is told. */
  #inspect(planned: PlannedEntry): boolean {
    const { entry, from } = planned
    const { stat } = entry
    const isFixed = (stat.attributes & unmovable) !== 0
    const flags =
      stat.type === 'directory' ? O_RDONLY | O_DIRECTORY : stat.type === 'file' ? O_RDONLY | O_NONBLOCK : O_PATH
    const place = from.image.place(entry.name)
    return withDescriptor(this.#kernel, this.#kernel.openat(place.directory, place.name, flags | O_NOFOLLOW), (fd) => {
      const now = this.#kernel.fstat(fd)
      refuseOther(planned, now)
      const names = this.#kernel.listXattrs(fd)
      const { policy } = this.#input
      if (differsFromCopy(names, policy) || isFixed || !this.#inheritsAlike(planned, fd)) return false
      const xattrs = names.length === 0 ? [] : readAttributes(this.#kernel, fd, now, policy).xattrs
      this.#input.onInspected(planned, { xattrs, ...this.#digest(planned, fd) })
      return true
    })
  }

  #digest({ entry, from }: PlannedEntry, fd: Fd): { sha256?: string } {
    if (entry.type !== 'file' || !this.#input.digests) return {}
    return { sha256: from.image.digestOf(entry.name) ?? this.#input.comparer.digestOf(fd) }
  }

  /** Whether what lies in the image's directory, or a directory itself, has what the live directory would give it. */
  #inheritsAlike({ entry, from, liveName }: PlannedEntry, fd: Fd): boolean {
    const there = this.#flagsOfLive(liveName)
    if (entry.type === 'directory') return flagsOf(this.#kernel, fd) === there
    return this.#flagsInImage(parentName(entry.name), from.image) === there
  }

  #flagsInImage(name: Name, image: TreeImage): number {
    if (this.#imageDirectory?.name !== name) {
      this.#imageDirectory = { name, flags: flagsOf(this.#kernel, image.directory(name)) }
    }
    return this.#imageDirectory.flags
  }

  /** Of the innermost directory above a name that is there already: a new one inherits from that. */
  #flagsOfLive(liveName: Name): number {
    const parent = parentName(liveName)
    const known = this.#flags.get(parent)
    if (known !== undefined) return known
    const directory = this.#input.root.findDirectory(parent)
    const flags = directory === undefined ? this.#flagsOfLive(parent) : flagsOf(this.#kernel, directory.fd)
    this.#flags.set(parent, flags)
    return flags
  }

  #countLinks(mayGo: readonly boolean[]): void {
    this.#entries.forEach(({ entry: { stat, type } }, index) => {
      if (type === 'directory' || stat.nlink < 2 || !mayGo[index]) return
      this.#links.set(inodeOf(stat), (this.#links.get(inodeOf(stat)) ?? 0) + 1)
    })
  }

  /** From the last to the first, so that a directory knows of everything below it. */
  #settle(mayGo: readonly boolean[]): Verdict[] {
    const verdicts: Verdict[] = this.#entries.map(() => 'make')
    /** How many members of a directory go with it. */
    const going = new Map<Name, number>()
    for (let index = this.#entries.length - 1; index >= 0; index--) {
      const planned = this.#entries[index] as PlannedEntry
      const isDirectory = planned.entry.type === 'directory'
      if (!mayGo[index] || (isDirectory ? !this.#isWhole(planned, going) : !this.#hasAllLinks(planned))) continue
      verdicts[index] = isDirectory ? 'takeWhole' : 'take'
      const parent = parentName(planned.entry.name)
      going.set(parent, (going.get(parent) ?? 0) + 1)
    }
    return this.#withParents(verdicts)
  }

  #isWhole({ entry, from, liveName }: PlannedEntry, going: ReadonlyMap<Name, number>): boolean {
    const members = this.#members.get(entry.name) ?? 0
    if ((going.get(entry.name) ?? 0) !== members || this.#shared.has(liveName)) return false
    return this.#kernel.readDirectory(from.image.directory(entry.name)).length === members // nothing was left out
  }

  #hasAllLinks({ entry: { stat } }: PlannedEntry): boolean {
    return stat.nlink < 2 || this.#links.get(inodeOf(stat)) === stat.nlink
  }

  #withParents(verdicts: Verdict[]): Verdict[] {
    const going = new Set<Name>()
    return verdicts.map((verdict, index) => {
      const { entry } = this.#entries[index] as PlannedEntry
      const goes = going.has(parentName(entry.name))
      if (entry.type === 'directory' && (goes || verdict === 'takeWhole')) going.add(entry.name)
      return goes ? 'withParent' : verdict
    })
  }
}

function inodeOf({ dev, ino }: Stat): string {
  return `${dev}:${ino}`
}

function flagsOf(kernel: Kernel, fd: Fd): number {
  try {
    return kernel.getInodeFlags(fd) & inheritedFlags
  } catch (error) {
    if (isSyscallError(error, 'ENOTTY', 'EOPNOTSUPP', 'EINVAL', 'ENOSYS')) return 0
    throw error
  }
}

/** @throws {SourceReplacedError} when the image changed since the plan was made */
function refuseOther({ entry: { name, stat, type }, from: { image } }: PlannedEntry, now: Stat): void {
  const isSame =
    now.ino === stat.ino &&
    now.dev === stat.dev &&
    now.type === stat.type &&
    (type === 'directory' || (now.size === stat.size && now.mtimeNs === stat.mtimeNs && now.ctimeNs === stat.ctimeNs))
  if (!isSame)
    throw new SourceReplacedError(displayName(joinName(image.path, name)), 'changed while it was being merged')
}
