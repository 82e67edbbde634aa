// Staging: makes everything that a plan places, complete, under staging names, and says which steps commit it.

import type { Mover, Place } from '../movefile/index.ts'
import type { EngineContext } from '../sys/engineThread.ts'
import { baseName, displayName, type Kernel, type Name, parentName, statWith } from '../sys/index.ts'
import { addBytes, type CopyTotals } from './copyTotals.ts'
import type { RecordedEntry } from './entry.ts'
import { EntryNumbers, type NumberedEntry } from './entryNumbers.ts'
import type { Journal } from './journal.ts'
import type { KeptInodes } from './keptInodes.ts'
import type { Comparer } from './live.ts'
import type { LostOf } from './lostMetadata.ts'
import { beginListing } from './memberListing.ts'
import { finishNewDirectory, makeNewDirectory } from './newDirectories.ts'
import { NumberSet } from './numberSet.ts'
import { type Fate, firstNamesOf, type Plan, type PlannedEntry } from './plan.ts'
import type { EntryList } from './plannedEntries.ts'
import { removalSteps } from './removalSteps.ts'
import type { Root } from './root.ts'
import { tryLink } from './stagedLinks.ts'
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
  readonly recordedOf: (entries: EntryList) => Iterable<RecordedEntry | undefined>
}

/** Stages every entry of a plan. */
export function stagePlan(input: StageInput, plan: Plan, area: StagingArea, journal: Journal): Staged {
  const records = new StagedRecords(input, plan)
  const threads = new StageThreads({ ...input, images: plan.packages.map(({ image }) => image) })
  const verdicts = findVerdicts({ ...input, threads, records }, plan)
  const staging = new Staging({ ...input, threads, records }, plan, area)
  staging.layOut(verdicts)
  const takeOut = new TakeOut(area, journal)
  const declined = staging.take(takeOut)
  staging.copy()
  staging.link()
  staging.finishDirectories()
  takeOut.leave(plan, verdicts, declined)
  const steps = [
    ...staging.steps.all(beginListing(input.spareThreads.started, input.root.fd, staging.steps.directories)),
    ...removalSteps(plan, area, input.kept),
  ]
  return { steps, recordedOf: (entries) => records.recordedOf(entries) }
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
  readonly #numbers: EntryNumbers
  /** By number, what is made beside its live name. What is made in a new directory is a ToMake only while it is needed. */
  readonly #beside = new Map<number, ToMake>()
  readonly #toCopy: NumberSet
  readonly #toLink: NumberSet
  readonly steps: StagedSteps

  constructor(input: StagingInput, plan: Plan, area: StagingArea) {
    this.#input = input
    this.#kernel = input.root.kernel
    this.#area = area
    this.#firstNames = firstNamesOf(plan)
    this.#numbers = new EntryNumbers(plan.packages)
    this.#toCopy = new NumberSet(this.#numbers.count)
    this.#toLink = new NumberSet(this.#numbers.count)
    this.steps = new StagedSteps(input, area)
  }

  /** Makes the new directories and gives every object its staging name. */
  layOut(verdicts: readonly (readonly Verdict[])[]): void {
    for (let number = 0; number < this.#numbers.count; number++) {
      this.#input.beforeEntry()
      const entry = this.#numbers.at(number)
      const verdictOf = (of: number) => verdicts[entry.image]?.[of - this.#numbers.firstOf(entry.image)] ?? 'make'
      if (verdictOf(number) === 'make') this.#add(entry)
      else if (verdictOf(number) !== 'withParent') {
        let end = number + 1
        while (verdictOf(end) === 'withParent') end++
        const toMake = this.#lay(entry)
        const whole = this.#numbers.range(number, end)
        this.#toTake.push({ toMake, planned: entry.planned, stagedName: toMake.stagedName, whole })
      }
    }
  }

  #add(entry: NumberedEntry): void {
    const { planned, number } = entry
    const { fate } = planned
    if (fate === 'newDirectory') return this.#makeDirectory(this.#lay(entry))
    if (makesObject.has(fate)) {
      if (!planned.isInNewDirectory || planned.entry.stat.nlink > 1) this.#lay(entry)
      return this.#addObject(entry)
    }
    if (fate === 'changeDirectory') this.#changeDirectory(planned, number)
    else if (fate !== 'twin' && fate !== 'keepLive') this.#input.records.addLive(number, planned)
    this.#input.onEntry(sizeOf(planned.entry))
  }

  /** Decides where an entry is made: inside its new parent under its own name, or beside its live name under a hidden one. */
  #lay(numbered: NumberedEntry): ToMake {
    const { entry, isInNewDirectory, liveName } = numbered.planned
    const toMake = isInNewDirectory
      ? this.#inNewDirectory(numbered)
      : new ToMake(numbered, parentName(liveName), this.#area.newName())
    if (entry.type === 'directory' || this.#firstNames.has(liveName))
      this.#staged.set(liveName, { stagedName: toMake.stagedName, number: numbered.number })
    if (!isInNewDirectory) {
      this.#beside.set(numbered.number, toMake)
      this.steps.add(toMake)
    }
    return toMake
  }

  #inNewDirectory(entry: NumberedEntry): ToMake {
    return new ToMake(entry, this.#staged.get(parentName(entry.planned.liveName))?.stagedName ?? '', undefined)
  }

  #toMake(number: number): ToMake {
    return this.#beside.get(number) ?? this.#inNewDirectory(this.#numbers.at(number))
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

  #addObject({ planned, number }: NumberedEntry): void {
    if (planned.linkedTo === undefined) this.#toCopy.add(number)
    else this.#toLink.add(number)
  }

  #changeDirectory(planned: PlannedEntry, number: number): void {
    const { entry, live } = planned
    if (live === undefined) return
    const after = this.steps.addDirectoryChange(planned, live, factsOf(entry))
    this.#input.records.addLive(number, { ...planned, live: statWith(live, after) })
  }

  /** Takes what is to be taken. @returns the numbers of the entries that have to be made after all */
  take(takeOut: TakeOut): ReadonlySet<number> {
    for (const { planned, stagedName } of this.#toTake) {
      if (planned.from.image.mode === 'move') this.steps.markTaken(stagedName)
    }
    const declined = new Set(takeOut.take(this.#toTake))
    const made = new Set<number>()
    for (const toTake of this.#toTake) {
      if (!declined.has(toTake)) for (const { planned } of toTake.whole) this.#countTaken(planned)
      else for (const number of this.#makeAfterAll(toTake)) made.add(number)
    }
    return made
  }

  *#makeAfterAll({ toMake: first, whole }: TakenEntry): Generator<number> {
    for (const numbered of whole) {
      const { planned, number } = numbered
      const toMake = number === first.number ? first : this.#lay(numbered)
      if (planned.entry.type === 'directory') this.#makeDirectory(toMake)
      else this.#addObject(numbered)
      yield number
    }
  }

  #countTaken({ entry }: PlannedEntry): void {
    if (entry.type === 'file') addBytes(this.#input.totals, 'renamed', sizeOf(entry))
    this.#input.onEntry(sizeOf(entry))
  }

  /** Copies what is made anew. */
  copy(): void {
    this.#copyAll(this.#toCopy)
  }

  /** @param all  numbers of entries */
  #copyAll(all: Iterable<number>): void {
    const { records, threads } = this.#input
    const making = new Making(this.#input, this.#numbers, (number) => this.#toMake(number))
    const taskOf = (one: number | ApartDigest) => making.taskOf(one)
    threads.run(making.of(all), taskOf, (one, result) => {
      if (typeof one === 'number') this.#takeResult(one, result)
      else if (result.digest !== undefined) records.addDigest(one.digestOf, result.digest)
    })
  }

  #takeResult(number: number, { digest, facts }: TaskResult): void {
    const { planned } = this.#numbers.at(number)
    const { entry, from } = planned
    const { records, digests } = this.#input
    const known = () => (digests && entry.type === 'file' ? from.image.digestOf(entry.name) : undefined)
    records.addStaged(number, planned, { digest: digest ?? known(), facts })
    if (facts !== undefined) this.steps.addFacts(this.#toMake(number).stagedName, facts)
    if (facts?.lost !== undefined) this.#input.lost({ name: entry.name, losses: facts.lost })
  }

  /** Further names of objects that are staged by now; where two names cannot be one inode they become two objects. */
  link(): void {
    const split: number[] = []
    for (const number of this.#toLink) {
      const { planned, stagedName } = this.#toMake(number)
      this.#input.beforeEntry()
      const first = this.#staged.get(planned.linkedTo ?? '')
      if (first === undefined || !tryLink(this.#kernel, this.#place(first.stagedName), this.#place(stagedName))) {
        split.push(number)
        continue
      }
      this.#input.records.addLink(number, planned, first.number)
      this.#input.onEntry(sizeOf(planned.entry))
    }
    this.#copyAll(split)
    for (const number of split) {
      this.#input.records.addSplit(number)
      const name = displayName(this.#numbers.at(number).planned.entry.name)
      this.#input.note(`'${name}' became an object of its own: it cannot be linked to the others`)
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
