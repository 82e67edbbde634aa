// Cancelling and progress pass between threads through shared memory: the engine is synchronous, so a message would
// not be read before its work is done.

/** Thrown inside the engine when its work was cancelled; outside it becomes the signal's own reason. */
export class Cancelled extends Error {
  override readonly name = 'Cancelled'
}

/** A flag that one thread raises and the engine looks at between copy rounds and between entries. */
export class CancelFlag {
  readonly shared: SharedArrayBuffer
  readonly #flag: Int32Array

  constructor(shared: SharedArrayBuffer = new SharedArrayBuffer(4)) {
    this.shared = shared
    this.#flag = new Int32Array(shared)
  }

  raise(): void {
    Atomics.store(this.#flag, 0, 1)
  }

  get raised(): boolean {
    return Atomics.load(this.#flag, 0) !== 0
  }

  /** @throws {Cancelled} once the flag is raised */
  check(): void {
    if (this.raised) throw new Cancelled('cancelled')
  }
}
