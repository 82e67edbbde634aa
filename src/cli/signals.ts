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

/** What looks for signals, while an operation can be cancelled. */
let lookAtThem = () => {}

/** Cancels the operation that runs, if a signal has come: the engine asks it while it works in this thread. */
export function lookAtSignals(): void {
  lookAtThem()
}

/** While the event loop turns, as it does where threads work or a pipe is waited for. */
const lookEvery = 20

/** Runs an operation that the first of these signals cancels; the next one has its default effect. */
export async function cancellable<T>(operation: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const { SignalWatch } = await import('../sys/index.ts')
  const controller = new AbortController()
  const watch = new SignalWatch(['SIGINT', 'SIGTERM', 'SIGHUP'])
  const cancel = (signal: NodeJS.Signals | undefined) => {
    if (signal === undefined || controller.signal.aborted) return
    say(`rootmerge: ${signal}: undoing … (again: ends at once, the next run recovers)`)
    controller.abort(new Interrupted(signal))
  }
  lookAtThem = () => cancel(watch.caught())
  const timer = setInterval(lookAtThem, lookEvery)
  try {
    const result = await operation(controller.signal)
    lookAtThem()
    if (controller.signal.aborted) say('rootmerge: it came too late: everything was done already')
    return result
  } catch (error) {
    // Whatever it was doing when it was told to stop, such as waiting for a lock: that it stopped is the answer.
    const isPending = (error as { code?: unknown }).code === 'ERR_ROOTMERGE_RECOVERY_PENDING'
    throw controller.signal.aborted && !isPending ? controller.signal.reason : error
  } finally {
    clearInterval(timer)
    lookAtThem = () => {}
    cancel(watch.close())
  }
}
