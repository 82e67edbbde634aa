// Staging: makes everything that a plan places, complete, under staging names, and says which steps commit it.

import type { Mover, Place } from '../movefile/index.ts'
import type { EngineContext } from '../sys/engineThread.ts'
import { baseName, displayName, isSyscallError, joinName, type Kernel, type Name, parentName } from '../sys/index.ts'
import { addBytes, addCopy, type CopyTotals } from './copyTotals.ts'
import type { RecordedEntry } from './entry.ts'
import { identityOf } from './identity.ts'
import type { Journal } from './journal.ts'
import type { KeptInodes } from './keptInodes.ts'
import type { Comparer } from './live.ts'
import { finishNewDirectory, makeNewDirectory } from './newDirectories.ts'
import { commitRank, type Plan, type PlannedEntry } from './plan.ts'
import { removalSteps } from './removalSteps.ts'
import type { Root } from './root.ts'
import { StagedRecords } from './stagedRecords.ts'
import type { StagingArea } from './stagingArea.ts'
import type { DirectoryMetadata, Step } from './steps.ts'
import { findTakeable, type Verdict } from './takeable.ts'
import { TakeOut, type ToTake } from './takeOut.ts'
import type { StagedStep } from './transaction.ts'

/** What staging works with. */
export interface StageInput {
  readonly root: Root
  readonly mover: Mover
  readonly comparer: Comparer
  /** Which displaced inodes keep their set-id bits. */
  readonly kept: KeptInodes
  /** Whether payloads are digested for the record. */
  readonly digests: boolean
  readonly totals: CopyTotals
  readonly beforeEntry: () => void
  readonly onEntry: (bytes: number) => void
  /** Told how the contents of each file came over, where somebody listens. */
  readonly tellCopy?: EngineContext['tellCopy']
  /** Told what could not be done as the image has it. */
  readonly note: (text: string) => void
}

/** What staging made of a plan. */
export interface Staged {
  readonly steps: readonly StagedStep[]
  /** What is recorded of some entries of the plan, in their order. */
  readonly recordedOf: (entries: readonly PlannedEntry[]) => RecordedEntry[]
}

/** Stages every entry of a plan. */
export function stagePlan(input: StageInput, plan: Plan, area: StagingArea, journal: Journal): Staged {
  const records = new StagedRecords(input)
  const staging = new Staging(input, plan, area, records)
  const verdicts = findVerdicts(input, plan, records)
  staging.layOut(plan, verdicts)
  const takeOut = new TakeOut(area, journal)
  const declined = staging.take(takeOut)
  staging.copy()
  staging.link()
  staging.finishDirectories()
  takeOut.leave(plan, verdicts, declined)
  const steps = [...staging.steps(), ...removalSteps(plan, area, input.kept)]
  return { steps, recordedOf: (entries) => records.recordedOf(entries) }
}

/** For each package of a plan, how each of its entries is staged. */
function findVerdicts(input: StageInput, plan: Plan, records: StagedRecords): readonly (readonly Verdict[])[] {
  const onInspected = records.addInspected.bind(records)
  const takeable = { ...input, policy: input.mover.policy, onInspected }
  return plan.packages.map((from) => findTakeable(takeable, from))
}

/** An object that is made anew. */
interface ToMake {
  readonly planned: PlannedEntry
  /** Its staging name, from the root. */
  readonly stagedName: Name
}

class Staging {
  readonly #input: StageInput
  readonly #kernel: Kernel
  readonly #area: StagingArea
  readonly #records: StagedRecords
  /** First names of objects that have several. */
  readonly #firstNames: ReadonlySet<Name>
  /** Where each new directory, and each first name, is made, by live name. */
  readonly #stagedNames = new Map<Name, Name>()
  readonly #newDirectories: PlannedEntry[] = []
  readonly #toTake: ToTake[] = []
  readonly #toCopy: ToMake[] = []
  readonly #toLink: ToMake[] = []
  /** Objects beside their live names, which wait for their steps. */
  readonly #waiting: ToMake[] = []
  readonly #changes: StagedStep[] = []
  /** Staging names under which something is, or will be, that has to be given back. */
  readonly #taken = new Set<Name>()

  constructor(input: StageInput, plan: Plan, area: StagingArea, records: StagedRecords) {
    this.#input = input
    this.#kernel = input.root.kernel
    this.#area = area
    this.#records = records
    this.#firstNames = firstNamesOf(plan)
  }

  /** Makes the new directories and gives every object its staging name. */
  layOut({ packages }: Plan, verdicts: readonly (readonly Verdict[])[]): void {
    packages.forEach(({ entries }, at) => {
      const verdictOf = (index: number) => verdicts[at]?.[index] ?? 'make'
      for (const [index, planned] of entries.entries()) {
        this.#input.beforeEntry()
        const verdict = verdictOf(index)
        if (verdict === 'make') this.#add(planned)
        if (verdict === 'make' || verdict === 'withParent') continue
        let end = index + 1
        while (end < entries.length && verdictOf(end) === 'withParent') end++
        this.#toTake.push({ planned, stagedName: this.#nameFor(planned), whole: entries.slice(index, end) })
      }
    })
  }

  #add(planned: PlannedEntry): void {
    if (planned.fate === 'newDirectory') return this.#makeDirectory(planned, this.#nameFor(planned))
    if (planned.fate === 'place' || planned.fate === 'refresh') return this.#addObject(planned, this.#nameFor(planned))
    if (planned.fate === 'changeDirectory') this.#changeDirectory(planned)
    else if (planned.fate !== 'twin') this.#records.addLive(planned)
    this.#input.onEntry(planned.entry.size)
  }

  /** Where an entry is made: inside its new parent under its own name, or beside its live name under a hidden one. */
  #nameFor(planned: PlannedEntry): Name {
    const { entry, isInNewDirectory, liveName } = planned
    const parent = isInNewDirectory ? this.#stagedNames.get(parentName(liveName)) : parentName(liveName)
    const stagedName = joinName(parent ?? '', isInNewDirectory ? baseName(liveName) : this.#area.newName())
    if (entry.type === 'directory' || this.#firstNames.has(liveName)) this.#stagedNames.set(liveName, stagedName)
    if (!isInNewDirectory) this.#waiting.push({ planned, stagedName })
    return stagedName
  }

  #place(name: Name): Place {
    return { directory: this.#input.root.directory(parentName(name)).fd, name: baseName(name) }
  }

  #makeDirectory(planned: PlannedEntry, stagedName: Name): void {
    makeNewDirectory(this.#kernel, this.#place(stagedName), !planned.isInNewDirectory)
    this.#newDirectories.push(planned)
    this.#records.addDirectory(planned)
    this.#input.onEntry(0)
  }

  #addObject(planned: PlannedEntry, stagedName: Name): void {
    const list = planned.linkedTo === undefined ? this.#toCopy : this.#toLink
    list.push({ planned, stagedName })
  }

  #changeDirectory(planned: PlannedEntry): void {
    const { entry, live, liveName } = planned
    if (live === undefined) return
    const metadata = ({ uid, gid, mode }: DirectoryMetadata) => ({ uid, gid, mode })
    const step: Step = {
      kind: 'changeDirectory',
      phase: 'payload',
      directory: this.#area.numberOf(parentName(liveName)),
      name: baseName(liveName),
      before: metadata(live),
      after: metadata(entry),
    }
    this.#changes.push({ step })
    this.#records.addLive({ ...planned, live: { ...live, ...metadata(entry) } })
  }

  /** Takes what is to be taken. @returns the entries that have to be made after all */
  take(takeOut: TakeOut): ReadonlySet<PlannedEntry> {
    for (const { planned, stagedName } of this.#toTake) {
      if (planned.from.image.mode === 'move') this.#taken.add(this.#topOf(stagedName))
    }
    const declined = takeOut.take(this.#toTake)
    const made = new Set<PlannedEntry>()
    for (const { stagedName, whole } of declined) {
      whole.forEach((planned, index) => {
        made.add(planned)
        const name = index === 0 ? stagedName : this.#nameFor(planned)
        if (planned.entry.type === 'directory') this.#makeDirectory(planned, name)
        else this.#addObject(planned, name)
      })
    }
    for (const { whole } of this.#toTake) for (const planned of whole) if (!made.has(planned)) this.#countTaken(planned)
    return made
  }

  #countTaken({ entry }: PlannedEntry): void {
    if (entry.type === 'file') addBytes(this.#input.totals, 'renamed', entry.size)
    this.#input.onEntry(entry.size)
  }

  #topOf(stagedName: Name): Name {
    const { directory, below } = this.#area.locate(stagedName)
    return `${directory}/${below.split('/')[0]}`
  }

  /** Copies what is made anew. */
  copy(): void {
    for (const toMake of this.#toCopy) {
      this.#input.beforeEntry()
      this.#copyOne(toMake)
    }
  }

  #copyOne({ planned, stagedName }: ToMake): void {
    const { entry, from } = planned
    const place = this.#place(stagedName)
    const staged = this.#input.mover.stageCopy(from.image.place(entry.name), place, { stat: entry.stat })
    addCopy(this.#input.totals, staged.copy)
    if (staged.copy !== undefined) this.#input.tellCopy?.(displayName(entry.name), staged.copy)
    this.#records.addStaged(planned, staged, place)
    this.#input.onEntry(entry.size)
  }

  /** Further names of objects that are staged by now; where two names cannot be one inode they become two objects. */
  link(): void {
    for (const toMake of this.#toLink) {
      const { planned, stagedName } = toMake
      this.#input.beforeEntry()
      const first = this.#stagedNames.get(planned.linkedTo ?? '')
      if (first === undefined || !this.#tryLink(this.#place(first), this.#place(stagedName))) {
        const { linkTo: _, ...entry } = planned.entry
        this.#input.note(`'${displayName(entry.name)}' became an object of its own: it cannot be linked to the others`)
        this.#copyOne({ planned: { ...planned, entry }, stagedName })
      } else {
        this.#records.addLink(planned)
        this.#input.onEntry(planned.entry.size)
      }
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
    for (const planned of this.#newDirectories.reverse()) {
      const { liveName } = planned
      const made = this.#place(this.#stagedNames.get(liveName) ?? '')
      finishNewDirectory(this.#input.mover, planned, made, (fd) => this.#records.correctDirectory(liveName, fd))
    }
    for (const { stagedName } of this.#waiting) this.#input.root.forget(stagedName)
  }

  /** New names, then replacements, and symlinks after what they point to. */
  steps(): StagedStep[] {
    const placed = this.#waiting
      .toSorted((a, b) => commitRank(a.planned) - commitRank(b.planned))
      .map((waiting) => this.#stepOf(waiting))
    return [...this.#changes, ...placed]
  }

  #stepOf({ planned: { isUnowned, live, liveName, members }, stagedName }: ToMake): StagedStep {
    const { directory, name } = this.#place(stagedName)
    const common = {
      phase: 'payload' as const,
      directory: this.#area.numberOf(parentName(liveName)),
      name: baseName(liveName),
      staging: name,
      identity: identityOf(this.#kernel, directory, name) ?? '',
    }
    const isTaken = this.#taken.has(this.#topOf(stagedName))
    if (live === undefined) return { step: { kind: 'place', ...common, ...(isTaken ? { isTaken } : {}) } }
    const keepsSetId = this.#input.kept.has(live)
    return {
      step: { kind: 'replace', ...common, ...(keepsSetId ? { keepsSetId } : {}) },
      displaced: live,
      ...(members && { members }),
      ...(isUnowned && { isUnowned }),
    }
  }
}

function firstNamesOf({ packages }: Plan): ReadonlySet<Name> {
  const names = new Set<Name>()
  for (const { entries } of packages)
    for (const { linkedTo } of entries) if (linkedTo !== undefined) names.add(linkedTo)
  return names
}
