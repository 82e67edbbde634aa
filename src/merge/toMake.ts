// What is made anew, as tasks.

import { baseName, joinName, type Name, parentName } from '../sys/index.ts'
import type { EntryNumbers } from './entryNumbers.ts'
import type { PlannedEntry } from './plan.ts'
import type { StageTask } from './stageTask.ts'
import { sizeOf } from './treeImage.ts'

/** An object that is made anew, or taken. */
export class ToMake {
  readonly planned: PlannedEntry
  /** Its image's number. */
  readonly image: number
  /** Its own number among all entries of the plan. */
  readonly number: number
  /** Where it is made, from the root. */
  readonly stagedDirectory: Name
  readonly #hiddenName: Name | undefined

  /** @param hiddenName  what it is called there, where that is not its own name */
  constructor(
    { planned, image, number }: Pick<ToMake, 'planned' | 'image' | 'number'>,
    stagedDirectory: Name,
    hiddenName: Name | undefined,
  ) {
    this.planned = planned
    this.image = image
    this.number = number
    this.stagedDirectory = stagedDirectory
    this.#hiddenName = hiddenName
  }

  /** What it is called where it is made. */
  get stagedComponent(): Name {
    return this.#hiddenName ?? baseName(this.planned.liveName)
  }

  /** Its staging name, from the root. */
  get stagedName(): Name {
    return joinName(this.stagedDirectory, this.stagedComponent)
  }
}

/** The digest of a file from this size on is a task of its own, for another thread than that which copies it. */
const largeFile = 8 * 1024 * 1024

/** The digest of a payload, taken while another thread copies it. */
export interface ApartDigest {
  /** The entry's number. */
  readonly digestOf: number
}

/** What stages objects: the objects themselves, and behind each large one its digest. */
export class Making {
  readonly #digests: boolean
  readonly #jobs: number
  readonly #numbers: EntryNumbers
  readonly #toMake: (number: number) => ToMake

  /** @param toMake  says by an entry's number how it is made */
  constructor(
    { digests, jobs }: { readonly digests: boolean; readonly jobs: number },
    numbers: EntryNumbers,
    toMake: (number: number) => ToMake,
  ) {
    this.#digests = digests
    this.#jobs = jobs
    this.#numbers = numbers
    this.#toMake = toMake
  }

  /** All of it, by numbers, in an order in which the halves of a large object come together. */
  *of(all: Iterable<number>): Generator<number | ApartDigest> {
    for (const number of all) {
      yield number
      if (this.#isApart(this.#numbers.at(number))) yield { digestOf: number }
    }
  }

  taskOf(making: number | ApartDigest): StageTask {
    const isDigest = typeof making !== 'number'
    const toMake = this.#toMake(isDigest ? making.digestOf : making)
    const { planned, image } = toMake
    const { entry, isInNewDirectory } = planned
    return {
      kind: isDigest ? 'digest' : 'copy',
      image,
      directory: parentName(entry.name),
      name: baseName(entry.name),
      stagedDirectory: isDigest ? '' : toMake.stagedDirectory,
      stagedName: isDigest ? '' : toMake.stagedComponent,
      stat: entry.stat,
      isPrivate: isInNewDirectory,
      digests: isDigest || (this.#isDigested(toMake) && !this.#isApart(toMake)),
      identifies: !isInNewDirectory,
    }
  }

  #isDigested({ planned: { entry, from } }: Pick<ToMake, 'planned'>): boolean {
    return this.#digests && entry.type === 'file' && from.image.digestOf(entry.name) === undefined
  }

  #isApart(one: Pick<ToMake, 'planned'>): boolean {
    return this.#jobs > 1 && sizeOf(one.planned.entry) >= largeFile && this.#isDigested(one)
  }
}
