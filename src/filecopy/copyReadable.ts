// A Readable, or anything else that gives chunks, as the source of a copy: fed through a pipe to the engine's thread,
// so that windows, holes and cancelling are the same as for any other pipe.

import { type Fd, writeToPipe } from '../sys/index.ts'
import { type CopyFileOptions, copyFile, kernelHere } from './engine.ts'
import type { CopyReport } from './report.ts'

/**
 * Copies what `source` gives to the file `target`: as copyFile, from a pipe.
 *
 * After an error, of the source too, a target that was made is gone again. The source is ended when the copy ends
 * before it does.
 *
 * @throws what the source threw; else as copyFile
 */
export async function copyReadable(
  source: AsyncIterable<Uint8Array | string>,
  target: string | Buffer,
  options: CopyFileOptions = {},
): Promise<CopyReport> {
  const kernel = kernelHere()
  const [reading, writing] = kernel.pipe()
  const failure = new AbortController()
  const signal = options.signal ? AbortSignal.any([options.signal, failure.signal]) : failure.signal
  const copying = copyFile(reading, target, { ...options, signal }).finally(() => kernel.close(reading))
  copying.catch(() => {}) // awaited below, but maybe not before it is rejected
  try {
    await feed(source, writing, copying)
  } catch (error) {
    failure.abort(error)
  }
  // Closed only now: the end of the pipe means that the source has given everything.
  if (failure.signal.aborted) return copying.finally(() => kernel.close(writing))
  kernel.close(writing)
  return copying
}

/** Writes all of the source into the pipe, or as much as is wanted. */
async function feed(source: AsyncIterable<Uint8Array | string>, pipe: Fd, copying: Promise<unknown>): Promise<void> {
  const iterator = source[Symbol.asyncIterator]()
  const next = until(copying, () => iterator.next())
  for (;;) {
    const step = await next()
    if (step?.done) return
    if (step === undefined || !(await written(pipe, step.value))) {
      end(source, iterator)
      return
    }
  }
}

/**
 * A function that answers as `ask` does, or with undefined once `end` is settled.
 *
 * One listener to `end` for all answers: Promise.race would add one for each, which keeps every answer, so that all of
 * a stream stayed in memory.
 */
function until<T>(end: Promise<unknown>, ask: () => Promise<T>): () => Promise<T | undefined> {
  let hasEnded = false
  let giveUp = () => {}
  const settled = () => {
    hasEnded = true
    giveUp()
  }
  end.then(settled, settled)
  return () =>
    new Promise<T | undefined>((resolve, reject) => {
      giveUp = () => resolve(undefined)
      if (hasEnded) giveUp()
      else ask().then(resolve, reject)
    })
}

/** Ends a source before it ends by itself: a Readable that waits for something hears only of destroy(). */
function end(source: AsyncIterable<unknown>, iterator: AsyncIterator<unknown>): void {
  if ('destroy' in source && typeof source.destroy === 'function') source.destroy()
  // Not awaited: a generator that waits for something answers only then.
  iterator.return?.().catch(() => {})
}

/** @returns false once nobody reads any more */
async function written(pipe: Fd, chunk: Uint8Array | string): Promise<boolean> {
  try {
    await writeToPipe(pipe, Buffer.from(chunk as string))
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EPIPE') return false
    throw error
  }
}
