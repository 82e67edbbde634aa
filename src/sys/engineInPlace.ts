// Runs engines in the thread that calls them, where no event loop has to be kept free: a thread takes longer to start than
// most of the command's answers take. What an engine is given and what it returns are the same as in a thread.

import { Cancelled, WatchedFlag } from './cancel.ts'
import { factsOfCopy, isObserved, publish } from './diagnostics.ts'
import { type EngineTable, loadEngine } from './engineTable.ts'
import { callEnginesBy, type EngineContext, type EngineOptions, engineContext } from './engineThread.ts'
import type { EngineThreads } from './engineThreads.ts'
import type { Kernel } from './kernel.ts'
import { openKernel } from './linux.ts'

/**
 * Lets engines run in the calling thread from now on: for a process that has nothing else to do, such as the command.
 *
 * @param look  called every now and then while an engine works, to abort its signal if that has to be
 */
export function runEnginesHere(table: EngineTable, look: () => void): void {
  callEnginesBy((threads) => new EngineInPlace(table, look, threads))
}

/** One engine at a time in this thread, others in threads. */
export class EngineInPlace {
  readonly #table: EngineTable
  readonly #look: () => void
  readonly #threads: EngineThreads
  #kernel: Promise<Kernel> | undefined
  #isBusy = false

  constructor(table: EngineTable, look: () => void, threads: EngineThreads) {
    this.#table = table
    this.#look = look
    this.#threads = threads
  }

  /** See callEngine. An engine that asks questions sleeps until they are answered: not in the thread that answers. */
  async call<Result>(name: string, argument: unknown, options: EngineOptions = {}): Promise<Result> {
    if (this.#isBusy || options.onQuestion !== undefined) return this.#threads.call(name, argument, options)
    options.signal?.throwIfAborted()
    this.#isBusy = true
    try {
      return (await this.#run(name, argument, options)) as Result
    } catch (error) {
      if (error instanceof Cancelled && options.signal?.aborted) throw options.signal.reason
      throw error
    } finally {
      this.#isBusy = false
    }
  }

  async #run(name: string, argument: unknown, { signal, onProgress }: EngineOptions): Promise<unknown> {
    const cancel = new WatchedFlag(this.#look)
    const raise = () => cancel.raise()
    signal?.addEventListener('abort', raise, { once: true })
    try {
      this.#kernel ??= openKernel()
      const [engine, kernel] = await Promise.all([loadEngine(this.#table, name), this.#kernel])
      const context = engineContext(kernel, cancel, (progress) => onProgress?.(progress), {
        hasThread: true,
        ...(isObserved('copy', 'decline') && { tellCopy }),
      })
      return structuredClone(await engine(context, structuredClone(argument)))
    } finally {
      signal?.removeEventListener('abort', raise)
    }
  }
}

const tellCopy: NonNullable<EngineContext['tellCopy']> = (name, copy) => {
  for (const [kind, fact] of factsOfCopy(name, copy)) publish(kind, fact)
}
