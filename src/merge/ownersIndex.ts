// The owners index: which packages' records have a name, without reading the records.
//
// A name is a row of twenty bytes, as five words: four of its hash, one of the package's number. Rows are sorted by their
// first word, so a name is found by halving, and an index grows by merging sorted rows into sorted rows.
//
// It is a cache, and may know less than there is: it answers for the packages whose records are the very ones that it was
// made from (`compareToRecords`); what other records say has to be read there.

import { hash } from 'node:crypto'
import type { Name, Stat } from '../sys/index.ts'

const hashWords = 4
const rowWords = 5

/** A package in an index; its number is its place there. */
export interface IndexedPackage {
  readonly name: string
  /** Of the record that its rows were made from. */
  readonly stamp: string
}

/** An index in memory. */
export interface OwnersIndex {
  readonly packages: readonly IndexedPackage[]
  /** Sorted by the first word of each. */
  readonly rows: Uint32Array
}

/** What a root has that was never indexed. */
export const emptyIndex: OwnersIndex = { packages: [], rows: new Uint32Array(0) }

/** What an index is worth beside the records that are there. */
export interface Coverage {
  /** By number: the package, where its record is still the one that was indexed. */
  readonly known: readonly (IndexedPackage | undefined)[]
  /** The records that the index does not know. */
  readonly outside: ReadonlyMap<string, Stat>
}

/**
 * What tells a record from every other that stood in its place.
 *
 * A record is staged beside the one that it replaces, so their inodes differ; one that was restored by hand differs in
 * its time. This says more than a transaction's number, and stays true when a transaction is undone.
 */
export function stampOf({ ino, mtimeNs, size }: Stat): string {
  return `${ino}:${mtimeNs}:${size}`
}

/** Which of the records that are there an index knows. */
export function compareToRecords({ packages }: OwnersIndex, stats: ReadonlyMap<string, Stat>): Coverage {
  const outside = new Map(stats)
  const known = packages.map((each) => {
    const stat = stats.get(each.name)
    if (stat === undefined || stampOf(stat) !== each.stamp) return undefined
    outside.delete(each.name)
    return each
  })
  return { known, outside }
}

/** The hashes of one package's names, which wait to be put into an index. */
export class NameHashes {
  #words: Uint32Array
  count = 0

  /** @param expected  about how many names there will be */
  constructor(expected: number = 64) {
    this.#words = new Uint32Array(expected * hashWords)
  }

  get words(): Uint32Array {
    return this.#words.subarray(0, this.count * hashWords)
  }

  add(name: Name): void {
    const at = this.count * hashWords
    if (at === this.#words.length) {
      const grown = new Uint32Array(2 * at + hashWords)
      grown.set(this.#words)
      this.#words = grown
    }
    writeHash(name, this.#words, at)
    this.count++
  }
}

/**
 * The first half of a name's sha256: long names need no long keys, and nobody finds two names for one.
 *
 * Asked for as text of one byte per character, which costs 0.3 µs; as a buffer it costs 0.8.
 */
function writeHash(name: Name, words: Uint32Array, at: number): void {
  const text = hash('sha256', name, 'binary')
  for (let word = 0; word < hashWords; word++) {
    const from = 4 * word
    words[at + word] =
      text.charCodeAt(from) |
      (text.charCodeAt(from + 1) << 8) |
      (text.charCodeAt(from + 2) << 16) |
      (text.charCodeAt(from + 3) << 24)
  }
}

/** Used again for each question. */
const wanted = new Uint32Array(hashWords)

/** The numbers of the packages that have a name, those of records that are gone among them. */
export function numbersOf({ rows }: OwnersIndex, name: Name): number[] {
  if (rows.length === 0) return []
  writeHash(name, wanted, 0)
  const [first = 0] = wanted
  const numbers: number[] = []
  for (let at = firstRowFrom(rows, first) * rowWords; rows[at] === first; at += rowWords) {
    if (isWanted(rows, at)) numbers.push(rows[at + hashWords] as number)
  }
  return numbers
}

function isWanted(rows: Uint32Array, at: number): boolean {
  for (let word = 1; word < hashWords; word++) if (rows[at + word] !== wanted[word]) return false
  return true
}

/** The first row whose first word is not below a word. */
function firstRowFrom(rows: Uint32Array, word: number): number {
  let [low, high] = [0, rows.length / rowWords]
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((rows[middle * rowWords] as number) < word) low = middle + 1
    else high = middle
  }
  return low
}

/** An index of what an older one still knows, and of packages that it does not know. */
export function grownIndex(
  { rows }: OwnersIndex,
  { known }: Coverage,
  added: readonly { readonly package: IndexedPackage; readonly names: NameHashes }[],
): OwnersIndex {
  const packages: IndexedPackage[] = []
  const numbers = known.map((each) => (each === undefined ? -1 : packages.push(each) - 1))
  const firstAdded = packages.length
  for (const each of added) packages.push(each.package)
  const newRows = sortedRows(
    added.map(({ names }) => names),
    firstAdded,
  )
  return { packages, rows: mergedRows(rows, Int32Array.from(numbers), newRows) }
}

/** The rows of packages that are numbered on from `firstNumber`, of which there may be a million: little is copied. */
function sortedRows(packages: readonly NameHashes[], firstNumber: number): Uint32Array {
  const places = sortedPlaces(packages)
  const sorted = new Uint32Array(places.length * rowWords)
  let row = 0
  for (const [index, { words }] of packages.entries()) {
    for (let from = 0; from < words.length; from += hashWords) {
      const to = (places[row++] as number) * rowWords
      for (let word = 0; word < hashWords; word++) sorted[to + word] = words[from + word] as number
      sorted[to + hashWords] = firstNumber + index
    }
  }
  return sorted
}

/** Where each name belongs among the names of all packages. */
function sortedPlaces(packages: readonly NameHashes[]): Uint32Array {
  const count = packages.reduce((sum, names) => sum + names.count, 0)
  // Of each name its first word above its number: the runtime sorts such numbers without calling back.
  const order = new BigUint64Array(count)
  const halves = new Uint32Array(order.buffer)
  let row = 0
  for (const { words } of packages) {
    for (let from = 0; from < words.length; from += hashWords, row++) {
      halves[2 * row] = row
      halves[2 * row + 1] = words[from] as number
    }
  }
  order.sort()
  const places = new Uint32Array(count)
  for (let place = 0; place < count; place++) places[halves[2 * place] as number] = place
  return places
}

/** Old rows by their packages' new numbers, without those whose number is -1, and new ones: all sorted. */
function mergedRows(old: Uint32Array, numbers: Int32Array, added: Uint32Array): Uint32Array {
  if (numbers.every((number) => number < 0)) return added
  const merged = new Uint32Array(old.length + added.length)
  let [next, end] = [0, 0]
  for (let at = 0; at < old.length; at += rowWords) {
    const number = numbers[old[at + hashWords] as number] as number
    if (number < 0) continue
    for (; next < added.length && (added[next] as number) < (old[at] as number); next += rowWords, end += rowWords) {
      copyRow(added, next, merged, end)
    }
    copyRow(old, at, merged, end)
    merged[end + hashWords] = number
    end += rowWords
  }
  merged.set(added.subarray(next), end)
  return merged.subarray(0, end + added.length - next)
}

function copyRow(from: Uint32Array, at: number, to: Uint32Array, end: number): void {
  for (let word = 0; word < rowWords; word++) to[end + word] = from[at + word] as number
}
