// How long the event loop of this thread is held up by what runs in it, whatever else the machine is busy with.

import { readFileSync } from 'node:fs'
import { threadId } from 'node:worker_threads'

/**
 * Watches the event loop: a timer looks every millisecond how much processor time its thread has had since the last look
 * (/proc/PID/schedstat, the first number; proc(5)), which is what ran in between. A call that sleeps is not seen.
 *
 * perf_hooks' monitorEventLoopDelay sees that too, but not who is to blame: an idle loop shows 100 ms on a busy machine.
 */
export class LoopWatch {
  readonly #timer: NodeJS.Timeout
  #last: number
  #longest = 0

  /** Only of the main thread: its schedstat is the process's. */
  constructor() {
    if (threadId !== 0) throw new Error('not the main thread')
    this.#last = processorNs()
    this.#timer = setInterval(() => this.#tick(), 1)
  }

  #tick(): void {
    const next = processorNs()
    this.#longest = Math.max(this.#longest, next - this.#last)
    this.#last = next
  }

  /** Stops watching: the most processor time between two looks, in milliseconds. */
  stop(): number {
    this.#tick()
    clearInterval(this.#timer)
    return this.#longest / 1e6
  }
}

function processorNs(): number {
  return Number(readFileSync(`/proc/${process.pid}/task/${process.pid}/schedstat`, 'utf8').split(' ')[0])
}
