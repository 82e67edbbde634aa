// How far a move or a copy is, told often enough to be seen and seldom enough to cost nothing.

import type { EngineContext } from '../sys/index.ts'
import type { MoveProgress } from './request.ts'

/** Between two reports. */
const intervalMs = 50

/** Counts, and reports now and then. */
export class Progress {
  readonly #context: EngineContext
  #entries = 0
  #bytes = 0
  #reported = 0

  constructor(context: EngineContext) {
    this.#context = context
  }

  addBytes(bytes: number): void {
    this.#bytes += bytes
    this.#tell(false)
  }

  addEntry(): void {
    this.#entries++
    this.#tell(false)
  }

  /** The last report, which is never left out. */
  finish(): void {
    this.#tell(true)
  }

  #tell(always: boolean): void {
    const now = performance.now()
    if (!always && now - this.#reported < intervalMs) return
    this.#reported = now
    const progress: MoveProgress = { entries: this.#entries, bytes: this.#bytes }
    this.#context.report(progress)
  }
}
