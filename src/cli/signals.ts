// Ctrl-C, SIGTERM and SIGHUP undo what is running; a second one ends the process by the default handler.

import { constants } from 'node:os'
import { say } from './output.ts'

/** Why an operation was cancelled. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted'
  readonly code = 'ERR_ROOTMERGE_INTERRUPTED'
  /** The signal's number. */
  readonly number: number

  constructor(signal: NodeJS.Signals) {
    super(`interrupted by ${signal}: undone, nothing was changed`)
    this.number = constants.signals[signal]
  }
}

/** Runs an operation that the first of these signals cancels. */
export async function cancellable<T>(operation: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController()
  const signals: NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP']
  const stopListening = () => {
    for (const signal of signals) process.removeListener(signal, cancel)
  }
  const cancel = (signal: NodeJS.Signals) => {
    stopListening() // the next one has its default effect
    controller.abort(new Interrupted(signal))
    say(`rootmerge: ${signal}: undoing … (again: ends at once, the next run recovers)`)
  }
  for (const signal of signals) process.on(signal, cancel)
  try {
    const result = await operation(controller.signal)
    if (controller.signal.aborted) say('rootmerge: it came too late: everything was done already')
    return result
  } catch (error) {
    // Whatever it was doing when it was told to stop, such as waiting for a lock: that it stopped is the answer.
    const isPending = (error as { code?: unknown }).code === 'ERR_ROOTMERGE_RECOVERY_PENDING'
    throw controller.signal.aborted && !isPending ? controller.signal.reason : error
  } finally {
    stopListening()
  }
}
