// A question that the engine's thread asks of its caller: the engine is synchronous, so it sleeps until the answer is in
// shared memory.

import type { CancelFlag } from './cancel.ts'

const open = 0
const yes = 1
const no = 2
/** How soon a cancelled engine wakes up. */
const millisecondsAsleep = 50

/** One question at a time, answered by yes or no. */
export class Question {
  readonly shared: SharedArrayBuffer
  readonly #cell: Int32Array<SharedArrayBuffer>

  constructor(shared: SharedArrayBuffer = new SharedArrayBuffer(4)) {
    this.shared = shared
    this.#cell = new Int32Array(shared)
  }

  /** In the engine's thread: sends the question and sleeps until it is answered. @throws {Cancelled} */
  ask(send: () => void, cancel: CancelFlag): boolean {
    Atomics.store(this.#cell, 0, open)
    send()
    for (;;) {
      const answer = Atomics.load(this.#cell, 0)
      if (answer !== open) return answer === yes
      cancel.check()
      Atomics.wait(this.#cell, 0, open, millisecondsAsleep)
    }
  }

  /** In the caller's thread. */
  answer(isYes: boolean): void {
    Atomics.store(this.#cell, 0, isYes ? yes : no)
    Atomics.notify(this.#cell, 0)
  }
}
