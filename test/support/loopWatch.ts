// How long the event loop of this thread is held up by what runs in it, whatever else the machine is busy with.

import { readFileSync } from 'node:fs'
import { threadId } from 'node:worker_threads'

/**
 * Watches the event loop: a timer looks every millisecond how late it is, less the time that the thread was ready to
 * run and had no processor (/proc/PID/schedstat, the second number; proc(5)).
 *
 * perf_hooks' monitorEventLoopDelay cannot tell these apart: an idle loop shows 100 ms on a busy machine.
 */
export class LoopWatch {
  readonly #timer: NodeJS.Timeout
  #last: { readonly now: bigint; readonly waited: bigint }
  #longest = 0n

  /** Only of the main thread: its schedstat is the process's. */
  constructor() {
    if (threadId !== 0) throw new Error('not the main thread')
    this.#last = look()
    this.#timer = setInterval(() => this.#tick(), 1)
  }

  #tick(): void {
    const next = look()
    const held = next.now - this.#last.now - (next.waited - this.#last.waited)
    if (held > this.#longest) this.#longest = held
    this.#last = next
  }

  /** Stops watching: the longest time between two looks, in milliseconds. */
  stop(): number {
    this.#tick()
    clearInterval(this.#timer)
    return Number(this.#longest) / 1e6
  }
}

function look(): { now: bigint; waited: bigint } {
  const [, waited = '0'] = readFileSync(`/proc/${process.pid}/task/${process.pid}/schedstat`, 'utf8').split(' ')
  return { now: process.hrtime.bigint(), waited: BigInt(waited) }
}
