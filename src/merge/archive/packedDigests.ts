// The digests of many files, in little memory.

import type { Name } from '../../sys/index.ts'

const digestBytes = 32

/** The sha256 of payloads, by name. */
export class PackedDigests {
  readonly #places = new Map<Name, number>()
  #digests = Buffer.alloc(digestBytes * 64)
  #count = 0

  /** A digest is in hexadecimal. */
  set(name: Name, digest: string): void {
    if (this.#digests.length === digestBytes * this.#count)
      this.#digests = Buffer.concat([this.#digests, Buffer.alloc(this.#digests.length)])
    this.#digests.write(digest, digestBytes * this.#count, 'hex')
    this.#places.set(name, this.#count++)
  }

  /** Gives a name the digest that another has, if that has one. */
  link(name: Name, first: Name): void {
    const place = this.#places.get(first)
    if (place !== undefined) this.#places.set(name, place)
  }

  delete(name: Name): void {
    this.#places.delete(name)
  }

  get(name: Name): string | undefined {
    const place = this.#places.get(name)
    return place === undefined
      ? undefined
      : this.#digests.toString('hex', digestBytes * place, digestBytes * (place + 1))
  }
}
