// Further threads for a synchronous engine: each does its share of some work while the engine does its own, and the
// engine waits for them without returning to its event loop.
//
// Their answers come through message ports, which can be read without an event loop; one that has not begun when the
// work is over is not waited for.

import { existsSync, readlinkSync } from 'node:fs'
import { basename } from 'node:path'
import { MessageChannel, type MessagePort, receiveMessageOnPort, type Worker } from 'node:worker_threads'
import type { CancelFlag } from './cancel.ts'
import { type ErrorClass, type PackedError, unpackError } from './engineErrors.ts'
import type { EngineCall, EngineMessage } from './engineMessages.ts'
import { engineWorker, startWorker, waitUntilLoaded } from './engineWorker.ts'

/** States of a share, in shared memory. */
const state = { waiting: 0, begun: 1, tooLate: 2 }
/** Nothing is lost by looking again: a thread that dies while it works can then be told from one that is slow. */
const lookAgainMs = 100

/** Of what a share makes nearly nothing lives long: by itself the runtime lets 48 MB of it gather in each thread. */
const limits = { maxYoungGenerationSizeMb: 12 }

/** What a share is asked. */
export interface SharedWork {
  /** The engine's. */
  readonly name: string
  readonly cancel: CancelFlag
  /** Classes of errors that keep their class on the way here. */
  readonly errors: readonly ErrorClass[]
}

interface Share {
  readonly thread: Worker
  /** What the thread is doing; undefined between two pieces of work. */
  current: { readonly port: MessagePort; readonly state: Int32Array } | undefined
}

/** What else stands in the memory of a share's state: which task of the process has begun it; 0 where nobody knows. */
const taskIndex = 1

/** Threads that help one engine. */
export class EngineShares {
  readonly #work: SharedWork
  readonly #shares: Share[]

  /** Starts threads; they do not keep the process alive. */
  constructor(work: SharedWork, count: number, module: URL = engineWorker) {
    this.#work = work
    this.#shares = Array.from({ length: count }, () => {
      const thread = startWorker(module, work.name, limits)
      thread.unref()
      thread.on('error', () => {}) // what it has to say comes through its port
      return { thread, current: undefined }
    })
  }

  /**
   * Gives every thread the same argument.
   *
   * @param name  the engine's, where it is another than the one that the threads were started for
   */
  begin(argument: unknown, name: string = this.#work.name): void {
    const { cancel } = this.#work
    for (const share of this.#shares) {
      const { port1, port2 } = new MessageChannel()
      const shared = new SharedArrayBuffer(8)
      share.current = { port: port1, state: new Int32Array(shared) }
      const call: EngineCall = {
        name,
        argument,
        cancel: cancel.shared,
        observed: false,
        share: { port: port2, state: shared },
      }
      share.thread.postMessage(call, [port2])
    }
  }

  /**
   * Waits for every thread that has begun.
   *
   * @param whileWaiting  called every now and then
   * @returns their results; those that came too late have none
   * @throws the first error of a thread
   */
  finish<Result>(whileWaiting: () => void): Result[] {
    const messages = this.#shares.flatMap((share) => this.#answerOf(share, whileWaiting) ?? [])
    for (const message of messages) if (message.kind === 'error') throw this.#errorOf(message.error)
    return messages.flatMap((message) => (message.kind === 'result' ? [message.result as Result] : []))
  }

  #answerOf(share: Share, whileWaiting: () => void): EngineMessage | undefined {
    const { current } = share
    if (current === undefined) return undefined
    share.current = undefined // it answers once
    const { port, state: flag } = current
    if (Atomics.compareExchange(flag, 0, state.waiting, state.tooLate) === state.waiting) return undefined
    for (let isThere = true; ; ) {
      const received = receiveMessageOnPort(port) as { message: EngineMessage } | undefined
      if (received !== undefined) {
        port.close()
        return received.message
      }
      if (!isThere) throw this.#lost()
      isThere = Atomics.wait(flag, 0, state.begun, lookAgainMs) !== 'timed-out' || hasTask(flag)
      this.#work.cancel.look()
      whileWaiting()
    }
  }

  /** @throws {Error} when a thread that has begun is not there any more: one that runs out of memory ends without a word */
  demandAll(): void {
    for (const { current } of this.#shares) if (current !== undefined && !hasTask(current.state)) throw this.#lost()
  }

  #lost(): Error {
    return new Error(`a thread that helped with ${this.#work.name} ended without an answer`)
  }

  #errorOf(packed: PackedError): Error {
    return unpackError(packed, this.#work.errors)
  }

  /** Ends the threads. */
  end(): void {
    for (const { thread } of this.#shares) {
      waitUntilLoaded(thread)
      void thread.terminate()
    }
  }
}

/** What makes a call one share of some work: where the answer goes, and what says that it was begun. */
export interface ShareCall {
  readonly port: MessagePort
  readonly state: SharedArrayBuffer
}

/** For the thread: whether the share may still be begun. */
export function mayBegin(share: ShareCall): boolean {
  const flags = new Int32Array(share.state)
  Atomics.store(flags, taskIndex, ownTask())
  return Atomics.compareExchange(flags, 0, state.waiting, state.begun) === state.waiting
}

/** proc(5): /proc/thread-self leads to `<process>/task/<thread>`. */
function ownTask(): number {
  try {
    return Number(basename(readlinkSync('/proc/thread-self')))
  } catch {
    return 0
  }
}

/** Whether the thread that has begun a share still runs; its events would need an event loop to be heard. */
function hasTask(flags: Int32Array): boolean {
  const task = Atomics.load(flags, taskIndex)
  return task === 0 || existsSync(`/proc/self/task/${task}`)
}

/** For the thread: gives its answer. */
export function answerShare({ port, state: shared }: ShareCall, message: EngineMessage): void {
  port.postMessage(message)
  port.close()
  const flag = new Int32Array(shared)
  Atomics.store(flag, 0, state.tooLate)
  Atomics.notify(flag, 0)
}
