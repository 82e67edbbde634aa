// Importing: the packages of another installer's database, or of a file, become known. For the engine's thread.
//
// The database is only read. Its packages stay that installer's: they own their names here, they are verified, and
// nobody but their installer replaces or removes them.

import { withDescriptor } from '../../movefile/index.ts'
import type { EngineContext } from '../../sys/engineThread.ts'
import {
  baseName,
  displayName,
  joinName,
  type Name,
  O_NOFOLLOW,
  O_RDONLY,
  parentName,
  toName,
  tryOpenat,
} from '../../sys/index.ts'
import { CollisionError, CorruptDatabaseError, InvalidArgumentError } from '../errors.ts'
import { bytesOfSteps } from '../journalRoom.ts'
import type { OwnedName } from '../options.ts'
import { withOwners } from '../owners.ts'
import { type Manager, managerOf } from '../packageName.ts'
import { ProgressMeter } from '../progress.ts'
import { type PackageRecord, recordBytes } from '../record.ts'
import { refreshIndex } from '../refreshIndex.ts'
import { makeDirectories, Root } from '../root.ts'
import { changing, reading, type Session } from '../session.ts'
import { Spellings } from '../spellings.ts'
import { forgetPackage, recordDirectories, stageRecord } from '../stageRecord.ts'
import type { StagingArea } from '../stagingArea.ts'
import { readWhole } from '../state.ts'
import { runTransaction, type TransactionReport } from '../transaction.ts'
import { DatabaseFiles } from './databaseFiles.ts'
import { databases } from './databases.ts'
import { readPackageFile } from './importFile.ts'
import type { ImportOptions, ImportReport } from './importOptions.ts'

/** Makes packages known, as one transaction that writes records and nothing else. */
export async function importPackages(engine: EngineContext, options: ImportOptions): Promise<ImportReport> {
  const meter = new ProgressMeter(engine)
  meter.enter('plan')
  const records = await readRecords(engine, options)
  const run = options.dryRun === true ? reading : changing
  return run(engine, options, (session: Session, recovered?: ImportReport['recovered']) => {
    const manager = managerIn(options)
    if (manager === undefined) refuseTaken(session, records)
    const plan = planImport(session, records, manager)
    const shared = manager === undefined ? [] : findShared(session, records)
    const done = options.dryRun === true ? undefined : commitImport(session, plan, options, meter)
    if (done !== undefined) refreshIndex(session.state)
    return {
      packages: records.length,
      entries: records.reduce((sum, { entries }) => sum + entries.length, 0),
      added: plan.added.map(nameOf),
      refreshed: plan.refreshed.map(nameOf),
      removed: plan.removed,
      shared,
      leftOvers: done?.leftOvers ?? [],
      ...(done === undefined ? {} : { transaction: done.id }),
      ...(recovered === undefined ? {} : { recovered }),
    }
  })
}

function managerIn(options: ImportOptions): Manager | undefined {
  return 'file' in options ? undefined : options.manager
}

async function readRecords(engine: EngineContext, options: ImportOptions): Promise<PackageRecord[]> {
  const root = new Root(engine.kernel, toName(options.root))
  try {
    if ('file' in options) return [readPackageFile(root, engine.cancel, options)]
    return await readDatabase(engine, root, options.manager)
  } finally {
    root.close()
  }
}

async function readDatabase({ kernel, cancel }: EngineContext, root: Root, manager: Manager): Promise<PackageRecord[]> {
  const database = databases[manager]
  const files = new DatabaseFiles(root)
  const place = database?.places.find((name) => files.has(name))
  if (place === undefined) {
    const places = database?.places.join(', ') ?? 'nowhere'
    throw new InvalidArgumentError(`there is no database of ${manager} in ${displayName(root.path)} (${places})`)
  }
  const packages = await database.read({ kernel, cancel, files })
  const records = packages.map(({ name, entries }) => ({ packageName: `${manager}:${name}`, entries }))
  const strange = records.find(({ packageName }) => managerOf(packageName) === undefined)
  if (strange !== undefined) {
    throw new CorruptDatabaseError(root.pathOf(place), 1, `'${strange.packageName}' cannot be a package's name`)
  }
  return [...new Map(records.map((record) => [record.packageName, record])).values()]
}

/** A record that has to be written. */
interface NewRecord {
  readonly packageName: string
  readonly bytes: Buffer
}

interface ImportPlan {
  readonly added: readonly NewRecord[]
  readonly refreshed: readonly NewRecord[]
  readonly removed: readonly string[]
}

const nameOf = ({ packageName }: NewRecord) => packageName

/** What is not known yet, or no longer so. */
function planImport(session: Session, records: readonly PackageRecord[], manager: Manager | undefined): ImportPlan {
  const written = records.map((record) => ({ ...record, bytes: Buffer.concat([...recordBytes(record)]) }))
  const known = new Map(written.map(({ packageName }) => [packageName, knownBytes(session, packageName)]))
  const present = manager === undefined ? [] : session.state.packageNames()
  return {
    added: written.filter(({ packageName }) => known.get(packageName) === undefined),
    refreshed: written.filter(({ packageName, bytes }) => known.get(packageName)?.equals(bytes) === false),
    removed: present.filter((name) => managerOf(name) === manager && !known.has(name)),
  }
}

/** A record as it is stored. */
function knownBytes({ kernel, root, state }: Session, packageName: string): Buffer | undefined {
  const directory = root.findDirectory(state.packageDirectory(packageName))
  const fd = directory && tryOpenat(kernel, directory.fd, 'record', O_RDONLY | O_NOFOLLOW)
  return fd === undefined ? undefined : withDescriptor(kernel, fd, () => readWhole(kernel, fd))
}

function commitImport(
  session: Session,
  { added, refreshed, removed }: ImportPlan,
  { durability }: ImportOptions,
  meter: ProgressMeter,
): TransactionReport | undefined {
  const { root, state } = session
  const written = [...added, ...refreshed].map(({ packageName, bytes }) => ({
    directory: makeDirectories(root, state.packageDirectory(packageName)).name,
    bytes,
  }))
  if (written.length + removed.length === 0) return undefined
  const stage = (area: StagingArea) => [
    ...written.map(({ directory, bytes }) => stageRecord(root, area, root.directory(directory), [bytes])),
    ...removed.flatMap((name) => forgetPackage(session, area, name)),
  ]
  const directories = [
    ...written.map(({ directory }) => directory),
    ...removed.flatMap((name) => recordDirectories(session, name)),
  ]
  const packages = [...added.map(nameOf), ...refreshed.map(nameOf), ...removed]
  const work = { packages, directories, expectedBytes: bytesOfSteps(written.length + 2 * removed.length), stage }
  return runTransaction(state, work, durability ?? 'transaction', (phase) => meter.enter(phase))
}

/** A file that makes a package one of ours may not claim what another package has. @throws {CollisionError} */
function refuseTaken({ state, root }: Session, records: readonly PackageRecord[]): void {
  withOwners(state, 'reading', (owners) => {
    const [live, spellings] = [liveNames(root), new Spellings(root, owners)]
    for (const { packageName, entries } of records) {
      const taken = entries.flatMap((entry) => {
        const liveName = live(entry.name)
        const claimed = [entry.name, liveName, ...spellings.ofName(liveName)].flatMap((each) => owners.of(each))
        const others = [...new Set(claimed)].filter((owner) => owner !== packageName).sort()
        if (entry.type === 'directory' || others.length === 0) return []
        const name = displayName(entry.name)
        return [{ name, live: entry.type, image: entry.type, owners: others, remedy: 'leave it out of the file' }]
      })
      if (taken.length > 0) throw new CollisionError(packageName, taken)
    }
  })
}

/** Names of ours that an imported package has too: facts, which the import only reports. */
function findShared({ state, root }: Session, records: readonly PackageRecord[]): OwnedName[] {
  const ours = state.packageNames().filter((name) => managerOf(name) === undefined)
  if (ours.length === 0) return []
  const live = liveNames(root)
  const imported = withOwners(state, 'reading', (owners) => importedNames(records, live, new Spellings(root, owners)))
  return ours.flatMap((packageName) =>
    state.record(packageName).entries.flatMap(({ name, type }) => {
      const other = type === 'directory' ? undefined : imported.get(live(name))
      return other === undefined || other === packageName
        ? []
        : [{ name: displayName(name), packages: [other, packageName].sort() }]
    }),
  )
}

/** Whose each name is that is imported and no directory, also as records spell it where its directory folds case. */
function importedNames(
  records: readonly PackageRecord[],
  live: (name: Name) => Name,
  spellings: Spellings,
): ReadonlyMap<Name, string> {
  const imported = new Map<Name, string>()
  for (const { packageName, entries } of records) {
    for (const { name, type } of entries) {
      if (type === 'directory') continue
      const liveName = live(name)
      for (const each of [...spellings.ofName(liveName), liveName]) imported.set(each, packageName)
    }
  }
  return imported
}

/** A name's directory without symlinks; each directory is looked at once. */
function liveNames(root: Root): (name: Name) => Name {
  const directories = new Map<Name, Name>()
  return (name) => {
    const parent = parentName(name)
    const known = directories.get(parent) ?? root.findDirectory(parent)?.name ?? parent
    directories.set(parent, known)
    return joinName(known, baseName(name))
  }
}
