// How many threads an operation has.

import { availableParallelism } from 'node:os'
import { InvalidArgumentError } from './errors.ts'

/** More threads than these only wait for the disk. */
const mostByDefault = 4
/** All of them are started: of a billion there was no end within ten minutes. */
const mostAllowed = 256

/** How many threads, by an option: as many as there are processors, and not more than four, by default. @throws {InvalidArgumentError} */
export function jobsOf(jobs: number = Math.min(mostByDefault, availableParallelism())): number {
  if (Number.isInteger(jobs) && jobs >= 1 && jobs <= mostAllowed) return jobs
  throw new InvalidArgumentError(`${jobs} is not a number of threads`, { hint: `From 1 to ${mostAllowed}.` })
}
