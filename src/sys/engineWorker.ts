// Starts the threads that engines run in.

import { extname } from 'node:path'
import { type ResourceLimits, Worker } from 'node:worker_threads'

/** The module that serves the table of all engines: it stands above the layers, since it knows them all. Source or bundle, as this is. */
export const engineWorker: URL = new URL(`../engineWorker${extname(import.meta.url)}`, import.meta.url)

/** What a thread is started with. */
export interface WorkerStart {
  /** Loaded before the first call. */
  readonly firstEngine: string | undefined
  /** A number that becomes 1 when the thread has opened its kernel, or failed to. */
  readonly loaded: SharedArrayBuffer
}

/** Longer than any machine takes: a thread that died on its way is not waited for for ever. */
const longestLoadMs = 5000
const loading = new Map<Worker, Int32Array>()

/**
 * Starts a thread, and lets it load an engine before the first call.
 *
 * The process may end at any time, but waits for threads that are loading koffi: one that is ended in the middle of that
 * takes the process with it (SIGABRT: koffi 3.3 throws while its isolate is being terminated, which Node-API calls fatal).
 */
export function startWorker(module: URL, firstEngine?: string, resourceLimits: ResourceLimits = {}): Worker {
  const start: WorkerStart = { firstEngine, loaded: new SharedArrayBuffer(4) }
  // No flags of the main program: some of them (--input-type) a thread refuses.
  const thread = new Worker(module, { execArgv: [], workerData: start, resourceLimits })
  if (loading.size === 0) process.once('exit', waitForAll)
  loading.set(thread, new Int32Array(start.loaded))
  thread.once('exit', () => forget(thread))
  return thread
}

function forget(thread: Worker): void {
  loading.delete(thread)
  if (loading.size === 0) process.off('exit', waitForAll)
}

/** Waits until a thread may be ended. */
export function waitUntilLoaded(thread: Worker): void {
  const loaded = loading.get(thread)
  if (loaded !== undefined) Atomics.wait(loaded, 0, 0, longestLoadMs)
  forget(thread)
}

function waitForAll(): void {
  for (const thread of [...loading.keys()]) waitUntilLoaded(thread)
}

/** For the thread: tells that it may be ended. */
export function tellLoaded({ loaded }: WorkerStart): void {
  const flag = new Int32Array(loaded)
  Atomics.store(flag, 0, 1)
  Atomics.notify(flag, 0)
}
