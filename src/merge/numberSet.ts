// A set of numbers below a count: of a million, a megabyte where an array takes eight and a half again while it grows.

/** Numbers, in their order. */
export class NumberSet implements Iterable<number> {
  readonly #isIn: Uint8Array

  /** @param count  all numbers are below it */
  constructor(count: number) {
    this.#isIn = new Uint8Array(count)
  }

  add(number: number): void {
    this.#isIn[number] = 1
  }

  *[Symbol.iterator](): Generator<number> {
    for (let number = 0; number < this.#isIn.length; number++) if (this.#isIn[number] === 1) yield number
  }
}
