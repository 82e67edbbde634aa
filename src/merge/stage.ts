// Staging: makes everything that a plan places, complete, under staging names, and says which steps commit it.

import type { Mover, Place } from '../movefile/index.ts'
import type { EngineContext } from '../sys/engineThread.ts'
import { baseName, displayName, isSyscallError, type Kernel, type Name, parentName, statWith } from '../sys/index.ts'
import { addBytes, type CopyTotals } from './copyTotals.ts'
import type { RecordedEntry } from './entry.ts'
import type { Journal } from './journal.ts'
import type { KeptInodes } from './keptInodes.ts'
import type { Comparer } from './live.ts'
import type { LostOf } from './lostMetadata.ts'
import { MemberListing } from './memberListing.ts'
import { finishNewDirectory, makeNewDirectory } from './newDirectories.ts'
import { type Fate, firstNamesOf, type Plan, type PlannedEntry } from './plan.ts'
import { removalSteps } from './removalSteps.ts'
import type { Root } from './root.ts'
import { StagedRecords } from './stagedRecords.ts'
import { StagedSteps } from './stagedSteps.ts'
import { type SpareThreads, StageThreads, type TaskResult } from './stageThreads.ts'
import type { StagingArea } from './stagingArea.ts'
import { findTakeable, sharedDirectories, type Verdict } from './takeable.ts'
import { TakeOut, type ToTake } from './takeOut.ts'
import { type ApartDigest, Making, ToMake } from './toMake.ts'
import type { StagedStep } from './transaction.ts'
import { factsOf, sizeOf } from './treeImage.ts'

/** What staging works with. */
export interface StageInput {
  readonly engine: EngineContext
  readonly root: Root
  readonly mover: Mover
  readonly comparer: Comparer
  /** How many threads stage. */
  readonly jobs: number
  readonly spareThreads: SpareThreads
  /** Which displaced inodes keep their set-id bits. */
  readonly kept: KeptInodes
  /** Whether payloads are digested for the record. */
  readonly digests: boolean
  readonly totals: CopyTotals
  readonly beforeEntry: () => void
  readonly onEntry: (bytes: number) => void
  /** Told what could not be done as the image has it. */
  readonly note: (text: string) => void
  /** Told what of the metadata could not be kept. */
  readonly lost: (of: LostOf) => void
}

/** What staging made of a plan. */
export interface Staged {
  readonly steps: readonly StagedStep[]
  /** What is recorded of the entries of a package of the plan, in their order. */
  readonly recordedOf: (entries: readonly PlannedEntry[]) => Iterable<RecordedEntry | undefined>
}

/** Stages every entry of a plan. */
export function stagePlan(input: StageInput, plan: Plan, area: StagingArea, journal: Journal): Staged {
  const records = new StagedRecords(input, plan)
  const threads = new StageThreads({ ...input, images: plan.packages.map(({ image }) => image) })
  const verdicts = findVerdicts({ ...input, threads, records }, plan)
  const staging = new Staging({ ...input, threads, records }, plan, area)
  staging.layOut(plan, verdicts)
  const takeOut = new TakeOut(area, journal)
  const declined = staging.take(takeOut)
  staging.copy()
  staging.link()
  staging.finishDirectories()
  takeOut.leave(plan, verdicts, declined)
  const steps = [
    ...staging.steps.all(listingOf(input, staging.steps.directories)),
    ...removalSteps(plan, area, input.kept),
  ]
  return { steps, recordedOf: (entries) => records.recordedOf(entries) }
}

/** Lets threads that are there list what was staged as a whole. */
function listingOf({ root, spareThreads }: StageInput, directories: readonly Name[]): MemberListing | undefined {
  const { started } = spareThreads
  return started && directories.length > 0 ? new MemberListing(started, root.fd, directories) : undefined
}

interface StagingInput extends StageInput {
  readonly threads: StageThreads
  readonly records: StagedRecords
}

/** What is to be taken, and how it is made where the kernel declines that. */
interface TakenEntry extends ToTake {
  readonly toMake: ToMake
}

const makesObject: ReadonlySet<Fate> = new Set(['place', 'refresh', 'setAside'])

/** For each package of a plan, how each of its entries is staged. */
function findVerdicts(input: StagingInput, plan: Plan): readonly (readonly Verdict[])[] {
  const shared = sharedDirectories(plan)
  let first = 0
  return plan.packages.map((from, image) => {
    const verdicts = findTakeable({ ...input, shared }, from, { image, first })
    first += from.entries.length
    return verdicts
  })
}

class Staging {
  readonly #input: StagingInput
  readonly #kernel: Kernel
  readonly #area: StagingArea
  /** First names of objects that have several. */
  readonly #firstNames: ReadonlySet<Name>
  /** Where each new directory, and each first name, is made, and its number, by live name. */
  readonly #staged = new Map<Name, { readonly stagedName: Name; readonly number: number }>()
  readonly #newDirectories: ToMake[] = []
  readonly #toTake: TakenEntry[] = []
  readonly #toCopy: ToMake[] = []
  readonly #toLink: ToMake[] = []
  readonly steps: StagedSteps

  constructor(input: StagingInput, plan: Plan, area: StagingArea) {
    this.#input = input
    this.#kernel = input.root.kernel
    this.#area = area
    this.#firstNames = firstNamesOf(plan)
    this.steps = new StagedSteps(input, area)
  }

  /** Makes the new directories and gives every object its staging name. */
  layOut({ packages }: Plan, verdicts: readonly (readonly Verdict[])[]): void {
    let number = 0
    packages.forEach(({ entries }, image) => {
      const verdictOf = (index: number) => verdicts[image]?.[index] ?? 'make'
      for (const [index, planned] of entries.entries()) {
        this.#input.beforeEntry()
        const verdict = verdictOf(index)
        if (verdict === 'make') this.#add(planned, image, number)
        else if (verdict !== 'withParent') {
          let end = index + 1
          while (end < entries.length && verdictOf(end) === 'withParent') end++
          const toMake = this.#toMake(planned, image, number)
          this.#toTake.push({ toMake, planned, stagedName: toMake.stagedName, whole: entries.slice(index, end) })
        }
        number++
      }
    })
  }

  #add(planned: PlannedEntry, image: number, number: number): void {
    const { fate } = planned
    if (fate === 'newDirectory') return this.#makeDirectory(this.#toMake(planned, image, number))
    if (makesObject.has(fate)) return this.#addObject(this.#toMake(planned, image, number))
    if (fate === 'changeDirectory') this.#changeDirectory(planned, number)
    else if (fate !== 'twin' && fate !== 'keepLive') this.#input.records.addLive(number, planned)
    this.#input.onEntry(sizeOf(planned.entry))
  }

  /** Where an entry is made: inside its new parent under its own name, or beside its live name under a hidden one. */
  #toMake(planned: PlannedEntry, image: number, number: number): ToMake {
    const { entry, isInNewDirectory, liveName } = planned
    const parent = isInNewDirectory ? this.#staged.get(parentName(liveName))?.stagedName : parentName(liveName)
    const hiddenName = isInNewDirectory ? undefined : this.#area.newName()
    const toMake = new ToMake({ planned, image, number }, parent ?? '', hiddenName)
    if (entry.type === 'directory' || this.#firstNames.has(liveName))
      this.#staged.set(liveName, { stagedName: toMake.stagedName, number })
    if (!isInNewDirectory) this.steps.add(toMake)
    return toMake
  }

  #place(name: Name): Place {
    return { directory: this.#input.root.directory(parentName(name)).fd, name: baseName(name) }
  }

  #makeDirectory(toMake: ToMake): void {
    const { planned, stagedName, number } = toMake
    makeNewDirectory(this.#kernel, this.#place(stagedName), !planned.isInNewDirectory)
    this.#newDirectories.push(toMake)
    this.#input.records.addDirectory(number, planned)
    this.#input.onEntry(0)
  }

  #addObject(toMake: ToMake): void {
    if (toMake.planned.linkedTo === undefined) this.#toCopy.push(toMake)
    else this.#toLink.push(toMake)
  }

  #changeDirectory(planned: PlannedEntry, number: number): void {
    const { entry, live } = planned
    if (live === undefined) return
    const after = this.steps.addDirectoryChange(planned, live, factsOf(entry))
    this.#input.records.addLive(number, { ...planned, live: statWith(live, after) })
  }

  /** Takes what is to be taken. @returns the entries that have to be made after all */
  take(takeOut: TakeOut): ReadonlySet<PlannedEntry> {
    for (const { planned, stagedName } of this.#toTake) {
      if (planned.from.image.mode === 'move') this.steps.markTaken(stagedName)
    }
    const declined = new Set(takeOut.take(this.#toTake))
    const made = new Set<PlannedEntry>()
    for (const toTake of this.#toTake) {
      if (!declined.has(toTake)) for (const planned of toTake.whole) this.#countTaken(planned)
      else for (const planned of this.#makeAfterAll(toTake)) made.add(planned)
    }
    return made
  }

  #makeAfterAll({ toMake: first, whole }: TakenEntry): readonly PlannedEntry[] {
    for (const [index, planned] of whole.entries()) {
      const toMake = index === 0 ? first : this.#toMake(planned, first.image, first.number + index)
      if (planned.entry.type === 'directory') this.#makeDirectory(toMake)
      else this.#addObject(toMake)
    }
    return whole
  }

  #countTaken({ entry }: PlannedEntry): void {
    if (entry.type === 'file') addBytes(this.#input.totals, 'renamed', sizeOf(entry))
    this.#input.onEntry(sizeOf(entry))
  }

  /** Copies what is made anew. */
  copy(): void {
    this.#copyAll(this.#toCopy)
  }

  #copyAll(all: readonly ToMake[]): void {
    const { records, threads } = this.#input
    const making = new Making(this.#input)
    const taskOf = (one: ToMake | ApartDigest) => making.taskOf(one)
    threads.run(making.of(all), taskOf, (one, result) => {
      if (!('digestOf' in one)) this.#takeResult(one, result)
      else if (result.digest !== undefined) records.addDigest(one.digestOf.number, result.digest)
    })
  }

  #takeResult(toMake: ToMake, result: TaskResult): void {
    const { planned, number } = toMake
    const { entry, from } = planned
    const { records, digests } = this.#input
    records.addStaged(number, planned, result)
    const known = digests && entry.type === 'file' ? from.image.digestOf(entry.name) : undefined
    if (known !== undefined) records.addDigest(number, known)
    if (result.facts !== undefined) this.steps.addFacts(toMake.stagedName, result.facts)
    if (result.facts?.lost !== undefined) this.#input.lost({ name: entry.name, losses: result.facts.lost })
  }

  /** Further names of objects that are staged by now; where two names cannot be one inode they become two objects. */
  link(): void {
    const split: ToMake[] = []
    for (const toMake of this.#toLink) {
      const { planned, number, stagedName } = toMake
      this.#input.beforeEntry()
      const first = this.#staged.get(planned.linkedTo ?? '')
      if (first === undefined || !this.#tryLink(this.#place(first.stagedName), this.#place(stagedName))) {
        split.push(toMake)
        continue
      }
      this.#input.records.addLink(number, planned, first.number)
      this.#input.onEntry(sizeOf(planned.entry))
    }
    this.#copyAll(split)
    for (const { number, planned } of split) {
      this.#input.records.addSplit(number)
      const name = displayName(planned.entry.name)
      this.#input.note(`'${name}' became an object of its own: it cannot be linked to the others`)
    }
  }

  /** Several mounts may be below the root, and some file systems have no hard links. */
  #tryLink(existing: Place, place: Place): boolean {
    try {
      this.#kernel.linkat(existing.directory, existing.name, place.directory, place.name)
      return true
    } catch (error) {
      if (!isSyscallError(error, 'EXDEV', 'EMLINK', 'EPERM', 'EOPNOTSUPP', 'ENOSYS')) throw error
      return false
    }
  }

  /** Gives new directories their metadata, the innermost first: making a child moves its parent's mtime. */
  finishDirectories(): void {
    const { lost, mover, records, root } = this.#input
    for (const { planned, number, stagedName } of this.#newDirectories.reverse()) {
      const inodeFlags = finishNewDirectory(mover, planned, this.#place(stagedName), (fd, losses) => {
        records.correctDirectory(number, planned, fd)
        lost({ name: planned.entry.name, losses })
      })
      this.steps.addFacts(stagedName, { finalFlags: inodeFlags })
      if (!planned.isInNewDirectory) root.forget(stagedName)
    }
  }
}
