// A bell in memory that threads share: whoever has done something for another rings it, and whoever waits hears it.

/** Nothing is lost by looking again: a flag that comes from elsewhere is seen too. */
const lookAgainMs = 100

/** A number that changes whenever it is rung. */
export class Bell {
  readonly shared: SharedArrayBuffer
  readonly #number: Int32Array

  constructor(shared: SharedArrayBuffer = new SharedArrayBuffer(4)) {
    this.shared = shared
    this.#number = new Int32Array(shared)
  }

  /** What it shows now: to be read before looking at what it tells of. */
  get shown(): number {
    return Atomics.load(this.#number, 0)
  }

  ring(): void {
    Atomics.add(this.#number, 0, 1)
    Atomics.notify(this.#number, 0)
  }

  /** Sleeps until it has rung since it showed `seen`, or for a moment. @returns whether it has rung */
  wait(seen: number): boolean {
    return Atomics.wait(this.#number, 0, seen, lookAgainMs) !== 'timed-out'
  }
}
