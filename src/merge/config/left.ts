// What unmerged packages left: edited configuration files that stayed, with what was remembered of them. When a package
// brings such a file again, it is known what its live version comes from and what was offered before.
//
// It is a record as packages have one, and its bases, in a directory of its own: nobody owns what is in it.

import { joinName, type Name } from '../../sys/index.ts'
import type { RecordedEntry } from '../entry.ts'
import type { State } from '../state.ts'

/** The directory, inside the state, of what was left. */
export function leftDirectory(state: State): Name {
  return joinName(state.name, 'left')
}

/** What its record calls itself. */
export const leftName = 'left'

/** Every entry that was left, by name. @throws {CorruptRecordError} */
export function readLeft(state: State): ReadonlyMap<Name, RecordedEntry> {
  const record = state.findRecordIn(leftDirectory(state))
  return new Map(record?.entries.map((entry) => [entry.name, entry]))
}

/**
 * What is left after a transaction, in order of names; undefined when that is what was left before.
 *
 * @param added    entries that stay although no package has them any more
 * @param claimed  whether a package has a name now
 */
export function leftAfter(
  before: ReadonlyMap<Name, RecordedEntry>,
  added: readonly RecordedEntry[],
  claimed: (name: Name) => boolean,
): readonly RecordedEntry[] | undefined {
  const stays = [...before.values()].filter(({ name }) => !claimed(name))
  if (stays.length === before.size && added.length === 0) return undefined
  const after = new Map([...stays, ...added].map((entry) => [entry.name, alone(entry)]))
  return [...after.values()].sort((one, other) => (one.name < other.name ? -1 : 1))
}

/** Hard links to names that went with their package would lead nowhere. */
function alone({ linkTo: _, ...entry }: RecordedEntry): RecordedEntry {
  return entry
}
