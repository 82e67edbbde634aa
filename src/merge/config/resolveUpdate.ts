// Resolving an update: accepted, rejected, or merged into its file. One transaction, records included; synchronous, for
// the engine's thread.

import type { StageOptions } from '../../movefile/index.ts'
import type { EngineContext } from '../../sys/engineThread.ts'
import { baseName, displayName, type Kernel, type Name, parentName, type Stat } from '../../sys/index.ts'
import type { RecordedEntry } from '../entry.ts'
import { CollisionError, InvalidArgumentError, RootChangedError } from '../errors.ts'
import { identityOf } from '../identity.ts'
import { bytesOfSteps } from '../journalRoom.ts'
import { KeptInodes } from '../keptInodes.ts'
import { withOwners } from '../owners.ts'
import { recordBytes } from '../record.ts'
import { changing, type Session } from '../session.ts'
import { recordDirectories, stageRecord } from '../stageRecord.ts'
import type { StagingArea } from '../stagingArea.ts'
import { writeWhole } from '../state.ts'
import { runTransaction, type StagedStep } from '../transaction.ts'
import { basesWanted, largestBase } from './bases.ts'
import { ConflictMarkersError } from './configErrors.ts'
import type { ResolvedUpdate, ResolveUpdateOptions } from './configOptions.ts'
import { type Claim, type FoundUpdate, findUpdates } from './findUpdates.ts'
import { findUpdate, namesOf, namesOfPath, placeOf, readFileText, versionAt } from './inspectUpdates.ts'
import { readLeft } from './left.ts'
import { offerOf, rememberOffer } from './memory.ts'
import { makeLeftDirectory, olderBases, stageBases, stageLeft } from './stageConfig.ts'
import { hasMarkers } from './threeWay.ts'
import { type Version, versionOf } from './versions.ts'

/** Resolves one update. */
export function resolveUpdate(engine: EngineContext, options: ResolveUpdateOptions): ResolvedUpdate {
  return changing(engine, options, (session) =>
    withOwners(session.state, 'changing', () => new Resolution(session, options).run()),
  )
}

class Resolution {
  readonly #session: Session
  readonly #options: ResolveUpdateOptions
  readonly #found: FoundUpdate
  /** What the update brings. */
  readonly #version: Version

  constructor(session: Session, options: ResolveUpdateOptions) {
    this.#session = session
    this.#options = options
    this.#found = findUpdate(session, options)
    this.#version = versionAt(session, this.#found.update.liveName, this.#found.update.stat)
    this.#check()
  }

  run(): ResolvedUpdate {
    const { state } = this.#session
    const { action, durability } = this.#options
    const superseded = action === 'rework' ? [] : this.#superseded()
    const left = this.#leftAfter()
    const packages = this.#claims().map(({ packageName }) => packageName)
    const directories = [
      parentName(this.#found.liveName),
      ...packages.flatMap((name) => recordDirectories(this.#session, name)),
      ...makeLeftDirectory(this.#session, left),
    ]
    const stage = (area: StagingArea) => [
      ...this.#stageFile(area),
      ...(action === 'rework' ? [] : this.#removals(area, [this.#found, ...superseded])),
      ...this.#stageRecords(area, left),
    ]
    const work = { packages, directories, expectedBytes: bytesOfSteps(superseded.length + 8), stage }
    const { id, leftOvers, notes } = runTransaction(state, work, durability ?? 'transaction', () => {})
    const names = superseded.map(({ update }) => displayName(update.liveName))
    return { ...namesOf(this.#found), action, superseded: names, transaction: id, leftOvers, notes }
  }

  #check(): void {
    const { action, contents, expectedLive, expectedUpdate, force } = this.#options
    const { live, liveName, update } = this.#found
    const takesContents = action === 'replace' || action === 'rework'
    if (takesContents !== (contents !== undefined))
      throw new InvalidArgumentError(`contents ${takesContents ? 'are missing' : 'mean nothing'} for '${action}'`)
    if (expectedLive !== undefined && expectedLive !== versionAt(this.#session, liveName, live))
      throw new RootChangedError(this.#session.root.pathOf(liveName), 'was changed')
    if (expectedUpdate !== undefined && expectedUpdate !== this.#version)
      throw new RootChangedError(this.#session.root.pathOf(update.liveName), 'was changed')
    if (live?.type === 'directory' && (action === 'accept' || action === 'replace')) throw this.#blocked()
    const text = action === 'accept' && force !== true ? readFileText(this.#session, update) : undefined
    if (text !== undefined && hasMarkers(text)) throw new ConflictMarkersError(update.liveName)
  }

  #blocked(): CollisionError {
    const { liveName, update } = this.#found
    const remedy = 'a directory is in the way: move it away, or reject the update'
    const collision = { name: displayName(liveName), live: 'directory', image: update.stat.type, owners: [], remedy }
    return new CollisionError(displayName(update.liveName), [collision])
  }

  /**
   * Older updates go with one that is accepted or merged, if they are what was offered; where an update was rejected by
   * its file's name, all of them are meant.
   */
  #superseded(): FoundUpdate[] {
    const { action, update: given } = this.#options
    const { liveName, update } = this.#found
    const all = findUpdates(this.#session, [liveName]).filter((other) => other.liveName === liveName)
    const older = all.slice(
      0,
      all.findIndex((other) => other.update.liveName === update.liveName),
    )
    if (action === 'reject') return namesOfPath(this.#session, given).includes(update.liveName) ? [] : older
    return older.filter((other) => this.#wasOffered(other))
  }

  #wasOffered({ update, claims }: FoundUpdate): boolean {
    const version = versionAt(this.#session, update.liveName, update.stat)
    return claims.some(({ entry }) => {
      const { present = [], absent = [] } = entry.protection?.offered ?? {}
      return present.includes(version) || absent.includes(version)
    })
  }

  /** What gets the file's name (or, reworked, the update's), copied and staged. */
  #stageFile(area: StagingArea): StagedStep[] {
    const { action, contents } = this.#options
    const { live, liveName, update } = this.#found
    if (action === 'reject') return []
    const isKept = action === 'replace' && live?.type === 'file'
    const source = isKept && live !== undefined ? { liveName, stat: live } : update
    const target = action === 'rework' ? { liveName: update.liveName, live: update.stat } : { liveName, live }
    if (contents !== undefined && source.stat.type !== 'file')
      throw new InvalidArgumentError(`'${displayName(source.liveName)}' is no file`)
    const { kernel, mover, root } = this.#session
    const { fd } = root.directory(parentName(liveName))
    const staging = area.newName()
    mover.stageCopy(
      placeOf(this.#session, source.liveName),
      { directory: fd, name: staging },
      { stat: source.stat, ...(contents && newContents(kernel, contents)) },
    )
    return [this.#stepFor(area, fd, staging, target)]
  }

  #stepFor(
    area: StagingArea,
    fd: number,
    staging: Name,
    { liveName, live }: { readonly liveName: Name; readonly live: Stat | undefined },
  ): StagedStep {
    const common = {
      phase: 'payload' as const,
      directory: area.numberOf(this.#session.root.directory(parentName(liveName)).name),
      name: baseName(liveName),
      staging,
      identity: identityOf(this.#session.kernel, fd, staging) ?? '',
    }
    if (live === undefined) return { step: { kind: 'place', ...common } }
    const keepsSetId = new KeptInodes(this.#session, new Set()).has(live)
    return { step: { kind: 'replace', ...common, ...(keepsSetId ? { keepsSetId } : {}) }, displaced: live }
  }

  #removals(area: StagingArea, updates: readonly FoundUpdate[]): StagedStep[] {
    return updates.map(({ update: { liveName, stat } }) => ({
      step: {
        kind: 'remove',
        phase: 'payload',
        directory: area.numberOf(this.#session.root.directory(parentName(liveName)).name),
        name: baseName(liveName),
        staging: area.newName(),
      },
      displaced: stat,
    }))
  }

  #claims(): { readonly packageName: string; readonly entry: RecordedEntry }[] {
    if (this.#options.action === 'rework') return []
    return this.#found.claims.flatMap(({ packageName, entry }) =>
      packageName === undefined ? [] : [{ packageName, entry }],
    )
  }

  #leftAfter(): { left?: readonly RecordedEntry[] } {
    const claim = this.#found.claims.find(({ packageName }) => packageName === undefined)
    if (claim === undefined || this.#options.action === 'rework') return {}
    return { left: [...readLeft(this.#session.state).values()].map((entry) => this.#resolved(entry, claim)) }
  }

  #stageRecords(area: StagingArea, left: { left?: readonly RecordedEntry[] }): StagedStep[] {
    const { root, state } = this.#session
    const own = this.#ownBases()
    const records = this.#claims().flatMap(({ packageName, entry }) => {
      const record = state.record(packageName)
      const entries = record.entries.map((each) => this.#resolved(each, { packageName, entry }))
      const wanted = basesWanted(entries)
      const older = [own, ...olderBases(this.#session, [packageName])]
      const bases = new Map(older.flatMap((each) => [...each].filter(([digest]) => wanted.has(digest))))
      const directory = root.directory(recordDirectories(this.#session, packageName)[0])
      const step = stageRecord(root, area, directory, recordBytes({ ...record, entries }))
      return [step, ...stageBases(this.#session, area, packageName, bases)]
    })
    return [...records, ...stageLeft(this.#session, area, left, [], [own])]
  }

  /** The update's contents: a live file that was merged with it comes from it. */
  #ownBases(): ReadonlyMap<string, Buffer> {
    const { update } = this.#found
    if (update.stat.type !== 'file' || update.stat.size > largestBase) return new Map()
    return new Map([[this.#version, Buffer.from(readFileText(this.#session, update) ?? '', 'latin1')]])
  }

  /** The entry after its update was resolved: what was offered is remembered, and where the live file comes from. */
  #resolved(entry: RecordedEntry, claim: Claim): RecordedEntry {
    if (entry.name !== claim.entry.name) return entry
    const { action } = this.#options
    const { base: before, ...rest } = entry.protection ?? { style: 'portage' as const }
    const isRecorded = this.#version === versionOf(entry, entry.sha256 ?? '')
    const isFile = this.#found.update.stat.type === 'file'
    const base = isRecorded ? undefined : action === 'reject' || !isFile ? before : this.#version
    const protection = rememberOffer(rest, this.#version, offerOf(this.#found.live))
    return { ...entry, protection: { ...protection, ...(base === undefined ? {} : { base }) } }
  }
}

/** Written before the copy has its mode, which may not let its own owner write. */
function newContents(kernel: Kernel, contents: Uint8Array): Pick<StageOptions, 'fill' | 'mtimeNs'> {
  return { fill: (to) => writeWhole(kernel, to, contents), mtimeNs: BigInt(Date.now()) * 1_000_000n }
}
