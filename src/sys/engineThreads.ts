// Worker threads that engines run in: taken for a call, kept for the next one.

import { availableParallelism } from 'node:os'
import type { Worker } from 'node:worker_threads'
import { CancelFlag, Cancelled } from './cancel.ts'
import { isObserved, publish } from './diagnostics.ts'
import { unpackError } from './engineErrors.ts'
import type { EngineCall, EngineMessage } from './engineMessages.ts'
import type { EngineOptions } from './engineThread.ts'
import { engineWorker, startWorker } from './engineWorker.ts'
import { Question } from './question.ts'

/** Threads at most; a call more waits. Not fewer than four, since a thread can be waiting for a pipe. */
const mostThreads = Math.max(4, availableParallelism())
/** Threads that are kept for the next call. They do not keep the process alive. */
const mostIdle = 2

/** Threads of one kind, and the calls that wait for them. */
export class EngineThreads {
  readonly #module: URL
  readonly #idle: Worker[] = []
  readonly #waiting: (() => void)[] = []
  #count = 0

  /** @param module  what the threads run: it serves a table of engines */
  constructor(module: URL = engineWorker) {
    this.#module = module
  }

  /** See callEngine. */
  async call<Result>(name: string, argument: unknown, options: EngineOptions = {}): Promise<Result> {
    const { signal } = options
    signal?.throwIfAborted()
    const thread = await this.#take(signal)
    const cancel = new CancelFlag()
    const raise = () => cancel.raise()
    signal?.addEventListener('abort', raise, { once: true })
    try {
      signal?.throwIfAborted() // it may have been while no thread was at hand, be that for a tick
      const question = options.onQuestion && new Question()
      const call: EngineCall = {
        name,
        argument,
        cancel: cancel.shared,
        observed: isObserved('copy', 'decline'),
        ...(question && { answer: question.shared }),
      }
      return (await answerOf(thread, call, options, { question, cancel })) as Result
    } catch (error) {
      if (error instanceof Cancelled && signal?.aborted) throw signal.reason
      throw error
    } finally {
      signal?.removeEventListener('abort', raise)
      this.#release(thread)
    }
  }

  async #take(signal: AbortSignal | undefined): Promise<Worker> {
    while (this.#idle.length === 0 && this.#count >= mostThreads) await this.#turn(signal)
    return this.#idle.pop() ?? this.#start()
  }

  /** Waits until a thread is free. */
  #turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const wake = () => {
        signal?.removeEventListener('abort', leave)
        resolve()
      }
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(wake), 1)
        reject(signal?.reason)
      }
      signal?.addEventListener('abort', leave, { once: true })
      this.#waiting.push(wake)
    })
  }

  #start(): Worker {
    const thread = startWorker(this.#module)
    this.#count++
    thread.once('exit', () => {
      this.#count--
      const index = this.#idle.indexOf(thread)
      if (index >= 0) this.#idle.splice(index, 1)
      this.#waiting.shift()?.()
    })
    return thread
  }

  #release(thread: Worker): void {
    const ended = thread.threadId < 0
    if (ended) return
    thread.unref()
    if (this.#idle.length >= mostIdle && this.#waiting.length === 0) {
      void thread.terminate()
      return
    }
    this.#idle.push(thread)
    this.#waiting.shift()?.()
  }
}

function answerOf(
  thread: Worker,
  call: EngineCall,
  { onProgress, onQuestion, errors }: EngineOptions,
  { question, cancel }: { readonly question: Question | undefined; readonly cancel: CancelFlag },
): Promise<unknown> {
  let refusal: { reason: unknown } | undefined
  const giveUp = (reason: unknown) => {
    refusal ??= { reason }
    cancel.raise()
  }
  const answer = async (asked: unknown) => {
    try {
      question?.answer((await onQuestion?.(asked)) === true)
    } catch (reason) {
      giveUp(reason)
    }
  }
  const tell = (progress: unknown) => {
    try {
      if (refusal === undefined) onProgress?.(progress)
    } catch (reason) {
      giveUp(reason)
    }
  }
  return new Promise((resolve, reject) => {
    const listen = (message: EngineMessage) => {
      if (message.kind === 'progress') return tell(message.progress)
      if (message.kind === 'question') return void answer(message.question)
      if (message.kind === 'facts') return message.facts.forEach(([kind, fact]) => void publish(kind, fact))
      stop()
      if (message.kind === 'result') return resolve(message.result)
      const error = unpackError(message.error, errors)
      reject(refusal && error instanceof Cancelled ? refusal.reason : error)
    }
    let cause: unknown
    const remember = (error: unknown) => {
      cause = error
    }
    const fail = (code: unknown) => {
      stop()
      reject(new Error(`the thread of ${call.name} ended without an answer`, { cause: cause ?? code }))
    }
    const stop = () => {
      thread.off('message', listen).off('error', remember).off('exit', fail)
    }
    thread.on('message', listen).on('error', remember).on('exit', fail)
    thread.ref()
    thread.postMessage(call)
  })
}
