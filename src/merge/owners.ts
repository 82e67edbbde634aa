// Who owns a name: which packages' records have it.

import { quietly } from '../movefile/index.ts'
import type { Name } from '../sys/index.ts'
import type { RecordedEntry } from './entry.ts'
import { eachLiveName } from './liveNames.ts'
import { OwnersIndex } from './ownersIndex.ts'
import { fits, indexDirectory, isCurrent, readSeal, sumUp } from './ownersSeal.ts'
import type { PackageRecord } from './record.ts'
import { refreshIndex } from './refreshIndex.ts'
import type { Access } from './session.ts'
import type { State } from './state.ts'

/** Answers by name. */
export interface Owners {
  /**
   * The packages whose records have a name, sorted; empty when nobody owns it.
   *
   * A name is found as the record has it, and as it was without symlinks when the record was indexed.
   */
  of(name: Name): readonly string[]
  /** A package's record. @throws {CorruptRecordError} */
  record(packageName: string): PackageRecord | undefined
  close(): void
}

/**
 * Runs `body` with what is known of a root's owners: by the index where it is current, else by the records.
 *
 * The root's only writer has the index brought up to date, before and after; who only reads writes nothing.
 *
 * @throws {CorruptRecordError} since nothing may be decided on a damaged record's word
 */
export function withOwners<T>(state: State, access: Access, body: (owners: Owners) => T): T {
  const owners = openOwners(state, access)
  let result: T
  try {
    result = body(owners)
  } finally {
    owners.close()
  }
  // The transaction is over: what goes wrong with a cache must not be told as its failure.
  if (access === 'changing') quietly(() => isSmall(state) || refreshIndex(state))
  return result
}

/** Bytes of records that are read faster than lmdb is loaded: some 2,000 names, 4 ms against 40 to 60. */
const smallRecords = 256 * 1024

/** Whether a root gets no index: it has few names, or none. */
function isSmall(state: State): boolean {
  return [...state.recordStats().values()].reduce((sum, { size }) => sum + size, 0) < smallRecords
}

function openOwners(state: State, access: Access): Owners {
  if (isSmall(state)) return readOwners(state)
  const indexed = openIndexed(state)
  if (indexed !== undefined) return indexed
  if (access === 'reading') return readOwners(state)
  refreshIndex(state)
  return openIndexed(state) ?? readOwners(state)
}

/** A record's entries by name. */
export function entriesByName(record: PackageRecord | undefined): ReadonlyMap<Name, RecordedEntry> {
  return new Map(record?.entries.map((entry) => [entry.name, entry]))
}

/** By the records, of which all names are read. */
function readOwners(state: State): Owners {
  const owners = new Map<Name, string[]>()
  const eachName = eachLiveName(state)
  for (const packageName of state.packageNames()) {
    const add = (name: Name) => {
      const known = owners.get(name)
      if (known === undefined) owners.set(name, [packageName])
      else if (known.at(-1) !== packageName) known.push(packageName)
    }
    eachName(packageName, add)
  }
  return { of: (name) => owners.get(name) ?? [], record: recordsOf(state), close: () => {} }
}

/** By the index; undefined when there is none that is whole and made from the very records that are there. */
function openIndexed(state: State): Owners | undefined {
  try {
    const { kernel } = state.root
    const directory = state.root.findDirectory(indexDirectory(state))
    const seal = directory && readSeal(kernel, directory.fd)
    if (directory === undefined || seal === undefined || !isCurrent(seal, state)) return undefined
    if (!fits(seal, sumUp(kernel, directory.fd, seal.file))) return undefined
    const index = new OwnersIndex({ directory: directory.fd, name: seal.file }, seal.bits)
    const nameOf = (number: number) => seal.packages[number]?.name
    const of = (name: Name) => {
      const numbers = index.numbersOf(name)
      if (numbers.length === 0) return [] // most names of a new package
      return [...new Set(numbers.map(nameOf).filter((owner) => owner !== undefined))].sort()
    }
    return { of, record: recordsOf(state), close: () => index.close() }
  } catch {
    return undefined // an index that cannot be read is no index; the records say why, where there is a reason
  }
}

/** Each record is read once, when it is first asked for: what it was stays known when it is replaced. */
function recordsOf(state: State): Owners['record'] {
  const known = new Map<string, PackageRecord | undefined>()
  return (packageName) => {
    if (!known.has(packageName)) known.set(packageName, state.findRecord(packageName))
    return known.get(packageName)
  }
}
