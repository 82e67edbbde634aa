// Ctrl-C, SIGTERM and SIGHUP undo what is running; a second one ends the process by the default handler.

import { constants } from 'node:os'

/** Why an operation was cancelled. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted'
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
  }
  for (const signal of signals) process.on(signal, cancel)
  try {
    return await operation(controller.signal)
  } finally {
    stopListening()
  }
}
