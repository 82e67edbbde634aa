// What is made anew, as tasks.

import { baseName, type Name, parentName } from '../sys/index.ts'
import type { PlannedEntry } from './plan.ts'
import type { StageTask } from './stageTask.ts'

/** An object that is made anew, or taken. */
export interface ToMake {
  readonly planned: PlannedEntry
  /** Its image's number. */
  readonly image: number
  /** Its own number among all entries of the plan. */
  readonly number: number
  /** Its staging name, from the root. */
  readonly stagedName: Name
}

/** The digest of a file from this size on is a task of its own, for another thread than that which copies it. */
const largeFile = 8 * 1024 * 1024

/** The digest of a payload, taken while another thread copies it. */
export interface ApartDigest {
  readonly digestOf: ToMake
}

/** What stages objects: the objects themselves, and behind each large one its digest. */
export class Making {
  readonly #digests: boolean
  readonly #jobs: number

  constructor({ digests, jobs }: { readonly digests: boolean; readonly jobs: number }) {
    this.#digests = digests
    this.#jobs = jobs
  }

  /** All of it, in an order in which the halves of a large object come together. */
  of(all: readonly ToMake[]): readonly (ToMake | ApartDigest)[] {
    if (!all.some((toMake) => this.#isApart(toMake))) return all
    return all.flatMap((toMake) => (this.#isApart(toMake) ? [toMake, { digestOf: toMake }] : [toMake]))
  }

  taskOf(making: ToMake | ApartDigest): StageTask {
    const isDigest = 'digestOf' in making
    const toMake = isDigest ? making.digestOf : making
    const { planned, image, stagedName } = toMake
    const { entry, isInNewDirectory } = planned
    return {
      kind: isDigest ? 'digest' : 'copy',
      image,
      directory: parentName(entry.name),
      name: baseName(entry.name),
      stagedDirectory: isDigest ? '' : parentName(stagedName),
      stagedName: isDigest ? '' : baseName(stagedName),
      stat: entry.stat,
      isPrivate: isInNewDirectory,
      digests: isDigest || (this.#isDigested(toMake) && !this.#isApart(toMake)),
      identifies: !isInNewDirectory,
    }
  }

  #isDigested({ planned: { entry, from } }: ToMake): boolean {
    return this.#digests && entry.type === 'file' && from.image.digestOf(entry.name) === undefined
  }

  #isApart(toMake: ToMake): boolean {
    return this.#jobs > 1 && toMake.planned.entry.size >= largeFile && this.#isDigested(toMake)
  }
}
