// Verifying, one of several threads' share of it: synchronous, for the engine's thread.

import type { EngineContext } from '../sys/engineThread.ts'
import { baseName, displayName, isSyscallError, type Name, parentName } from '../sys/index.ts'
import { compareRecorded } from './compareRecorded.ts'
import type { Difference } from './differences.ts'
import type { RecordedEntry } from './entry.ts'
import { EscapesRootError } from './errors.ts'
import type { VerifiedEntry, VerifyOptions } from './options.ts'
import { checkRecordedName } from './packageName.ts'
import { ProgressMeter } from './progress.ts'
import { pendingTransaction } from './recover.ts'
import type { Directory, Root } from './root.ts'
import { reading, type Session } from './session.ts'
import type { State } from './state.ts'
import { changedWhileVerified } from './verifyInThreads.ts'

/** Entries that a thread takes at once: few, since one of them may be large. */
const entriesAtOnce = 8

/** What a thread is given: the options, and the counter of what has been taken by any thread. */
export interface VerifyShare extends VerifyOptions {
  readonly taken: SharedArrayBuffer
}

/** An entry that differs, with its place in the order of the records. */
export interface PlacedEntry {
  readonly place: number
  readonly verified: VerifiedEntry
}

/** What one thread found, and by which records: those that all threads must have read. */
export interface VerifiedShare {
  readonly found: readonly PlacedEntry[]
  readonly records: string
}

/**
 * Compares what no other thread has taken, until all entries are. Every thread reads all records, which is little.
 *
 * @throws {RootChangedError} when packages were changed meanwhile: an entry's place would be another one's in each thread
 */
export function verifyShare(engine: EngineContext, options: VerifyShare): VerifiedShare {
  return reading(engine, options, (session) => {
    const packages = options.packages?.length ? [...new Set(options.packages.map(checkRecordedName))] : undefined
    const records = recordsOf(session.state, packages)
    const haveChanged = () =>
      pendingTransaction(session.state) !== undefined || recordsOf(session.state, packages) !== records
    let found: PlacedEntry[]
    try {
      found = compareShare(engine, session, { ...options, packages: packages ?? session.state.packageNames() })
    } catch (error) {
      throw !engine.cancel.raised && haveChanged() ? changedWhileVerified(options) : error
    }
    if (haveChanged()) throw changedWhileVerified(options)
    return { found, records }
  })
}

/** Tells the files of records apart from those of any other moment: a record is never changed, only replaced. */
function recordsOf(state: State, packages: readonly string[] | undefined): string {
  const stats = state.recordStats()
  const names = packages ?? [...stats.keys()].sort()
  return names.map((name) => [name, stats.get(name)?.ino, stats.get(name)?.ctimeNs].join(' ')).join('\n')
}

function compareShare(
  engine: EngineContext,
  session: Session,
  { packages = [], ...options }: VerifyShare,
): PlacedEntry[] {
  const meter = new ProgressMeter(engine)
  meter.enter('verify')
  const taken = new Int32Array(options.taken)
  const found: PlacedEntry[] = []
  let [place, from] = [0, takeNext(taken)]
  for (const packageName of packages) {
    for (const entry of session.state.record(packageName).entries) {
      engine.cancel.check()
      if (place >= from + entriesAtOnce) from = takeNext(taken)
      if (place++ < from) continue
      const differences = differencesOf(session, entry, options.digests ?? true)
      meter.addEntry(entry.size)
      if (differences.length === 0) continue
      const isConfig = entry.isConfig === true || entry.protection !== undefined
      const verified = { package: packageName, name: displayName(entry.name), differences }
      found.push({ place, verified: isConfig ? { ...verified, isConfig } : verified })
    }
  }
  meter.finish()
  return found
}

/** All of it in the thread at hand: the entries that differ, in the records' order. */
export function verifyPackages(engine: EngineContext, options: VerifyOptions): VerifiedEntry[] {
  return verifyShare(engine, { ...options, taken: new SharedArrayBuffer(4) }).found.map(({ verified }) => verified)
}

function takeNext(taken: Int32Array): number {
  return Atomics.add(taken, 0, entriesAtOnce)
}

/** Not this user's to read; a disk that fails, or a file system that finds its own checksums wrong. */
const unreadable = ['EACCES', 'EPERM', 'EIO', 'EBADMSG', 'EUCLEAN'] as const

function differencesOf(session: Session, entry: RecordedEntry, digests: boolean): readonly Difference[] {
  const missing: readonly Difference[] = entry.unknown?.has('missing') === true ? [] : ['missing']
  try {
    return liveDifferences(session, entry, digests) ?? missing
  } catch (error) {
    if (isSyscallError(error, 'ENOENT')) return missing // it went while it was looked at
    if (isSyscallError(error, ...unreadable)) return ['unreadable']
    throw error
  }
}

/** Undefined where nothing has the name. */
function liveDifferences(
  { root, comparer }: Session,
  entry: RecordedEntry,
  digests: boolean,
): readonly Difference[] | undefined {
  const parent = directoryBehind(root, parentName(entry.name))
  const name = baseName(entry.name)
  const stat = parent && root.kernel.findat(parent.fd, name)
  if (parent === undefined || stat === undefined) return undefined
  const behind = stat.type === 'symlink' && entry.type === 'directory' ? directoryBehind(root, entry.name) : undefined
  const place = behind === undefined ? { directory: parent.fd, name } : { directory: behind.fd, name: '.' }
  const live = { place, stat: behind === undefined ? stat : root.kernel.fstat(behind.fd), root }
  return compareRecorded(comparer, entry, live, { digests })
}

/** As Root.findDirectory; whoever owns a directory can put a symlink there that leads nowhere, and verify sees the rest. */
function directoryBehind(root: Root, name: Name): Directory | undefined {
  try {
    return root.findDirectory(name)
  } catch (error) {
    if (error instanceof EscapesRootError || isSyscallError(error, 'ELOOP')) return undefined
    throw error
  }
}
