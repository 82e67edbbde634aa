// What is recorded of each entry: what was staged of it, or what stays as it is. Of most entries that is what the image
// says and a digest, so only what differs is kept as an object.

import { baseName, type Fd, type Kernel, type Name, parentName, type Stat } from '../sys/index.ts'
import type { EntryObject, RecordedEntry, Writable, Xattrs } from './entry.ts'
import { EntryNumbers } from './entryNumbers.ts'
import { type Comparer, hasMetadata } from './live.ts'
import { entriesOf, type Plan, type PlannedEntry } from './plan.ts'
import type { EntryList } from './plannedEntries.ts'
import type { Root } from './root.ts'
import type { TaskFacts } from './stageTask.ts'
import type { TaskResult } from './stageThreads.ts'
import { factsOf, sizeOf, type TreeEntry } from './treeImage.ts'

/** What records are made with. */
export interface RecordingInput {
  readonly root: Root
  readonly comparer: Comparer
}

/** What of an entry is not as its image says. */
interface Difference {
  readonly xattrs?: Xattrs
  readonly parts?: TaskFacts['staged']
  /** The number of the entry that it is another name of; its facts are those of that. */
  readonly linkOf?: number
  /** It was to be another name of an entry, and is an object of its own. */
  readonly isSplit?: boolean
  /** A live directory that keeps what the image would have changed. */
  readonly isKept?: boolean
}

const digestBytes = 32
const none: Xattrs = []
/** What is known of an entry's record. */
const known = { nothing: 0, asTheImage: 1, withDigest: 2 }

/** The facts to record; entries are numbered through all packages of a plan. */
export class StagedRecords {
  readonly #input: RecordingInput
  readonly #kernel: Kernel
  readonly #plan: Plan
  readonly #numbers: EntryNumbers
  readonly #state: Uint8Array
  #digests: Buffer | undefined
  readonly #differences = new Map<number, Difference>()
  /** Live names that twins have too, with the number of the entry that brings the object. */
  readonly #twins = new Map<Name, number | undefined>()

  constructor(input: RecordingInput, plan: Plan) {
    this.#input = input
    this.#kernel = input.root.kernel
    this.#plan = plan
    this.#numbers = new EntryNumbers(plan.packages)
    this.#state = new Uint8Array(this.#numbers.count)
    for (const planned of entriesOf(plan)) if (planned.fate === 'twin') this.#twins.set(planned.liveName, undefined)
  }

  #add(number: number, planned: Pick<PlannedEntry, 'liveName'>, difference?: Difference): void {
    if (this.#state[number] === known.nothing) this.#state[number] = known.asTheImage
    if (difference === undefined) this.#differences.delete(number)
    else this.#differences.set(number, difference)
    if (this.#twins.size > 0 && this.#twins.has(planned.liveName)) this.#twins.set(planned.liveName, number)
  }

  /** An object of the image, staged or to be taken as it is. */
  addStaged(number: number, planned: PlannedEntry, { digest, facts }: TaskResult): void {
    const { xattrs = none, staged: parts } = facts ?? {}
    const isAsTheImage = xattrs.length === 0 && parts === undefined
    this.#add(number, planned, isAsTheImage ? undefined : { xattrs, ...(parts && { parts }) })
    if (digest !== undefined) this.addDigest(number, digest)
  }

  /** The sha256 of an entry's payload. */
  addDigest(number: number, digest: Uint8Array): void {
    this.#digests ??= Buffer.alloc(digestBytes * this.#state.length)
    this.#digests.set(digest, number * digestBytes)
    this.#state[number] = known.withDigest
  }

  /** A new directory, as the image has it. */
  addDirectory(number: number, planned: PlannedEntry): void {
    const { entry, from } = planned
    const xattrs = this.#input.comparer.attributesAt(from.image.place(entry.name))
    this.#add(number, planned, xattrs.length === 0 ? undefined : { xattrs })
  }

  /** All names of a hard-link group have one inode, so they are recorded alike. */
  addLink(number: number, planned: PlannedEntry, first: number): void {
    this.#add(number, planned, { linkOf: first })
  }

  /** Staged as an object of its own, because it could not be linked. */
  addSplit(number: number): void {
    this.#differences.set(number, { ...this.#differences.get(number), isSplit: true })
  }

  /** What stays as it is goes into the record as it is. */
  addLive(number: number, planned: PlannedEntry): void {
    const { entry, fate, live, liveName, sha256, xattrs } = planned
    if (liveName === '' || live === undefined) return
    const place = { directory: this.#input.root.directory(parentName(liveName)).fd, name: baseName(liveName) }
    const isBehindLink = live.type === 'symlink' && entry.type === 'directory'
    const stat = isBehindLink ? this.#kernel.statat(place.directory, place.name) : live
    const parts = partsOf(stat)
    const attributes = xattrs ?? this.#input.comparer.attributesAt(place)
    const isKept = fate === 'keepDirectory' && !hasMetadata(factsOf(entry), stat)
    const isAsTheImage = attributes.length === 0 && !isKept && isSame(parts, entry)
    this.#add(number, planned, isAsTheImage ? undefined : { xattrs: attributes, parts, ...(isKept ? { isKept } : {}) })
    if (sha256 !== undefined) this.addDigest(number, Buffer.from(sha256, 'hex'))
  }

  /** A new directory whose metadata could not all be kept. */
  correctDirectory(number: number, planned: PlannedEntry, fd: Fd): void {
    const xattrs = this.#input.comparer.attributesAt({ directory: fd, name: '.' })
    this.#add(number, planned, { xattrs, parts: partsOf(this.#kernel.fstat(fd)) })
  }

  /**
   * The records of one package's entries, one for each of them, in their order, made when they are asked for; undefined for
   * what is not recorded as staged or as it stays.
   *
   * Twins are one live object, recorded under the name that each of them has in its image.
   */
  *recordedOf(entries: EntryList): Generator<RecordedEntry | undefined> {
    let number = this.#numbers.firstOf(this.#plan.packages.findIndex((each) => each.entries === entries))
    for (const planned of entries) {
      const own = planned.fate === 'twin' ? this.#twins.get(planned.liveName) : number
      number++
      if (own === undefined || this.#state[own] === known.nothing) {
        yield undefined
        continue
      }
      const recorded = this.#recordedAt(own, planned.fate === 'twin' ? this.#numbers.at(own).planned : planned)
      const named = planned.fate === 'twin' ? renamed(recorded, planned.entry) : recorded
      yield isConfig(planned) ? { ...named, isConfig: true } : named
    }
  }

  #recordedAt(number: number, { entry }: PlannedEntry): RecordedEntry {
    const difference = this.#differences.get(number)
    if (difference?.linkOf !== undefined) {
      return renamed(this.#recordedAt(difference.linkOf, this.#numbers.at(difference.linkOf).planned), entry)
    }
    const recorded: Writable<RecordedEntry> = Object.assign(factsOf(entry), { xattrs: difference?.xattrs ?? none })
    if (difference?.isSplit) delete recorded.linkTo
    if (difference?.parts !== undefined) Object.assign(recorded, difference.parts)
    if (difference?.isKept) recorded.isKept = true
    const sha256 = this.#state[number] === known.withDigest ? this.#digestAt(number) : undefined
    if (sha256 !== undefined) recorded.sha256 = sha256
    return recorded
  }

  #digestAt(number: number): string | undefined {
    return this.#digests?.toString('hex', number * digestBytes, (number + 1) * digestBytes)
  }
}

/** The facts of one object under another of its names. */
function renamed({ linkTo: _, ...facts }: RecordedEntry, { name, linkTo }: EntryObject): RecordedEntry {
  return { ...facts, name, ...(linkTo === undefined ? {} : { linkTo }) }
}

/** Whether the package's own installer calls an entry a configuration file. */
function isConfig({ entry, from }: PlannedEntry): boolean {
  return entry.type === 'file' && from.image.configFiles.has(entry.name)
}

function partsOf({ uid, gid, mode, mtimeNs, size, type }: Stat): TaskFacts['staged'] & object {
  return { uid, gid, mode, mtimeNs, size: type === 'file' ? size : 0 }
}

function isSame(parts: TaskFacts['staged'] & object, entry: TreeEntry): boolean {
  const { uid, gid, mode, mtimeNs } = entry.stat
  const size = sizeOf(entry)
  return (
    parts.uid === uid && parts.gid === gid && parts.mode === mode && parts.size === size && parts.mtimeNs === mtimeNs
  )
}
