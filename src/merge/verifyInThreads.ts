// Verifying in several threads: each takes entries until there are none, and their answers are put in order.

import { toName } from '../sys/index.ts'
import { RootChangedError } from './errors.ts'
import { jobsOf } from './jobs.ts'
import type { MergeProgress, VerifiedEntry, VerifyOptions } from './options.ts'
import type { VerifiedShare, VerifyShare } from './verifyEngine.ts'

interface Watching {
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: MergeProgress) => void
}

/** How a thread is started on its share. */
export type StartShare = (
  share: VerifyShare & Required<Pick<Watching, 'signal' | 'onProgress'>>,
) => Promise<VerifiedShare>

/** Runs as many shares as there are jobs. The first that fails ends the others. */
export async function verifyInThreads(start: StartShare, given: VerifyOptions & Watching): Promise<VerifiedEntry[]> {
  const { signal, onProgress, jobs: wanted, ...options } = given
  const jobs = jobsOf(wanted)
  const failed = new AbortController()
  const either = AbortSignal.any(signal === undefined ? [failed.signal] : [failed.signal, signal])
  const progress = new SummedProgress(onProgress)
  const taken = new SharedArrayBuffer(4)
  const shares = Array.from({ length: jobs }, (_, job) =>
    start({ ...options, taken, signal: either, onProgress: (told) => progress.take(job, told) }),
  )
  try {
    const answers = await Promise.all(shares)
    if (new Set(answers.map(({ records }) => records)).size > 1) throw changedWhileVerified(given)
    const found = answers.flatMap((answer) => answer.found)
    return found.sort((one, other) => one.place - other.place).map(({ verified }) => verified)
  } catch (error) {
    failed.abort(error)
    await Promise.allSettled(shares)
    throw error
  }
}

/** The error of verifying a root that did not hold still. */
export function changedWhileVerified({ root }: VerifyOptions): RootChangedError {
  const doing = { doing: 'it was verified', outcome: 'What differs could not be told.' }
  return new RootChangedError(toName(root), 'was changed by another transaction', doing)
}

/** What several threads have done, as if it were one. */
class SummedProgress {
  readonly #told = new Map<number, MergeProgress>()
  readonly #tell: ((progress: MergeProgress) => void) | undefined

  constructor(tell: ((progress: MergeProgress) => void) | undefined) {
    this.#tell = tell
  }

  take(job: number, progress: MergeProgress): void {
    this.#told.set(job, progress)
    const sum = (key: 'entries' | 'bytes') => [...this.#told.values()].reduce((total, each) => total + each[key], 0)
    this.#tell?.({ phase: progress.phase, entries: sum('entries'), bytes: sum('bytes') })
  }
}
