// Many objects moved by two threads: half as long on the clock where most of the time is the kernel's.
//
// Only where nobody can tell in which order they went: all from one directory, each under its own name. Names of one
// file follow in one thread, in their order, when all others have gone.

import { availableParallelism } from 'node:os'
import type { Name } from '../sys/index.ts'
import type { MoveProgress } from './request.ts'

/** From so many on a second thread gains more than it takes to start (bench/movefile.md). */
const worthASecondThread = 2000

/** One call of an engine that moves `sources` in their order. */
export interface ManyMoves {
  readonly sources: readonly Name[]
  /** Whether files of several names are left for later. */
  readonly leavesLinked: boolean
  readonly onProgress?: ((progress: MoveProgress) => void) | undefined
}

/** Whether moving by two threads is worthwhile and cannot be told from moving by one. */
export function canBeShared(sources: readonly Name[]): boolean {
  if (sources.length < worthASecondThread || availableParallelism() < 2) return false
  const [first = ''] = sources
  const start = first.lastIndexOf('/') + 1
  const parent = first.slice(0, start)
  const isMember = (path: Name) => path.startsWith(parent) && path.length > start && !path.includes('/', start)
  return sources.every(isMember) && new Set(sources).size === sources.length
}

/**
 * Moves all, each half in a thread of its own where that can be done.
 *
 * @param move  moves some; undefined is the answer for what was left for later
 * @returns one answer for each source, in their order
 * @throws the first error of a whole call, when no call works any more
 */
export async function moveInThreads<Answer>(
  sources: readonly Name[],
  move: (some: ManyMoves) => Promise<(Answer | undefined)[]>,
  onProgress: ManyMoves['onProgress'],
): Promise<Answer[]> {
  if (!canBeShared(sources)) return (await move({ sources, leavesLinked: false, onProgress })) as Answer[]
  const progress = onProgress && addedUp(onProgress)
  const middle = Math.ceil(sources.length / 2)
  const halves = [sources.slice(0, middle), sources.slice(middle)].map((half, part) =>
    move({ sources: half, leavesLinked: true, onProgress: progress?.(part) }),
  )
  const answers = (await allOf(halves)).flat()
  const later = sources.filter((_, index) => answers[index] === undefined)
  if (later.length === 0) return answers as Answer[]
  const last = await move({ sources: later, leavesLinked: false, onProgress: progress?.(halves.length) })
  const following = last.values()
  return answers.map((answer) => answer ?? (following.next().value as Answer))
}

/** As Promise.all, but it waits for all of them after an error too: nothing moves any more when it rejects. */
async function allOf<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(promises)
  return Promise.all(promises)
}

/** The progress of several calls as that of one. */
function addedUp(onProgress: (progress: MoveProgress) => void): (part: number) => (progress: MoveProgress) => void {
  const parts = new Map<number, MoveProgress>()
  return (part) => (progress) => {
    parts.set(part, progress)
    const sum = (what: keyof MoveProgress) => [...parts.values()].reduce((total, each) => total + each[what], 0)
    onProgress({ entries: sum('entries'), bytes: sum('bytes') })
  }
}
