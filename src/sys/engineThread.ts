// Runs the synchronous engine in worker threads, so that it never holds up the caller's event loop.

import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { CancelFlag, Cancelled } from './cancel.ts'
import { type CopyFacts, type Fact, type FactKind, isObserved, publish } from './diagnostics.ts'
import { type ErrorClass, type PackedError, unpackError } from './engineErrors.ts'
import type { ShareCall } from './engineShares.ts'
import { retryInterrupted } from './interrupts.ts'
import type { Kernel } from './kernel.ts'
import { Question } from './question.ts'

/** What an engine function works with, in whichever thread it runs. */
export interface EngineContext {
  /** Makes interrupted calls again, after a look at `cancel`. */
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
  readonly onProgress?: (progress: unknown) => void
  /** Answers the engine's questions; one that rejects is a no, and then the call rejects with its reason. */
  readonly onQuestion?: (question: unknown) => boolean | Promise<boolean>
  /** Classes of errors that keep their class on the way here, beside the built-in ones and SyscallError. */
  readonly errors?: readonly ErrorClass[]
}

/** What the thread is sent. */
export interface EngineCall {
  readonly module: string
  readonly name: string
  readonly argument: unknown
  readonly cancel: SharedArrayBuffer
  /** Where answers are put; absent where nobody answers. */
  readonly answer?: SharedArrayBuffer
  /** Whether somebody listens to facts about copies. */
  readonly observed: boolean
  /** Present when this is one thread's share of another engine's work. */
  readonly share?: ShareCall
}

/** What the thread sends back. */
export type EngineMessage =
  | { readonly kind: 'progress'; readonly progress: unknown }
  | { readonly kind: 'question'; readonly question: unknown }
  | { readonly kind: 'facts'; readonly facts: readonly [FactKind, Fact][] }
  | { readonly kind: 'result'; readonly result: unknown }
  | { readonly kind: 'error'; readonly error: PackedError }

/** Threads at most; a call more waits. Not fewer than four, since a thread can be waiting for a pipe. */
const mostThreads = Math.max(4, availableParallelism())
/** Threads that are kept for the next call. They do not keep the process alive. */
const mostIdle = 2

const idle: Worker[] = []
const waiting: (() => void)[] = []
let threads = 0

/**
 * Calls `name(context, argument)` of `module` in a worker thread.
 *
 * Buffers in the argument and in the result arrive as Uint8Array. An engine that ends before it has seen that the
 * signal was aborted is done, and its result counts.
 *
 * @param module  the URL of a compiled module, usually `new URL(import.meta.url)`
 * @throws {Error} the engine's own, with class, fields, cause and stack
 */
export async function callEngine<Result>(
  module: URL,
  name: string,
  argument: unknown,
  options: EngineOptions = {},
): Promise<Result> {
  const { signal } = options
  signal?.throwIfAborted()
  const thread = await takeThread(signal)
  const cancel = new CancelFlag()
  const raise = () => cancel.raise()
  signal?.addEventListener('abort', raise, { once: true })
  try {
    const question = options.onQuestion && new Question()
    const call: EngineCall = {
      module: module.href,
      name,
      argument,
      cancel: cancel.shared,
      observed: isObserved('copy', 'decline'),
      ...(question && { answer: question.shared }),
    }
    return (await answerOf(thread, call, options, question)) as Result
  } catch (error) {
    if (error instanceof Cancelled && signal?.aborted) throw signal.reason
    throw error
  } finally {
    signal?.removeEventListener('abort', raise)
    release(thread)
  }
}

/** The context of an engine that is called in place, in the thread at hand. */
export function engineContext(
  kernel: Kernel,
  cancel: CancelFlag = new CancelFlag(),
  report: EngineContext['report'] = () => {},
  more: Pick<EngineContext, 'ask' | 'hasThread' | 'tellCopy'> = {},
): EngineContext {
  return { kernel: retryInterrupted(kernel, () => cancel.check()), cancel, report, ...more }
}

/** Starts a thread ahead of its first call, and lets it load a module: saves the time for whatever else is done first. */
export function prepareThread(module: URL): void {
  const thread = start(module)
  thread.unref()
  idle.push(thread)
}

async function takeThread(signal: AbortSignal | undefined): Promise<Worker> {
  while (idle.length === 0 && threads >= mostThreads) await turn(signal)
  return idle.pop() ?? start()
}

/** Waits until a thread is free. */
function turn(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const wake = () => {
      signal?.removeEventListener('abort', leave)
      resolve()
    }
    const leave = () => {
      waiting.splice(waiting.indexOf(wake), 1)
      reject(signal?.reason)
    }
    signal?.addEventListener('abort', leave, { once: true })
    waiting.push(wake)
  })
}

function start(preload?: URL): Worker {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  // No flags of the main program: some of them (--input-type) a thread refuses.
  const thread = new Worker(new URL(`./engineWorker.${extension}`, import.meta.url), {
    execArgv: [],
    workerData: preload?.href,
  })
  threads++
  thread.once('exit', () => {
    threads--
    const index = idle.indexOf(thread)
    if (index >= 0) idle.splice(index, 1)
    waiting.shift()?.()
  })
  return thread
}

function release(thread: Worker): void {
  const ended = thread.threadId < 0
  if (ended) return
  thread.unref()
  if (idle.length >= mostIdle && waiting.length === 0) {
    void thread.terminate()
    return
  }
  idle.push(thread)
  waiting.shift()?.()
}

function answerOf(
  thread: Worker,
  call: EngineCall,
  options: EngineOptions,
  question: Question | undefined,
): Promise<unknown> {
  let refusal: { reason: unknown } | undefined
  const answer = async (asked: unknown) => {
    try {
      question?.answer((await options.onQuestion?.(asked)) === true)
    } catch (reason) {
      refusal = { reason }
      question?.answer(false)
    }
  }
  return new Promise((resolve, reject) => {
    const listen = (message: EngineMessage) => {
      if (message.kind === 'progress') return options.onProgress?.(message.progress)
      if (message.kind === 'question') return void answer(message.question)
      if (message.kind === 'facts') return message.facts.forEach(([kind, fact]) => void publish(kind, fact))
      stop()
      if (message.kind === 'result') resolve(message.result)
      else reject(refusal ? refusal.reason : unpackError(message.error, options.errors))
    }
    const fail = (cause: unknown) => {
      stop()
      reject(new Error(`the thread of ${call.name} ended without an answer`, { cause }))
    }
    const stop = () => {
      thread.off('message', listen).off('error', fail).off('exit', fail)
    }
    thread.on('message', listen).on('error', fail).on('exit', fail)
    thread.ref()
    thread.postMessage(call)
  })
}
