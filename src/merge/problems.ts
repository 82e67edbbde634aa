// Everything that speaks against a merge: collected while it is planned, and said at once.

import type { Name } from '../sys/index.ts'
import { RootmergeError } from '../sys/index.ts'
import { type Collision, CollisionError, ImmutableError, RefusedError } from './errors.ts'

/** What stands in the way of a transaction. */
export class Problems {
  readonly #collisions: Collision[] = []
  readonly #immutable: Name[] = []
  readonly #errors: Error[] = []

  /** A name that is taken. */
  collide(collision: Collision): void {
    this.#collisions.push(collision)
  }

  /** The path of an object that has to be renamed or changed, and may not be. */
  addImmutable(path: Name): void {
    this.#immutable.push(path)
  }

  /** Anything else. */
  add(error: Error): void {
    this.#errors.push(error)
  }

  /** Runs a check that throws what it finds; anything but a refusal of our own is thrown on. */
  attempt(check: () => void): void {
    try {
      check()
    } catch (error) {
      if (!(error instanceof RootmergeError)) throw error
      this.add(error)
    }
  }

  /**
   * Returns if there are none.
   *
   * @throws {CollisionError} and the like where all problems are of one kind; else one RefusedError with all
   */
  raise(packageNames: readonly string[]): void {
    const what = packageNames.join(', ')
    const all = [...this.#errors]
    if (this.#collisions.length > 0) all.push(new CollisionError(what, this.#collisions))
    if (this.#immutable.length > 0) all.push(new ImmutableError(this.#immutable))
    if (all.length > 1) throw new RefusedError(what, all)
    if (all[0] !== undefined) throw all[0]
  }
}
