// Runs an operation as a person or a program watches it: progress, verbose facts, signals.

import { type OutputOptions, say } from './output.ts'
import { makeProgressView, type PhaseTimes, type Progress } from './progress.ts'
import { cancellable } from './signals.ts'

/** What an operation is given. */
export interface Watching {
  readonly signal: AbortSignal
  readonly onProgress: (progress: Progress) => void
}

/** What an operation returned, and how long its phases took. */
export interface Watched<T> {
  readonly report: T
  readonly phases: PhaseTimes
}

/** Runs an operation that the first Ctrl-C undoes, and shows how far it is. */
export async function watched<T>(
  flags: OutputOptions,
  operation: (watching: Watching) => Promise<T>,
): Promise<Watched<T>> {
  const view = await makeProgressView(flags)
  const stopTelling = flags.verbose && !flags.json ? await tellCopies() : () => {}
  let phases: PhaseTimes = {}
  try {
    const report = await cancellable((signal) =>
      operation({ signal, onProgress: (progress) => view.show(progress) }).finally(() => {
        phases = view.end()
      }),
    )
    return { report, phases }
  } finally {
    stopTelling()
  }
}

/** Says of each file by which method it was copied, and why the methods before that were not used. */
async function tellCopies(): Promise<() => void> {
  const { channels } = await import('../sys/index.ts')
  const tell = (fact: unknown) => say(describeCopy(fact as CopyFact))
  channels.copy.subscribe(tell)
  return () => void channels.copy.unsubscribe(tell)
}

interface CopyFact {
  readonly name: string
  readonly bytesByMethod: Readonly<Record<string, number>>
  readonly declined: readonly { readonly method: string; readonly code: string }[]
}

function describeCopy({ name, bytesByMethod, declined }: CopyFact): string {
  const methods = Object.keys(bytesByMethod)
  const why = declined.map(({ method, code }) => `${method} declined: ${code}`)
  return `${name}: ${methods.join(', ') || 'nothing to copy'}${why.length > 0 ? ` (${why.join(', ')})` : ''}`
}
