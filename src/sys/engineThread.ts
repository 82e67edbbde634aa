// Calls the synchronous engine so that it never holds up the caller's event loop.

import { CancelFlag } from './cancel.ts'
import type { CopyFacts } from './diagnostics.ts'
import type { ErrorClass } from './engineErrors.ts'
import { EngineThreads } from './engineThreads.ts'
import { retryInterrupted } from './interrupts.ts'
import type { Kernel } from './kernel.ts'
import { waitForLeases } from './leases.ts'

/** What an engine function works with, in whichever thread it runs. */
export interface EngineContext {
  /** Makes interrupted calls again, and waits for files that are leased, after a look at `cancel`. */
  readonly kernel: Kernel
  readonly cancel: CancelFlag
  /** Tells the caller how far it is; the value is cloned. */
  report(progress: unknown): void
  /** Asks the caller, and sleeps until it has answered; absent where nobody would answer. */
  readonly ask?: (question: unknown) => boolean
  /** Whether it has a thread of its own, and the machine's own kernel: then others may help it, and it may wait for them. */
  readonly hasThread?: boolean
  /** Tells whoever listens to the diagnostics channels how a file came over; absent while nobody does. */
  readonly tellCopy?: (name: string, copy: CopyFacts) => void
}

/** A function of the engine: synchronous, but for reading streams. Its argument and its result must be cloneable. */
export type Engine<Argument, Result> = (context: EngineContext, argument: Argument) => Result | Promise<Result>

/** What a caller can ask of a call. */
export interface EngineOptions {
  /** Aborting ends the engine at its next look at the flag, and rejects with the signal's reason. */
  readonly signal?: AbortSignal
  /** What it throws ends the engine like the signal, and is what the call rejects with. */
  readonly onProgress?: (progress: unknown) => void
  /** Answers the engine's questions; one that rejects ends the engine like the signal, with its reason. */
  readonly onQuestion?: (question: unknown) => boolean | Promise<boolean>
  /** Classes of errors that keep their class on the way here, beside the built-in ones and SyscallError. */
  readonly errors?: readonly ErrorClass[]
}

const threads = new EngineThreads()
let caller: Pick<EngineThreads, 'call'> = threads

/** Lets something else than threads run engines from now on; it is given the threads. */
export function callEnginesBy(make: (threads: EngineThreads) => Pick<EngineThreads, 'call'>): void {
  caller = make(threads)
}

/**
 * Calls the engine `name` with `argument`, in a worker thread unless runEnginesHere says otherwise.
 *
 * Buffers in the argument and in the result arrive as Uint8Array. An engine that ends before it has seen that the
 * signal was aborted is done, and its result counts.
 *
 * @param name  as the table of engines has it (src/engines.ts)
 * @throws {Error} the engine's own, with class, fields, cause and stack
 */
export function callEngine<Result>(name: string, argument: unknown, options: EngineOptions = {}): Promise<Result> {
  return caller.call(name, argument, options)
}

/** The context of an engine that is called in place, in the thread at hand. */
export function engineContext(
  kernel: Kernel,
  cancel: CancelFlag = new CancelFlag(),
  report: EngineContext['report'] = () => {},
  more: Pick<EngineContext, 'ask' | 'hasThread' | 'tellCopy'> = {},
): EngineContext {
  const check = () => cancel.check()
  return { kernel: waitForLeases(retryInterrupted(kernel, check), check), cancel, report, ...more }
}
