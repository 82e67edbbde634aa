// The digests of many files, in little memory.

import type { Name } from '../../sys/index.ts'

const digestBytes = 32

/** The sha256 of payloads, by name. */
export class PackedDigests {
  readonly #places = new Map<Name, number>()
  #digests = Buffer.alloc(digestBytes * 64)
  #count = 0

  set(name: Name, digest: Uint8Array): void {
    if (this.#digests.length === digestBytes * this.#count)
      this.#digests = Buffer.concat([this.#digests, Buffer.alloc(this.#digests.length)])
    this.#digests.set(digest, digestBytes * this.#count)
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

  get(name: Name): Uint8Array | undefined {
    const place = this.#places.get(name)
    return place === undefined ? undefined : this.#digests.subarray(digestBytes * place, digestBytes * (place + 1))
  }
}
