// Staging: makes everything that a plan places, complete, under staging names, and says which steps commit it.

import {
  applyAttributes,
  MetadataLostError,
  type Mover,
  type Place,
  readAttributes,
  type StagedObject,
  withDescriptor,
} from '../movefile/index.ts'
import type { EngineContext } from '../sys/engineThread.ts'
import {
  baseName,
  displayName,
  type Fd,
  joinName,
  type Kernel,
  type Name,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  parentName,
  type Stat,
} from '../sys/index.ts'
import type { EntryFacts, RecordedEntry } from './entry.ts'
import { identityOf } from './identity.ts'
import type { KeptInodes } from './keptInodes.ts'
import type { Comparer } from './live.ts'
import { entriesOf, type Plan, type PlannedEntry } from './plan.ts'
import { removalSteps } from './removalSteps.ts'
import type { Root } from './root.ts'
import type { StagingArea } from './stagingArea.ts'
import type { DirectoryMetadata, Step } from './steps.ts'
import type { StagedStep } from './transaction.ts'

/** How the contents of files came over, in sums. */
export interface CopyTotals {
  /** Bytes by copy method; `renamed` for objects that were moved whole. */
  bytesByMethod: Record<string, number>
  holes: number
}

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
}

/** What staging made of a plan. */
export interface Staged {
  readonly steps: readonly StagedStep[]
  /** What is recorded of some entries of the plan, in their order. */
  readonly recordedOf: (entries: readonly PlannedEntry[]) => RecordedEntry[]
}

/** Stages every entry of a plan. */
export function stagePlan(input: StageInput, plan: Plan, area: StagingArea): Staged {
  const staging = new Staging(input, area)
  for (const planned of entriesOf(plan)) {
    input.beforeEntry()
    staging.add(planned)
  }
  staging.finishDirectories()
  const steps = [...staging.steps(), ...removalSteps(plan, area, input.kept)]
  return { steps, recordedOf: (entries) => staging.recordedOf(entries) }
}

/** An object that waits for its step. */
interface Waiting {
  readonly planned: PlannedEntry
  /** Its staging name, from the root. */
  readonly stagedName: Name
}

class Staging {
  readonly #input: StageInput
  readonly #kernel: Kernel
  readonly #area: StagingArea
  /** What is recorded of each object, by live name. */
  readonly #records = new Map<Name, RecordedEntry>()
  /** Where each new directory and each placed object was made, by live name. */
  readonly #stagedNames = new Map<Name, Name>()
  readonly #newDirectories: PlannedEntry[] = []
  readonly #waiting: Waiting[] = []
  readonly #changes: StagedStep[] = []

  constructor(input: StageInput, area: StagingArea) {
    this.#input = input
    this.#kernel = input.root.kernel
    this.#area = area
  }

  add(planned: PlannedEntry): void {
    if (planned.fate === 'newDirectory') this.#makeDirectory(planned)
    else if (planned.fate === 'place' || planned.fate === 'refresh') this.#makeObject(planned)
    else if (planned.fate === 'changeDirectory') this.#changeDirectory(planned)
    else if (planned.fate !== 'twin') this.#recordLive(planned)
    this.#input.onEntry(planned.entry.size)
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
    this.#recordLive({ ...planned, live: { ...live, ...metadata(entry) } })
  }

  /** Where an entry is made: inside its new parent under its own name, or beside its live name under a hidden one. */
  #stage(planned: PlannedEntry): Place {
    const { isInNewDirectory, liveName } = planned
    const parent = isInNewDirectory ? this.#stagedNames.get(parentName(liveName)) : parentName(liveName)
    const stagedName = joinName(parent ?? '', isInNewDirectory ? baseName(liveName) : this.#area.newName())
    this.#stagedNames.set(liveName, stagedName)
    if (!isInNewDirectory) this.#waiting.push({ planned, stagedName })
    return this.#place(stagedName)
  }

  #place(name: Name): Place {
    return { directory: this.#input.root.directory(parentName(name)).fd, name: baseName(name) }
  }

  #makeDirectory(planned: PlannedEntry): void {
    const { directory, name } = this.#stage(planned)
    this.#kernel.mkdirat(directory, name, 0o700)
    if (!planned.isInNewDirectory) this.#takeOffInheritance(directory, name)
    this.#newDirectories.push(planned)
    this.#records.set(planned.liveName, {
      ...describedBy(planned.entry),
      xattrs: this.#input.comparer.attributesAt(planned.from.image.place(planned.entry.name)),
    })
  }

  /** A default ACL and a set-group-id bit of the live parent would be handed on to every child of the new directory. */
  #takeOffInheritance(parent: number, name: Name): void {
    const kernel = this.#kernel
    withDescriptor(kernel, kernel.openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW), (fd) => {
      for (const xattr of kernel.listXattrs(fd))
        if (xattr.startsWith('system.posix_acl_')) kernel.removeXattr(fd, xattr)
      if (kernel.fstat(fd).mode !== 0o700) kernel.fchmod(fd, 0o700)
    })
  }

  #makeObject(planned: PlannedEntry): void {
    const { entry, from, linkedTo } = planned
    const first = linkedTo === undefined ? undefined : this.#stagedNames.get(linkedTo)
    const place = this.#stage(planned)
    if (first !== undefined) {
      const existing = this.#place(first)
      this.#kernel.linkat(existing.directory, existing.name, place.directory, place.name)
      this.#recordLink(planned)
      return
    }
    const { mover } = this.#input
    const staged = mover.stageCopy(from.image.place(entry.name), place, { stat: entry.stat })
    this.#count(staged)
    if (staged.copy !== undefined) this.#input.tellCopy?.(displayName(entry.name), staged.copy)
    this.#recordStaged(planned, staged, place)
  }

  #count({ copy }: StagedObject): void {
    const { totals } = this.#input
    totals.holes += copy?.holes ?? 0
    for (const [method, bytes] of Object.entries(copy?.bytesByMethod ?? {})) {
      totals.bytesByMethod[method] = (totals.bytesByMethod[method] ?? 0) + bytes
    }
  }

  /** What was staged is what the record says, also where some of the image's metadata could not be kept. */
  #recordStaged({ entry, from, liveName }: PlannedEntry, staged: StagedObject, place: Place): void {
    const { comparer, digests } = this.#input
    const stat = staged.lost.length === 0 ? staged.stat : this.#kernel.statat(place.directory, place.name)
    const xattrs = staged.lost.length === 0 ? staged.attributes.xattrs : comparer.attributesAt(place)
    const sha256 = entry.type === 'file' && digests ? comparer.digest(from.image.place(entry.name)) : undefined
    const facts = { ...describedBy(entry), ...factsOf(stat), xattrs, ...(sha256 === undefined ? {} : { sha256 }) }
    this.#records.set(liveName, facts)
  }

  /** All names of a hard-link group have one inode, so they are recorded alike. */
  #recordLink({ entry, linkedTo, liveName }: PlannedEntry): void {
    const first = this.#records.get(linkedTo ?? liveName)
    if (first === undefined) throw new Error(`'${entry.name}' was linked before its first name`)
    this.#records.set(liveName, renamed(first, entry))
  }

  /** What stays as it is goes into the record as it is. */
  #recordLive({ entry, live, liveName, sha256, xattrs }: PlannedEntry): void {
    const place = liveName === '' ? undefined : this.#place(liveName)
    const stat =
      live?.type === 'symlink' && entry.type === 'directory' && place
        ? this.#kernel.statat(place.directory, place.name)
        : live
    if (stat === undefined || place === undefined) return
    this.#records.set(liveName, {
      ...describedBy(entry),
      ...factsOf(stat),
      xattrs: xattrs ?? this.#input.comparer.attributesAt(place),
      ...(sha256 === undefined ? {} : { sha256 }),
    })
  }

  /** Gives new directories their metadata, the innermost first: making a child moves its parent's mtime. */
  finishDirectories(): void {
    const { mover } = this.#input
    const flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW
    const within = <T>({ directory, name }: Place, body: (fd: Fd) => T) =>
      withDescriptor(this.#kernel, this.#kernel.openat(directory, name, flags), body)
    for (const { entry, from, liveName } of this.#newDirectories.reverse()) {
      within(from.image.place(entry.name), (source) =>
        within(this.#place(this.#stagedNames.get(liveName) ?? ''), (fd) => {
          const attributes = readAttributes(this.#kernel, source, entry.stat, mover.policy)
          const lost = applyAttributes(this.#kernel, { fd, type: 'directory' }, attributes, mover.policy)
          if (lost.length > 0 && mover.policy.metadata === 'require')
            throw new MetadataLostError(displayName(entry.name), lost)
          if (lost.length > 0) this.#recordDirectoryAsItIs(liveName, fd)
        }),
      )
    }
    for (const { stagedName } of this.#waiting) this.#input.root.forget(stagedName)
  }

  #recordDirectoryAsItIs(liveName: Name, fd: Fd): void {
    const recorded = this.#records.get(liveName)
    if (recorded === undefined) return
    const xattrs = this.#input.comparer.attributesAt({ directory: fd, name: '.' })
    this.#records.set(liveName, { ...recorded, ...factsOf(this.#kernel.fstat(fd)), xattrs })
  }

  /** Twins are one live object, recorded under the name that each of them has in its image. */
  recordedOf(entries: readonly PlannedEntry[]): RecordedEntry[] {
    return entries.flatMap(({ entry, liveName }) => {
      const recorded = this.#records.get(liveName)
      return recorded === undefined ? [] : [recorded.name === entry.name ? recorded : renamed(recorded, entry)]
    })
  }

  /** New names, then replacements, and symlinks after what they point to. */
  steps(): StagedStep[] {
    const order = ({ planned: { entry, live } }: Waiting) => (entry.type === 'symlink' ? 2 : live === undefined ? 0 : 1)
    const placed = this.#waiting
      .toSorted((a, b) => order(a) - order(b))
      .map(({ planned: { live, liveName, members }, stagedName }) => {
        const { directory, name } = this.#place(stagedName)
        const step: Step = {
          kind: live === undefined ? 'place' : 'replace',
          phase: 'payload',
          directory: this.#area.numberOf(parentName(liveName)),
          name: baseName(liveName),
          staging: name,
          identity: identityOf(this.#kernel, directory, name) ?? '',
          ...(live !== undefined && this.#input.kept.has(live) ? { keepsSetId: true } : {}),
        }
        return live === undefined ? { step } : { step, displaced: live, ...(members && { members }) }
      })
    return [...this.#changes, ...placed]
  }
}

/** The facts of one object under another of its names. */
function renamed({ linkTo: _, ...facts }: RecordedEntry, { name, linkTo }: EntryFacts): RecordedEntry {
  return { ...facts, name, ...(linkTo === undefined ? {} : { linkTo }) }
}

/** What an entry is, without what was seen of its object in the image. */
function describedBy({ stat: _, ...facts }: PlannedEntry['entry']): EntryFacts {
  return facts
}

function factsOf({
  uid,
  gid,
  mode,
  mtimeNs,
  size,
  type,
}: Stat): Pick<EntryFacts, 'uid' | 'gid' | 'mode' | 'mtimeNs' | 'size'> {
  return { uid, gid, mode, mtimeNs, size: type === 'file' ? size : 0 }
}
