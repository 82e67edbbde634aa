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

/** The tasks that copy objects, each with the object that it is for. */
export function tasksOf(
  all: readonly ToMake[],
  { digests, jobs }: { readonly digests: boolean; readonly jobs: number },
): { readonly tasks: readonly StageTask[]; readonly owners: readonly ToMake[] } {
  const tasks: StageTask[] = []
  const owners: ToMake[] = []
  for (const toMake of all) {
    const { entry, from } = toMake.planned
    const isDigested = digests && entry.type === 'file' && from.image.digestOf(entry.name) === undefined
    const isApart = isDigested && jobs > 1 && entry.size >= largeFile
    tasks.push(copyTask(toMake, isDigested && !isApart))
    owners.push(toMake)
    if (!isApart) continue
    tasks.push({ ...copyTask(toMake, true), kind: 'digest', stagedDirectory: '', stagedName: '' })
    owners.push(toMake)
  }
  return { tasks, owners }
}

function copyTask({ planned, image, stagedName }: ToMake, isDigested: boolean): StageTask {
  const { entry, isInNewDirectory } = planned
  return {
    kind: 'copy',
    image,
    directory: parentName(entry.name),
    name: baseName(entry.name),
    stagedDirectory: parentName(stagedName),
    stagedName: baseName(stagedName),
    stat: entry.stat,
    isPrivate: isInNewDirectory,
    digests: isDigested,
    identifies: !isInNewDirectory,
  }
}
