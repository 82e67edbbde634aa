// Who owns a name: which packages' records have it.

import type { Name } from '../sys/index.ts'
import type { RecordedEntry } from './entry.ts'
import { eachLiveName } from './liveNames.ts'
import { compareToRecords, numbersOf, type OwnersIndex } from './ownersIndex.ts'
import type { PackageRecord } from './record.ts'
import { findIndex, refreshIndex } from './refreshIndex.ts'
import type { Access } from './session.ts'
import type { State } from './state.ts'
import type { WrittenNames } from './writtenNames.ts'

/** Answers by name. */
export interface Owners {
  /**
   * The packages whose records have a name, sorted; empty when nobody owns it.
   *
   * A name is found as the record has it, and as it was without symlinks when the record was indexed.
   */
  of(name: Name): readonly string[]
  /** Every name that some record has, and as it is without symlinks: this reads all records. */
  eachName(visit: (name: Name) => void): void
  /** A package's record. @throws {CorruptRecordError} */
  record(packageName: string): PackageRecord | undefined
}

/**
 * Runs `body` with what is known of a root's owners: by the index, and by the records that it does not know.
 *
 * The root's only writer has the index brought up to date, before and after; who only reads writes nothing.
 *
 * @param body  is also given where it may leave the names of records that it writes, for the index
 * @throws {CorruptRecordError} since nothing may be decided on a damaged record's word
 */
export function withOwners<T>(state: State, access: Access, body: (owners: Owners, written: WrittenNames) => T): T {
  const found = findIndex(state)
  const index = access === 'changing' ? refreshIndex(state, found) : found
  const written: WrittenNames = new Map()
  const result = body(ownersBy(state, index), written)
  if (access === 'changing') refreshIndex(state, index, written)
  return result
}

/** A record's entries by name. */
export function entriesByName(record: PackageRecord | undefined): ReadonlyMap<Name, RecordedEntry> {
  return new Map(record?.entries.map((entry) => [entry.name, entry]))
}

const none: readonly string[] = []

/** By an index where it knows a package's record, else by the record. */
function ownersBy(state: State, index: OwnersIndex): Owners {
  const { known, outside } = compareToRecords(index, state.recordStats())
  const read = readNames(state, [...outside.keys()].sort())
  const of = (name: Name) => {
    const numbers = numbersOf(index, name)
    const others = read.get(name) ?? none
    if (numbers.length === 0) return others // most names of a new package
    const indexed = numbers.flatMap((number) => known[number]?.name ?? [])
    return [...new Set([...indexed, ...others])].sort()
  }
  const eachName = (visit: (name: Name) => void) => {
    const eachOf = eachLiveName(state)
    for (const packageName of state.packageNames()) eachOf(packageName, visit)
  }
  return { of, eachName, record: recordsOf(state) }
}

/** The names of some records, and whose they are. */
function readNames(state: State, packageNames: Iterable<string>): ReadonlyMap<Name, readonly string[]> {
  const owners = new Map<Name, string[]>()
  const eachName = eachLiveName(state)
  for (const packageName of packageNames) {
    eachName(packageName, (name) => {
      const known = owners.get(name)
      if (known === undefined) owners.set(name, [packageName])
      else if (known.at(-1) !== packageName) known.push(packageName)
    })
  }
  return owners
}

/** Each record is read once, when it is first asked for: what it was stays known when it is replaced. */
function recordsOf(state: State): Owners['record'] {
  const known = new Map<string, PackageRecord | undefined>()
  return (packageName) => {
    if (!known.has(packageName)) known.set(packageName, state.findRecord(packageName))
    return known.get(packageName)
  }
}
