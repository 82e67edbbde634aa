// How much room the journal will take, so that it is made before anything is staged: about what is really written, since
// a disk that is nearly full need not hold more.

import type { Name } from '../sys/index.ts'
import { entriesOf, type Plan } from './plan.ts'
import { changing } from './removalSteps.ts'

/** Bytes of a record beside its names, as they were measured. */
const recordBytes = { directory: 200, member: 41, place: 190, replace: 305, taking: 70 } as const

/** A step whose names are not known yet. */
const usualStepBytes = 384

/** About as many bytes as some steps take. */
export function bytesOfSteps(count: number): number {
  return count * usualStepBytes
}

/** About as many bytes as a plan takes, in which names change in some directories. */
export function bytesOfPlan(
  { packages, removals }: Pick<Plan, 'packages' | 'removals'>,
  directories: readonly Name[],
): number {
  let bytes = 0
  for (const directory of directories) bytes += recordBytes.directory + directory.length
  for (const { entry, fate, from, isInNewDirectory, live } of entriesOf({ packages })) {
    if (!changing.has(fate)) continue
    const name = entry.name.length - entry.name.lastIndexOf('/') - 1
    if (isInNewDirectory) bytes += recordBytes.member + name
    else bytes += (live === undefined ? recordBytes.place : recordBytes.replace) + name
    if (from.image.mode === 'move' && !isInNewDirectory) bytes += recordBytes.taking + name
  }
  for (const { liveName } of removals) bytes += recordBytes.replace + liveName.length - liveName.lastIndexOf('/')
  return bytes
}
