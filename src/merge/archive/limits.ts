// How much an archive may bring: an archive from an enemy ends with an error, not with a full disk.

import type { Name } from '../../sys/index.ts'
import { InvalidArgumentError, UnsafeEntryError } from '../errors.ts'

/** What an archive may bring at most. */
export interface Limits {
  /** Bytes of all payloads, holes not counted. */
  readonly bytes: number
  /** Bytes of all holes: they take no space, but their zeros are digested. */
  readonly holes: number
  /** How many times its stored size an archive may unpack to, beyond the first mebibytes. */
  readonly ratio: number
  readonly members: number
  /** Bytes of the extended headers of one member: names, attributes, maps of holes. */
  readonly headerBytes: number
}

/** What is allowed unless the caller says otherwise; a whole Debian with its documentation has 400,000 members. */
export const defaultLimits: Limits = {
  bytes: 2 ** 40,
  holes: 2 ** 40,
  // xz makes 7,000 of 1 at most, deflate 1,032; real packages stay under 100.
  ratio: 1500,
  members: 4_000_000,
  headerBytes: 1024 * 1024,
}

/** Below this an archive may unpack to anything: a small file of zeros is no attack. */
const ratioStartsAt = 64 * 1024 * 1024

/** The default limits with those that a caller gives. @throws {InvalidArgumentError} */
export function limitsOf(given: Partial<Limits> = {}): Limits {
  for (const [name, value] of Object.entries(given)) {
    if (!(value > 0)) throw new InvalidArgumentError(`the limit '${name}' is not a positive number: ${value}`)
  }
  return { ...defaultLimits, ...given }
}

/** Counts what comes out of one archive. */
export class Allowance {
  readonly #limits: Limits
  /** Bytes of the archive that were read so far, as it is stored. */
  readonly #stored: () => number
  #bytes = 0
  #holes = 0
  #members = 0

  constructor(limits: Limits, stored: () => number) {
    this.#limits = limits
    this.#stored = stored
  }

  /** Counts a member. @throws {UnsafeEntryError} for one too many */
  member(name: Name): void {
    if (++this.#members > this.#limits.members)
      throw new UnsafeEntryError(name, `is more than the ${this.#limits.members} members that are allowed`)
  }

  /** Counts bytes of a payload before they are written. @throws {UnsafeEntryError} */
  bytes(name: Name, count: number): void {
    this.#bytes += count
    const { bytes, ratio } = this.#limits
    if (this.#bytes > bytes) throw new UnsafeEntryError(name, `brings more than the ${bytes} bytes that are allowed`)
    if (this.#bytes > ratioStartsAt && this.#bytes > ratio * this.#stored())
      throw new UnsafeEntryError(name, `unpacks to more than ${ratio} times the archive's own size`)
  }

  /** Counts a hole. @throws {UnsafeEntryError} */
  hole(name: Name, length: number): void {
    this.#holes += length
    if (this.#holes > this.#limits.holes)
      throw new UnsafeEntryError(name, `brings more than the ${this.#limits.holes} bytes of holes that are allowed`)
  }
}
