// The planned entries of one image, in their order.

import type { PackedEntries } from './packedEntries.ts'
import type { PlannedEntry } from './plan.ts'
import { Rows } from './rows.ts'

/** A list of planned entries: an array is one. An entry may be made anew each time that it is asked for. */
export interface EntryList extends Iterable<PlannedEntry> {
  readonly length: number
  at(index: number): PlannedEntry | undefined
}

/** A list of which most entries are packed, where there are many. */
export class PlannedEntries implements EntryList {
  readonly #packed: PackedEntries
  /** Those that are not. */
  readonly #objects: PlannedEntry[] = []
  /** Of each entry twice the number that it is packed under, or twice its place among the objects, and 1. */
  readonly #places = new Rows(1)
  #length = 0

  constructor(packed: PackedEntries) {
    this.#packed = packed
  }

  get length(): number {
    return this.#length
  }

  at(index: number): PlannedEntry | undefined {
    if (index >= this.#length) return undefined
    const place = this.#places.get(index, 0)
    return (place & 1) === 0 ? this.#packed.at(place >>> 1) : this.#objects[place >>> 1]
  }

  /** Adds an entry, or one that was packed. */
  push(entry: PlannedEntry | number): void {
    const index = this.#length++
    if (typeof entry === 'number') this.#places.set(index, 0, 2 * entry)
    else this.set(index, entry)
  }

  set(index: number, planned: PlannedEntry): void {
    this.#places.set(index, 0, 2 * this.#objects.push(planned) - 1)
  }

  *[Symbol.iterator](): Generator<PlannedEntry> {
    for (let index = 0; index < this.#length; index++) yield this.at(index) as PlannedEntry
  }
}

/** Whether some entry is as a test says; none is kept meanwhile. */
export function some<T>(all: Iterable<T>, test: (one: T) => boolean): boolean {
  for (const one of all) if (test(one)) return true
  return false
}
