// Bringing the owners index up to date with the records: a cache, written by the root's only writer.

import { quietly } from '../movefile/index.ts'
import { eachLiveName } from './liveNames.ts'
import { readIndex, writeIndex } from './ownersFile.ts'
import { compareToRecords, emptyIndex, grownIndex, NameHashes, type OwnersIndex, stampOf } from './ownersIndex.ts'
import type { State } from './state.ts'

/**
 * Bytes of records that stay outside of the index until there are more: some 1,200 names, which are read in 5 ms, or 2
 * where the code is warm. So a small root has no index, and a small merge into a large one does not write it anew.
 */
const mostOutside = 256 * 1024

/** A root's index as it is; an empty one where there is none that is whole. */
export function findIndex(state: State): OwnersIndex {
  try {
    const directory = state.find()
    return (directory && readIndex(state.root.kernel, directory.fd)) ?? emptyIndex
  } catch {
    return emptyIndex // an index that cannot be read is no index; the records say why, where there is a reason
  }
}

/**
 * Brings a root's index up to date, for its only writer; gives what the index is then.
 *
 * Nothing depends on it: whatever goes wrong leaves an index that does not know every record.
 *
 * @param index  what findIndex found, and nobody changed since
 * @param written  names of records that were just written, by package: these are not read
 */
export function refreshIndex(
  state: State,
  index: OwnersIndex = findIndex(state),
  written: ReadonlyMap<string, NameHashes> = new Map(),
): OwnersIndex {
  let refreshed = index
  quietly(() => {
    const coverage = compareToRecords(index, state.recordStats())
    const outside = [...coverage.outside]
    if (outside.reduce((sum, [, { size }]) => sum + size, 0) < mostOutside) return
    const eachName = eachLiveName(state)
    const added = outside.map(([name, stat]) => {
      const names = written.get(name) ?? new NameHashes()
      if (!written.has(name)) eachName(name, (each) => names.add(each))
      return { package: { name, stamp: stampOf(stat) }, names }
    })
    const grown = grownIndex(index, coverage, added)
    writeIndex(state.root.kernel, state.make().fd, grown)
    refreshed = grown
  })
  return refreshed
}
