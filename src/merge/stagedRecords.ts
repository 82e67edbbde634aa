// What is recorded of each entry: what was staged of it, or what stays as it is.

import type { Place, StagedObject } from '../movefile/index.ts'
import { baseName, type Fd, type Kernel, type Name, parentName, type Stat } from '../sys/index.ts'
import type { EntryFacts, RecordedEntry } from './entry.ts'
import { type Comparer, hasMetadata } from './live.ts'
import type { PlannedEntry } from './plan.ts'
import type { Root } from './root.ts'
import type { Inspected } from './takeable.ts'

/** What records are made with. */
export interface RecordingInput {
  readonly root: Root
  readonly comparer: Comparer
  /** Whether payloads are digested. */
  readonly digests: boolean
}

/** The facts to record, by live name. */
export class StagedRecords {
  readonly #input: RecordingInput
  readonly #kernel: Kernel
  readonly #records = new Map<Name, RecordedEntry>()

  constructor(input: RecordingInput) {
    this.#input = input
    this.#kernel = input.root.kernel
  }

  /** An object of the image that is taken as it is. */
  addInspected({ entry, liveName }: PlannedEntry, { xattrs, sha256 }: Inspected): void {
    this.#records.set(liveName, { ...describedBy(entry), xattrs, ...(sha256 === undefined ? {} : { sha256 }) })
  }

  /** A new directory, as the image has it. */
  addDirectory({ entry, from, liveName }: PlannedEntry): void {
    const xattrs = this.#input.comparer.attributesAt(from.image.place(entry.name))
    this.#records.set(liveName, { ...describedBy(entry), xattrs })
  }

  /** What was staged is what the record says, also where some of the image's metadata could not be kept. */
  addStaged({ entry, from, liveName }: PlannedEntry, staged: StagedObject, place: Place): void {
    const { comparer, digests } = this.#input
    const { image } = from
    const stat = staged.lost.length === 0 ? staged.stat : this.#kernel.statat(place.directory, place.name)
    const xattrs = staged.lost.length === 0 ? staged.attributes.xattrs : comparer.attributesAt(place)
    const isDigested = entry.type === 'file' && digests
    const sha256 = isDigested ? (image.digestOf(entry.name) ?? comparer.digest(image.place(entry.name))) : undefined
    const facts = { ...describedBy(entry), ...factsOf(stat), xattrs, ...(sha256 === undefined ? {} : { sha256 }) }
    this.#records.set(liveName, facts)
  }

  /** All names of a hard-link group have one inode, so they are recorded alike. */
  addLink({ entry, linkedTo, liveName }: PlannedEntry): void {
    const first = this.#records.get(linkedTo ?? liveName)
    if (first === undefined) throw new Error(`'${entry.name}' was linked before its first name`)
    this.#records.set(liveName, renamed(first, entry))
  }

  /** What stays as it is goes into the record as it is. */
  addLive({ entry, fate, live, liveName, sha256, xattrs }: PlannedEntry): void {
    if (liveName === '' || live === undefined) return
    const place = { directory: this.#input.root.directory(parentName(liveName)).fd, name: baseName(liveName) }
    const isBehindLink = live.type === 'symlink' && entry.type === 'directory'
    const stat = isBehindLink ? this.#kernel.statat(place.directory, place.name) : live
    this.#records.set(liveName, {
      ...describedBy(entry),
      ...factsOf(stat),
      xattrs: xattrs ?? this.#input.comparer.attributesAt(place),
      ...(sha256 === undefined ? {} : { sha256 }),
      ...(fate === 'keepDirectory' && !hasMetadata(entry, stat) ? { isKept: true } : {}),
    })
  }

  /** A new directory whose metadata could not all be kept. */
  correctDirectory(liveName: Name, fd: Fd): void {
    const recorded = this.#records.get(liveName)
    if (recorded === undefined) return
    const xattrs = this.#input.comparer.attributesAt({ directory: fd, name: '.' })
    this.#records.set(liveName, { ...recorded, ...factsOf(this.#kernel.fstat(fd)), xattrs })
  }

  /** Twins are one live object, recorded under the name that each of them has in its image. */
  recordedOf(entries: readonly PlannedEntry[]): RecordedEntry[] {
    return entries.flatMap(({ entry, from, liveName }) => {
      const recorded = this.#records.get(liveName)
      if (recorded === undefined) return []
      const named = recorded.name === entry.name ? recorded : renamed(recorded, entry)
      return [entry.type === 'file' && from.image.configFiles.has(entry.name) ? { ...named, isConfig: true } : named]
    })
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
