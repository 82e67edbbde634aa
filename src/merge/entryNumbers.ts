// The entries of a plan, numbered through all its packages.

import type { PlannedEntry, PlannedPackage } from './plan.ts'

/** An entry, its number, and that of its image. */
export interface NumberedEntry {
  readonly planned: PlannedEntry
  readonly number: number
  readonly image: number
}

/** Finds entries by number. */
export class EntryNumbers {
  readonly #packages: readonly Pick<PlannedPackage, 'entries'>[]
  /** The number of each package's first entry, and behind the last how many entries there are. */
  readonly #firsts: readonly number[]
  /** The package that had the number that was asked for last: mostly it has the next one too. */
  #image = 0

  constructor(packages: readonly Pick<PlannedPackage, 'entries'>[]) {
    this.#packages = packages
    const firsts = [0]
    for (const { entries } of packages) firsts.push((firsts.at(-1) as number) + entries.length)
    this.#firsts = firsts
  }

  /** How many entries there are. */
  get count(): number {
    return this.#firsts.at(-1) as number
  }

  /** The number of the first entry of an image. @throws {RangeError} when there is no such image */
  firstOf(image: number): number {
    const first = this.#firsts[image]
    if (first === undefined) throw new RangeError(`no image ${image} in the plan`)
    return first
  }

  /** @throws {RangeError} when there is no such entry */
  at(number: number): NumberedEntry {
    const isThere = this.firstOf(this.#image) <= number && number < this.firstOf(this.#image + 1)
    const image = isThere ? this.#image : this.#firsts.findLastIndex((first) => first <= number)
    const planned = this.#packages[image]?.entries.at(number - this.firstOf(image))
    if (planned === undefined) throw new RangeError(`no entry ${number} in the plan`)
    this.#image = image
    return { planned, number, image }
  }

  /** Entries that follow each other; each is made anew whenever it is asked for, so a million of them take no room. */
  range(first: number, end: number): Iterable<NumberedEntry> {
    return { [Symbol.iterator]: () => this.#range(first, end) }
  }

  *#range(first: number, end: number): Generator<NumberedEntry> {
    for (let number = first; number < end; number++) yield this.at(number)
  }
}
