// Taking objects out of images by rename: journaled first, durably, then renamed to their staging names.

import { type Place, SourceReplacedError } from '../movefile/index.ts'
import {
  baseName,
  displayName,
  type ErrnoName,
  isSyscallError,
  joinName,
  type Name,
  parentName,
  RENAME_NOREPLACE,
} from '../sys/index.ts'
import { EntryNumbers, type NumberedEntry } from './entryNumbers.ts'
import type { Journal } from './journal.ts'
import type { Plan, PlannedEntry } from './plan.ts'
import { some } from './plannedEntries.ts'
import { inParts, namesPerRecord } from './recordParts.ts'
import type { StagingArea } from './stagingArea.ts'
import type { Verdict } from './takeable.ts'
import { seenOf, type Taking } from './takings.ts'
import type { TreeEntry, TreeImage } from './treeImage.ts'

/** An entry, all that is below it included where it is a directory, that is to be taken. */
export interface ToTake {
  readonly planned: PlannedEntry
  /** Where to, from the root. */
  readonly stagedName: Name
  /** Everything that goes with it, in image order: first itself. */
  readonly whole: Iterable<NumberedEntry>
}

/** The answers of rename(2) that mean: this has to be copied. EXDEV comes from mounts, overlays, project ids, encryption. */
const declines: readonly ErrnoName[] = [
  'EXDEV',
  'EPERM',
  'EACCES',
  'EROFS',
  'EBUSY',
  'EMLINK',
  'EINVAL',
  'ENOSYS',
  'EOPNOTSUPP',
]

/** Takes objects out of images, and remembers which images those were. */
export class TakeOut {
  readonly #area: StagingArea
  readonly #journal: Journal
  /** Journaled images by number. */
  readonly #numbers = new Map<TreeImage, number>()

  constructor(area: StagingArea, journal: Journal) {
    this.#area = area
    this.#journal = journal
  }

  /** Takes what can be taken. @returns what the kernel would not rename, which is where it was */
  take(all: readonly ToTake[]): ToTake[] {
    for (const taking of this.#takingsOf(all)) this.#area.takings.add(taking, this.#journal)
    if (this.#numbers.size > 0) this.#journal.flush()
    const declined: ToTake[] = []
    const inodes = new Set<string>()
    for (const one of all) {
      if (!this.#holdsOneOf(one, inodes) && this.#rename(one)) continue
      declined.push(one)
      for (const { planned } of one.whole) if (planned.entry.stat.nlink > 1) inodes.add(inodeOf(planned.entry))
    }
    return declined
  }

  /** The first name of an inode is copied, so the others have to become links to that copy. */
  #holdsOneOf({ whole }: ToTake, inodes: ReadonlySet<string>): boolean {
    const holds = ({ planned: { entry } }: NumberedEntry) => entry.stat.nlink > 1 && inodes.has(inodeOf(entry))
    return inodes.size > 0 && some(whole, holds)
  }

  /**
   * Journals what is left of an image, which goes once the merge is final.
   *
   * @param declined  numbers of entries
   */
  leave({ packages }: Plan, verdicts: readonly (readonly Verdict[])[], declined: ReadonlySet<number>): void {
    const numbers = new EntryNumbers(packages)
    packages.forEach(({ image, entries }, index) => {
      if (image.mode !== 'move') return
      const first = numbers.firstOf(index)
      const left: PlannedEntry[] = []
      for (const { planned, number } of numbers.range(first, first + entries.length))
        if (verdicts[index]?.[number - first] === 'make' || declined.has(number)) left.push(planned)
      for (const [within, members] of inBatches(left)) {
        const seen = members.map(({ entry }) => [baseName(entry.name), seenOf(entry.stat)] as const)
        this.#area.takings.addRemainder({ image: this.#numberOf(image), within, members: seen }, this.#journal)
      }
    })
  }

  #numberOf(image: TreeImage): number {
    const known = this.#numbers.get(image)
    if (known !== undefined) return known
    const number = this.#area.takings.addImage(image, this.#journal)
    this.#numbers.set(image, number)
    return number
  }

  /** One for each directory of an image, and each directory that its members go to. */
  *#takingsOf(all: readonly ToTake[]): Generator<Taking> {
    const groups = new Map<string, ToTake[]>()
    for (const one of all) {
      if (one.planned.from.image.mode !== 'move') continue
      const key = [
        this.#numberOf(one.planned.from.image),
        parentName(one.planned.entry.name),
        parentName(one.stagedName),
      ].join('\0')
      const group = groups.get(key) ?? []
      groups.set(key, group)
      group.push(one)
    }
    for (const group of groups.values()) {
      for (const part of inParts(group, namesPerRecord)) yield this.#takingOf(part)
    }
  }

  #takingOf(group: readonly ToTake[]): Taking {
    const [{ planned, stagedName }] = group as readonly [ToTake]
    const { image } = planned.from
    const within = parentName(planned.entry.name)
    return {
      image: this.#numberOf(image),
      within,
      mtimeNs: String(this.#area.root.kernel.fstat(image.directory(within)).mtimeNs),
      ...this.#area.locate(parentName(stagedName)),
      names: group.map(
        ({ planned: { entry }, stagedName }) =>
          [baseName(entry.name), baseName(stagedName), String(entry.stat.ino)] as const,
      ),
    }
  }

  /** @returns false when it has to be copied */
  #rename({ planned, stagedName, whole }: ToTake): boolean {
    const { kernel } = this.#area.root
    const { entry, from } = planned
    const source = from.image.place(entry.name)
    const target = this.#place(stagedName)
    try {
      kernel.renameat(source.directory, source.name, target.directory, target.name, RENAME_NOREPLACE)
    } catch (error) {
      if (!isSyscallError(error, ...declines)) throw error
      return false
    }
    if (entry.type === 'directory') from.image.forget(entry.name)
    if (kernel.statat(target.directory, target.name).ino !== entry.stat.ino) throw changed(planned)
    if (from.image.mode === 'move') this.#checkMembers(stagedName, planned, whole)
    return true
  }

  /** Nobody may have put anything into a directory since the plan was made: it would be in the root, and in no record. */
  #checkMembers(stagedName: Name, planned: PlannedEntry, whole: Iterable<NumberedEntry>): void {
    const { root } = this.#area
    const members = new Map<Name, number>()
    for (const {
      planned: { entry },
    } of whole) {
      const parent = parentName(entry.name)
      members.set(parent, (members.get(parent) ?? 0) + 1)
    }
    for (const {
      planned: { entry },
    } of whole) {
      if (entry.type !== 'directory') continue
      const name = joinName(stagedName, entry.name.slice(planned.entry.name.length + 1))
      const found = root.kernel.readDirectory(root.directory(name).fd).length
      if (found !== (members.get(entry.name) ?? 0)) throw changed(planned)
    }
    root.forget(stagedName)
  }

  #place(name: Name): Place {
    return { directory: this.#area.root.directory(parentName(name)).fd, name: baseName(name) }
  }
}

function inodeOf({ stat: { dev, ino } }: TreeEntry): string {
  return `${dev}:${ino}`
}

function changed({ entry, from }: PlannedEntry): SourceReplacedError {
  return new SourceReplacedError(
    displayName(joinName(from.image.path, entry.name)),
    'changed while it was being merged',
  )
}

/** Entries by the directory of the image that they are in, no more of them at once than a record holds. */
function* inBatches(entries: readonly PlannedEntry[]): Generator<[Name, readonly PlannedEntry[]]> {
  const groups = new Map<Name, PlannedEntry[]>()
  for (const planned of entries) {
    const within = parentName(planned.entry.name)
    const group = groups.get(within) ?? []
    groups.set(within, group)
    group.push(planned)
  }
  // Map keeps the order of insertion: a directory comes before the directories in it, as in the image.
  for (const [within, group] of groups) {
    for (const part of inParts(group, namesPerRecord)) yield [within, part]
  }
}
