// What is computed of a payload on its way: our own digest, and the one that the archive, or a list, promises.

import { createHash, type Hash } from 'node:crypto'
import { CorruptImageError } from '../errors.ts'
import type { Member } from './member.ts'
import { digestHole, type PayloadSink } from './payload.ts'

/** Sees the bytes of one file in their order. */
export class PayloadDigest implements PayloadSink {
  readonly #member: Member
  readonly #own: Hash | undefined
  readonly #promised: Hash | undefined

  /** @param wanted  whether finish() is to say the sha256 */
  constructor(wanted: boolean, member: Member) {
    this.#member = member
    const { digest } = member
    this.#own = wanted || digest?.algorithm === 'sha256' ? createHash('sha256') : undefined
    this.#promised = digest === undefined || digest.algorithm === 'sha256' ? undefined : createHash(digest.algorithm)
  }

  bytes(chunk: Buffer): void {
    this.#own?.update(chunk)
    this.#promised?.update(chunk)
  }

  hole(length: number): void {
    if (this.#own !== undefined) digestHole(this.#own, length)
    if (this.#promised !== undefined) digestHole(this.#promised, length)
  }

  /** The sha256 in hexadecimal. @throws {CorruptImageError} when the payload is not what was promised */
  finish(): string | undefined {
    const own = this.#own?.digest('hex')
    const { digest, path, payload } = this.#member
    if (digest === undefined) return own
    const actual = this.#promised?.digest('hex') ?? own
    if (actual === digest.value) return own
    const reason = `its ${digest.algorithm} is ${actual}, not ${digest.value}`
    throw new CorruptImageError(payload?.image ?? '', reason, { entry: path })
  }
}
