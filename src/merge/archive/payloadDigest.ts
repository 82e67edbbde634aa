// What is computed of a payload on its way: our own digest, and the one that the archive, or a list, promises.

import { createHash, type Hash, hash } from 'node:crypto'
import type { Name } from '../../sys/index.ts'
import { CorruptImageError } from '../errors.ts'
import type { Member } from './member.ts'
import { digestHole, type PayloadSink } from './payload.ts'

/** Sees the bytes of one file in their order. */
export class PayloadDigest implements PayloadSink {
  readonly #facts: Pick<Member, 'path' | 'size' | 'digest'>
  readonly #image: Name
  readonly #own: Sum | undefined
  readonly #promised: Sum | undefined

  /** @param wanted  whether finish() is to say the sha256 */
  constructor(wanted: boolean, facts: Pick<Member, 'path' | 'size' | 'digest'>, image: Name) {
    this.#facts = facts
    this.#image = image
    const { digest, size } = facts
    const isOwn = digest?.algorithm === own
    if (wanted || isOwn) this.#own = new Sum(own, size)
    if (digest !== undefined && !isOwn) this.#promised = new Sum(digest.algorithm, size)
  }

  bytes(chunk: Buffer): void {
    this.#own?.bytes(chunk)
    this.#promised?.bytes(chunk)
  }

  hole(length: number): void {
    this.#own?.hole(length)
    this.#promised?.hole(length)
  }

  /** The sha256 in hexadecimal, where it was wanted. @throws {CorruptImageError} when the payload is not what was promised */
  finish(): string | undefined {
    const sha256 = this.#own?.finish()
    const { digest, path } = this.#facts
    if (digest === undefined) return sha256
    const actual = this.#promised?.finish() ?? sha256
    if (actual === digest.value) return sha256
    const reason = `its ${digest.algorithm} is ${actual}, not ${digest.value}`
    throw new CorruptImageError(this.#image, reason, { entry: path })
  }
}

const own = 'sha256'

/** One digest of one payload. */
class Sum {
  readonly algorithm: string
  readonly #size: number
  #hash: Hash | undefined
  #whole: string | undefined

  constructor(algorithm: string, size: number) {
    this.algorithm = algorithm
    this.#size = size
  }

  /** A payload in one piece takes one call into the library instead of three: a third of what a small file's costs. */
  bytes(chunk: Buffer): void {
    if (chunk.length === this.#size && this.#hash === undefined) this.#whole = hash(this.algorithm, chunk, 'hex')
    else this.#begun.update(chunk)
  }

  hole(length: number): void {
    digestHole(this.#begun, length)
  }

  finish(): string {
    return this.#whole ?? this.#begun.digest('hex')
  }

  get #begun(): Hash {
    this.#hash ??= createHash(this.algorithm)
    return this.#hash
  }
}
