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

  /** Lets whoever may raise it in this very thread look whether to. */
  look(): void {}

  /** @throws {Cancelled} once the flag is raised */
  check(): void {
    this.look()
    if (this.raised) throw new Cancelled('cancelled')
  }
}

/** How often others are let look at most, in milliseconds. */
const lookEvery = 10

/** A flag for an engine in its caller's own thread, which would not get to raise it otherwise. */
export class WatchedFlag extends CancelFlag {
  readonly #others: () => void
  #next = 0

  constructor(others: () => void) {
    super()
    this.#others = others
  }

  override look(): void {
    if (performance.now() < this.#next) return
    this.#next = performance.now() + lookEvery
    this.#others()
  }
}
