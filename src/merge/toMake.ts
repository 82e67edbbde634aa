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

/** Staging an object: all of it, or the digest of its payload alone, while another thread copies that. */
export interface MakingTask {
  readonly toMake: ToMake
  readonly kind: 'copy' | 'digest'
  readonly digests: boolean
}

/** The tasks that stage objects; large files are digested by a task of their own. */
export function makingTasks(
  all: readonly ToMake[],
  { digests, jobs }: { readonly digests: boolean; readonly jobs: number },
): MakingTask[] {
  return all.flatMap((toMake) => {
    const { entry, from } = toMake.planned
    const isDigested = digests && entry.type === 'file' && from.image.digestOf(entry.name) === undefined
    const isApart = isDigested && jobs > 1 && entry.size >= largeFile
    const copy: MakingTask = { toMake, kind: 'copy', digests: isDigested && !isApart }
    return isApart ? [copy, { toMake, kind: 'digest', digests: true }] : copy
  })
}

/** A making task for threads. */
export function stageTaskOf({ toMake, kind, digests }: MakingTask): StageTask {
  const { planned, image, stagedName } = toMake
  const { entry, isInNewDirectory } = planned
  return {
    kind,
    image,
    directory: parentName(entry.name),
    name: baseName(entry.name),
    stagedDirectory: kind === 'digest' ? '' : parentName(stagedName),
    stagedName: kind === 'digest' ? '' : baseName(stagedName),
    stat: entry.stat,
    isPrivate: isInNewDirectory,
    digests,
    identifies: !isInNewDirectory,
  }
}
