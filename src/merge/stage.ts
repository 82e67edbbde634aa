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
import type { Plan, PlannedEntry } from './plan.ts'
import { removalSteps } from './removalSteps.ts'
import type { Root } from './root.ts'
import type { StagingArea } from './stagingArea.ts'
import type { DirectoryMetadata, Step } from './steps.ts'
import type { StagedStep } from './transaction.ts'
import type { TreeImage } from './treeImage.ts'

/** How the contents of files came over, in sums. */
export interface CopyTotals {
  /** Bytes by copy method; `renamed` for objects that were moved whole. */
  bytesByMethod: Record<string, number>
  holes: number
}

/** What staging works with. */
export interface StageInput {
  readonly root: Root
  readonly image: TreeImage
  readonly mover: Mover
  readonly comparer: Comparer
  /** Which displaced inodes keep their set-id bits. */
  readonly kept: KeptInodes
  /** Whether payloads are digested for the record. */
  readonly digests: boolean
  readonly totals: CopyTotals
  readonly beforeEntry: () => void
  readonly onEntry: (bytes: number) => void
}

/** What staging made of a plan. */
export interface Staged {
  readonly steps: readonly StagedStep[]
  /** One for each entry that the package will own, in image order. */
  readonly recorded: readonly RecordedEntry[]
}

/** Stages every entry of a plan. */
export function stagePlan(input: StageInput, plan: Plan, area: StagingArea): Staged {
  const staging = new Staging(input, area)
  for (const planned of plan.entries) {
    input.beforeEntry()
    staging.add(planned)
  }
  staging.finishDirectories()
  return { steps: [...staging.steps(), ...removalSteps(plan, area, input.kept)], recorded: staging.recorded }
}

/** An object that waits for its step. */
interface Waiting {
  readonly planned: PlannedEntry
  /** Its staging name, from the root. */
  readonly stagedName: Name
}

class Staging {
  readonly recorded: RecordedEntry[] = []
  readonly #input: StageInput
  readonly #kernel: Kernel
  readonly #area: StagingArea
  /** Where each new directory and each placed object was made, by image name. */
  readonly #stagedNames = new Map<Name, Name>()
  readonly #newDirectories: PlannedEntry[] = []
  readonly #waiting: Waiting[] = []
  readonly #changes: StagedStep[] = []
  /** What was recorded of the first name of each hard-link group. */
  readonly #firsts = new Map<Name, RecordedEntry>()

  constructor(input: StageInput, area: StagingArea) {
    this.#input = input
    this.#kernel = input.root.kernel
    this.#area = area
  }

  add(planned: PlannedEntry): void {
    if (planned.fate === 'newDirectory') this.#makeDirectory(planned)
    else if (planned.fate === 'place' || planned.fate === 'refresh') this.#makeObject(planned)
    else if (planned.fate === 'changeDirectory') this.#changeDirectory(planned)
    else this.#recordLive(planned)
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
    const { entry, isInNewDirectory, liveName } = planned
    const parent = isInNewDirectory ? this.#stagedNames.get(parentName(entry.name)) : parentName(liveName)
    const stagedName = joinName(parent ?? '', isInNewDirectory ? baseName(entry.name) : this.#area.newName())
    this.#stagedNames.set(entry.name, stagedName)
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
    this.recorded.push({
      ...describedBy(planned.entry),
      xattrs: this.#input.comparer.attributesAt(this.#input.image.place(planned.entry.name)),
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
    const { entry } = planned
    const first = entry.linkTo === undefined ? undefined : this.#stagedNames.get(entry.linkTo)
    const place = this.#stage(planned)
    if (first !== undefined) {
      const existing = this.#place(first)
      this.#kernel.linkat(existing.directory, existing.name, place.directory, place.name)
      this.#recordLink(planned)
      return
    }
    const { image, mover } = this.#input
    const staged = mover.stageCopy(image.place(entry.name), place, { stat: entry.stat })
    this.#count(staged)
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
  #recordStaged({ entry }: PlannedEntry, staged: StagedObject, place: Place): void {
    const { comparer, digests, image } = this.#input
    const stat = staged.lost.length === 0 ? staged.stat : this.#kernel.statat(place.directory, place.name)
    const xattrs = staged.lost.length === 0 ? staged.attributes.xattrs : comparer.attributesAt(place)
    const sha256 = entry.type === 'file' && digests ? comparer.digest(image.place(entry.name)) : undefined
    const recorded = { ...describedBy(entry), ...factsOf(stat), xattrs, ...(sha256 === undefined ? {} : { sha256 }) }
    if (entry.stat.nlink > 1) this.#firsts.set(entry.name, recorded)
    this.recorded.push(recorded)
  }

  /** All names of a hard-link group have one inode, so they are recorded alike. */
  #recordLink({ entry }: PlannedEntry): void {
    const first = this.#firsts.get(entry.linkTo ?? entry.name)
    if (first === undefined) throw new Error(`'${entry.name}' was linked before its first name`)
    this.recorded.push({ ...first, name: entry.name, linkTo: first.name })
  }

  /** What stays as it is goes into the record as it is. */
  #recordLive({ entry, live, liveName, sha256, xattrs }: PlannedEntry): void {
    const place = liveName === '' ? undefined : this.#place(liveName)
    const stat =
      live?.type === 'symlink' && entry.type === 'directory' && place
        ? this.#kernel.statat(place.directory, place.name)
        : live
    if (stat === undefined || place === undefined) return
    this.recorded.push({
      ...describedBy(entry),
      ...factsOf(stat),
      xattrs: xattrs ?? this.#input.comparer.attributesAt(place),
      ...(sha256 === undefined ? {} : { sha256 }),
    })
  }

  /** Gives new directories their metadata, the innermost first: making a child moves its parent's mtime. */
  finishDirectories(): void {
    const { image, mover } = this.#input
    const flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW
    const within = <T>({ directory, name }: Place, body: (fd: Fd) => T) =>
      withDescriptor(this.#kernel, this.#kernel.openat(directory, name, flags), body)
    for (const { entry } of this.#newDirectories.reverse()) {
      within(image.place(entry.name), (source) =>
        within(this.#place(this.#stagedNames.get(entry.name) ?? ''), (fd) => {
          const attributes = readAttributes(this.#kernel, source, entry.stat, mover.policy)
          const lost = applyAttributes(this.#kernel, { fd, type: 'directory' }, attributes, mover.policy)
          if (lost.length > 0 && mover.policy.metadata === 'require')
            throw new MetadataLostError(displayName(entry.name), lost)
          if (lost.length > 0) this.#recordDirectoryAsItIs(entry.name, fd)
        }),
      )
    }
    for (const { stagedName } of this.#waiting) this.#input.root.forget(stagedName)
  }

  #recordDirectoryAsItIs(name: Name, fd: Fd): void {
    const index = this.recorded.findIndex((recorded) => recorded.name === name)
    const recorded = this.recorded[index]
    if (recorded === undefined) return
    const xattrs = this.#input.comparer.attributesAt({ directory: fd, name: '.' })
    this.recorded[index] = { ...recorded, ...factsOf(this.#kernel.fstat(fd)), xattrs }
  }

  /** New names, then replacements, and symlinks after what they point to. */
  steps(): StagedStep[] {
    const order = ({ planned: { entry, live } }: Waiting) => (entry.type === 'symlink' ? 2 : live === undefined ? 0 : 1)
    const placed = this.#waiting
      .toSorted((a, b) => order(a) - order(b))
      .map(({ planned: { live, liveName }, stagedName }) => {
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
        return live === undefined ? { step } : { step, displaced: live }
      })
    return [...this.#changes, ...placed]
  }
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
