// Protected files in a transaction's records: what their packages brought, the contents to merge from, and what is left.

import { type Place, withDescriptor } from '../../movefile/index.ts'
import { type Kernel, type Name, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } from '../../sys/index.ts'
import type { EntryFacts, RecordedEntry, Xattrs } from '../entry.ts'
import type { Comparer } from '../live.ts'
import { entriesOf, type Plan, type PlannedEntry } from '../plan.ts'
import type { EntryList } from '../plannedEntries.ts'
import { recordBytes } from '../record.ts'
import { makeDirectories } from '../root.ts'
import type { Session } from '../session.ts'
import { recordDirectories, removeStateFile, stageRecord, stageStateFile } from '../stageRecord.ts'
import type { StagingArea } from '../stagingArea.ts'
import { readWhole, type State } from '../state.ts'
import type { StagedStep } from '../transaction.ts'
import { factsOf } from '../treeImage.ts'
import { type Bases, basesFile, basesWanted, formatBases, largestBase, readBases, sha256Of } from './bases.ts'
import type { ConfigPlan } from './configPlan.ts'
import { leftDirectory, leftName } from './left.ts'

/** What an image brings under a protected name. */
interface Brought {
  readonly facts: EntryFacts
  readonly xattrs: Xattrs
  readonly sha256?: string
}

/** What the images bring under protected names: looked at before staging takes anything out of them. */
export class BroughtConfig {
  readonly #brought = new Map<PlannedEntry, Brought>()
  readonly #contents = new Map<string, Buffer>()

  constructor({ kernel, comparer }: Pick<Session, 'kernel' | 'comparer'>, plan: Plan) {
    for (const planned of entriesOf(plan)) if (planned.protection !== undefined) this.#add(kernel, comparer, planned)
  }

  #add(kernel: Kernel, comparer: Comparer, planned: PlannedEntry): void {
    const { entry, from } = planned
    const place = from.image.place(entry.name)
    const facts = factsOf(entry)
    const xattrs = comparer.attributesAt(place)
    if (entry.type !== 'file') return void this.#brought.set(planned, { facts, xattrs })
    const contents = facts.size <= largestBase ? readContents(kernel, place) : undefined
    const sha256 = contents === undefined ? comparer.digest(place) : sha256Of(contents)
    if (contents !== undefined) this.#contents.set(sha256, contents)
    this.#brought.set(planned, { facts, xattrs, sha256 })
  }

  /**
   * The records of a package's entries; what is recorded of those that are staged or stay is `recordedOf`'s.
   *
   * @param configured  gets those that are protected
   */
  *recordedEntries(
    entries: EntryList,
    recordedOf: (entries: EntryList) => Iterable<RecordedEntry | undefined>,
    configured: RecordedEntry[],
  ): Generator<RecordedEntry> {
    let index = 0
    for (const recorded of recordedOf(entries)) {
      const planned = entries.at(index++)
      const brought = planned && this.#brought.get(planned)
      if (planned === undefined || brought === undefined) {
        if (recorded !== undefined) yield recorded
        continue
      }
      for (const each of recordedConfig(planned, brought, recorded)) {
        configured.push(each)
        yield each
      }
    }
  }

  /** The contents that entries are, and come from; the older ones are looked up in `older`. */
  basesOf(recorded: Iterable<RecordedEntry>, older: () => Iterable<Bases>): Bases {
    const wanted = basesWanted(recorded)
    const found = new Map<string, Buffer>()
    const take = (bases: Bases) => {
      for (const digest of wanted) {
        const contents = bases.get(digest)
        if (contents !== undefined && !found.has(digest)) found.set(digest, contents)
      }
    }
    take(this.#contents)
    if (found.size < wanted.size) for (const bases of older()) take(bases)
    return found
  }
}

/** Beside a live object that stays the record says what was brought: then it is seen what the administrator changed. */
function recordedConfig(
  { fate, protection }: PlannedEntry,
  { facts, xattrs, sha256 }: Brought,
  recorded: RecordedEntry | undefined,
): RecordedEntry[] {
  const digested = sha256 === undefined ? {} : { sha256 }
  const protect = protection === undefined ? {} : { protection }
  if (fate === 'keepLive') return [{ ...facts, xattrs, ...digested, ...protect }]
  if (recorded === undefined) return []
  const { uid, gid, mode } = facts
  const kept = fate === 'keepMetadata' ? { uid, gid, mode, xattrs } : {}
  return [{ ...recorded, ...kept, ...digested, ...protect }]
}

function readContents(kernel: Kernel, { directory, name }: Place): Buffer {
  const fd = kernel.openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  return withDescriptor(kernel, fd, () => readWhole(kernel, fd))
}

/** Stages the bases beside a package's record; none are left where nothing is wanted. */
export function stageBases(session: Session, area: StagingArea, packageName: string, bases: Bases): StagedStep[] {
  return stageBasesIn(session, area, recordDirectories(session, packageName)[0], bases)
}

function stageBasesIn({ root }: Session, area: StagingArea, directory: Name, bases: Bases): StagedStep[] {
  const opened = root.directory(directory)
  if (bases.size === 0) return removeStateFile(root, area, opened, basesFile)
  return [stageStateFile(root, area, opened, { name: basesFile, mode: 0o600 }, [formatBases(bases)])]
}

/** Stages what is left of packages that went: entries, and the contents that they may be merged from. */
export function stageLeft(
  session: Session,
  area: StagingArea,
  { left }: Pick<ConfigPlan, 'left'>,
  from: readonly string[],
  more: readonly Bases[] = [],
): StagedStep[] {
  if (left === undefined) return []
  const { root, state } = session
  const directory = root.directory(leftDirectory(state))
  const wanted = basesWanted(left)
  const older = [...more, ...olderBases(session, from)]
  const found = older.flatMap((bases) => [...bases].filter(([digest]) => wanted.has(digest)))
  const bytes = recordBytes({ packageName: leftName, entries: left })
  return [stageRecord(root, area, directory, bytes), ...stageBasesIn(session, area, directory.name, new Map(found))]
}

/** The directory of what is left, made where that changes. */
export function makeLeftDirectory({ root, state }: Session, { left }: Pick<ConfigPlan, 'left'>): Name[] {
  return left === undefined ? [] : [makeDirectories(root, leftDirectory(state)).name]
}

/** What packages, and what is left, have to merge from. */
export function olderBases(
  { root, state }: { root: Session['root']; state: State },
  packages: readonly string[],
): Bases[] {
  const directories = [...packages.map((name) => state.packageDirectory(name)), leftDirectory(state)]
  return directories.map((directory) => readBases(root, directory))
}
