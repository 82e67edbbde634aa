// Starts the threads that engines run in.

import { Worker } from 'node:worker_threads'

const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'

/** The module that serves the table of all engines: it stands above the layers, since it knows them all. */
export const engineWorker: URL = new URL(`../engineWorker.${extension}`, import.meta.url)

/** Starts a thread, and lets it load an engine before the first call. */
export function startWorker(module: URL, firstEngine?: string): Worker {
  // No flags of the main program: some of them (--input-type) a thread refuses.
  return new Worker(module, { execArgv: [], workerData: firstEngine })
}
