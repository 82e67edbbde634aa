// Which objects of an image may be taken out of it by rename: those that would be the same as copies of them, with all
// their hard links in the image; and which directories as a whole, with one rename.

import {
  baseName,
  type Fd,
  isSyscallError,
  type Kernel,
  type Name,
  parentName,
  STATX_ATTR_APPEND,
  STATX_ATTR_IMMUTABLE,
  STATX_ATTR_MOUNT_ROOT,
  type Stat,
} from '../sys/index.ts'
import type { Fate, Plan, PlannedEntry, PlannedPackage } from './plan.ts'
import type { EntryList } from './plannedEntries.ts'
import type { Root } from './root.ts'
import type { StagedRecords } from './stagedRecords.ts'
import type { StageTask } from './stageTask.ts'
import type { StageThreads, TaskResult } from './stageThreads.ts'
import type { TreeImage } from './treeImage.ts'

/** How an entry is staged: made anew, taken by its own rename, taken with everything below it, or with what is above. */
export type Verdict = 'make' | 'take' | 'takeWhole' | 'withParent'

/** What decides about takings. */
export interface TakeableInput {
  readonly root: Root
  readonly digests: boolean
  readonly threads: StageThreads
  readonly records: StagedRecords
  /** New live directories that get something from elsewhere too (see sharedDirectories). */
  readonly shared: ReadonlySet<Name>
}

/**
 * The new live directories of a plan that get something from another image, or from another directory of theirs, too;
 * none where nothing may be taken.
 */
export function sharedDirectories({ packages }: Pick<Plan, 'packages'>): ReadonlySet<Name> {
  const made = new Map<Name, PlannedEntry>()
  const shared = new Set<Name>()
  if (packages.every(({ image }) => image.mode === 'copy')) return shared
  for (const { entries } of packages) {
    for (const planned of entries) {
      const { entry, fate, from, isInNewDirectory, liveName } = planned
      if (fate === 'newDirectory') made.set(liveName, planned)
      if (!isInNewDirectory) continue
      const directory = parentName(liveName)
      const maker = made.get(directory)
      if (maker?.from !== from || maker.entry.name !== parentName(entry.name)) shared.add(directory)
    }
  }
  return shared
}

/** Actions that put an object of the image into the root. */
const placing: ReadonlySet<Fate> = new Set(['place', 'refresh', 'newDirectory'])
/** What forbids renaming. */
const unmovable = STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND | STATX_ATTR_MOUNT_ROOT
// FS_NOCOW_FL, FS_COMPR_FL, FS_NOCOMP_FL, FS_PROJINHERIT_FL, FS_CASEFOLD_FL of linux/fs.h: what a live directory gives to
// what is made in it, and what an object that comes by rename would bring along instead.
const inheritedFlags = 0x800000 | 0x4 | 0x400 | 0x20000000 | 0x40000000

/**
 * One verdict for each entry of a package, in their order, or none where all are made; what may be taken is recorded as
 * it is.
 *
 * @param image  the image's number
 * @param first  the number of its first entry among those of the plan
 */
export function findTakeable(
  input: TakeableInput,
  { entries, image }: PlannedPackage,
  numbers: { image: number; first: number },
): Verdict[] {
  if (image.mode === 'copy') return []
  return new TakeableFinder(input, entries, numbers).verdicts()
}

class TakeableFinder {
  readonly #input: TakeableInput
  readonly #kernel: Kernel
  readonly #entries: EntryList
  readonly #numbers: { readonly image: number; readonly first: number }
  /** How many entries lie in each directory of the image. */
  readonly #members = new Map<Name, number>()
  /** By live names. */
  readonly #newDirectories = new Set<Name>()
  /** By inode: how many names are entries that may be taken. */
  readonly #links = new Map<string, number>()
  /** The inheritable flags of live directories. */
  readonly #flags = new Map<Name, number>()
  /** The image's directory that was looked at last, and its inheritable flags. */
  #imageDirectory: { readonly name: Name; readonly flags: number } | undefined

  constructor(input: TakeableInput, entries: EntryList, numbers: { image: number; first: number }) {
    this.#input = input
    this.#kernel = input.root.kernel
    this.#entries = entries
    this.#numbers = numbers
  }

  verdicts(): Verdict[] {
    this.#count()
    const mayGo = this.#inspect()
    this.#countLinks(mayGo)
    return this.#settle(mayGo)
  }

  #count(): void {
    for (const { entry, liveName, fate } of this.#entries) {
      const parent = parentName(entry.name)
      this.#members.set(parent, (this.#members.get(parent) ?? 0) + 1)
      if (fate === 'newDirectory') this.#newDirectories.add(liveName)
    }
  }

  /** Which objects would be the same after a rename as copied; what was found on the way is recorded. */
  #inspect(): boolean[] {
    const { threads, records } = this.#input
    const mayGo = new Array<boolean>(this.#entries.length).fill(false)
    const add = (place: number, planned: PlannedEntry, result: TaskResult) => {
      mayGo[place] = true
      records.addStaged(this.#numbers.first + place, planned, result)
    }
    const unknown: number[] = []
    let next = 0
    for (const planned of this.#entries) {
      const place = next++
      if (!placing.has(planned.fate) || !this.#isMovable(planned)) continue
      const digest = this.#knownDigest(planned)
      if (this.#isKnown(planned, digest)) add(place, planned, { digest, facts: undefined })
      else unknown.push(place)
    }
    threads.run(
      unknown,
      (place) => this.#taskOf(this.#entryAt(place)),
      (place, { facts, digest }) => {
        if (facts?.differsFromCopy) return
        const planned = this.#entryAt(place)
        add(place, planned, { facts, digest: digest ?? this.#knownDigest(planned) })
      },
    )
    return mayGo
  }

  #entryAt(place: number): PlannedEntry {
    return this.#entries.at(place) as PlannedEntry
  }

  /** Of an object that nobody else could reach, and of which everything is known, nothing is asked. */
  #isKnown(planned: PlannedEntry, digest: Uint8Array | undefined): boolean {
    const { entry, from } = planned
    return from.image.isPlain(entry.name) && (digest !== undefined || !this.#isDigested(planned))
  }

  #isDigested({ entry }: PlannedEntry): boolean {
    return entry.type === 'file' && this.#input.digests
  }

  #knownDigest(planned: PlannedEntry): Uint8Array | undefined {
    return this.#isDigested(planned) ? planned.from.image.digestOf(planned.entry.name) : undefined
  }

  #isMovable(planned: PlannedEntry): boolean {
    return (planned.entry.stat.attributes & unmovable) === 0 && this.#inheritsAlike(planned)
  }

  #taskOf(planned: PlannedEntry): StageTask {
    const { name, stat } = planned.entry
    return {
      kind: 'inspect',
      image: this.#numbers.image,
      directory: parentName(name),
      name: baseName(name),
      stagedDirectory: '',
      stagedName: '',
      stat,
      isPrivate: false,
      digests: this.#isDigested(planned) && this.#knownDigest(planned) === undefined,
      identifies: false,
    }
  }

  /** Whether what lies in the image's directory, or a directory itself, has what the live directory would give it. */
  #inheritsAlike({ entry, from, liveName }: PlannedEntry): boolean {
    const directory = entry.type === 'directory' ? entry.name : parentName(entry.name)
    return this.#flagsInImage(directory, from.image) === this.#flagsOfLive(liveName)
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
    const directory = this.#newDirectories.has(parent) ? undefined : this.#input.root.findDirectory(parent)
    const flags = directory === undefined ? this.#flagsOfLive(parent) : flagsOf(this.#kernel, directory.fd)
    this.#flags.set(parent, flags)
    return flags
  }

  #countLinks(mayGo: readonly boolean[]): void {
    let place = 0
    for (const { entry } of this.#entries) {
      const { stat, type } = entry
      if (!mayGo[place++] || type === 'directory' || stat.nlink < 2) continue
      this.#links.set(inodeOf(stat), (this.#links.get(inodeOf(stat)) ?? 0) + 1)
    }
  }

  /** From the last to the first, so that a directory knows of everything below it. */
  #settle(mayGo: readonly boolean[]): Verdict[] {
    const verdicts = new Array<Verdict>(this.#entries.length).fill('make')
    /** How many members of a directory go with it. */
    const going = new Map<Name, number>()
    for (let index = this.#entries.length - 1; index >= 0; index--) {
      const planned = this.#entryAt(index)
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
    if ((going.get(entry.name) ?? 0) !== members || this.#input.shared.has(liveName)) return false
    return from.image.countIn(entry.name) === members // nothing was left out
  }

  #hasAllLinks({ entry: { stat } }: PlannedEntry): boolean {
    return stat.nlink < 2 || this.#links.get(inodeOf(stat)) === stat.nlink
  }

  #withParents(verdicts: Verdict[]): Verdict[] {
    const going = new Set<Name>()
    return verdicts.map((verdict, index) => {
      const { entry } = this.#entryAt(index)
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
