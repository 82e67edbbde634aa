// What is known of the files that were made of an archive, in little memory: so that none is looked at, or read, again.

import { type Name, packStat, type Stat, statWords, unpackStat } from '../../sys/index.ts'

/** What is known of a file when it is made. */
export interface MadeFile {
  /** The sha256 of its payload, where payloads are digested. */
  readonly digest: Uint8Array | undefined
  /** What it became, all its metadata included. */
  readonly stat: Stat
}

const digestBytes = 32
/** Files whose facts lie in one piece of memory. */
const filesAtOnce = 1024

/** Of as many files: memory that grows piece by piece, so that nothing is copied. */
interface Piece {
  readonly digests: Uint8Array
  readonly stats: Uint32Array
}

/** Files by name. */
export class MadeFiles {
  readonly #places = new Map<Name, number>()
  readonly #pieces: Piece[] = []
  /** Places of files without a digest. */
  readonly #undigested = new Set<number>()
  /** Places of files that have got another name since: what was seen of them is not so any more. */
  readonly #linked = new Set<number>()
  #count = 0

  set(name: Name, { digest, stat }: MadeFile): void {
    const place = this.#count++
    if (place % filesAtOnce === 0) {
      const digests = new Uint8Array(digestBytes * filesAtOnce)
      this.#pieces.push({ digests, stats: new Uint32Array(statWords * filesAtOnce) })
    }
    const { digests, stats } = this.#pieceOf(place)
    if (digest === undefined) this.#undigested.add(place)
    else digests.set(digest, digestBytes * (place % filesAtOnce))
    packStat(stat, stats, statWords * (place % filesAtOnce))
    this.#places.set(name, place)
  }

  /** Another name of a file, if that is known. */
  link(name: Name, first: Name): void {
    const place = this.#places.get(first)
    if (place === undefined) return
    this.#places.set(name, place)
    this.#linked.add(place)
  }

  delete(name: Name): void {
    this.#places.delete(name)
  }

  /** The sha256 of a file's payload. */
  digestOf(name: Name): Uint8Array | undefined {
    const place = this.#places.get(name)
    if (place === undefined || this.#undigested.has(place)) return undefined
    const start = digestBytes * (place % filesAtOnce)
    return this.#pieceOf(place).digests.subarray(start, start + digestBytes)
  }

  /** What a file that has one name was when it was made. */
  statOf(name: Name): Stat | undefined {
    const place = this.#places.get(name)
    if (place === undefined || this.#linked.has(place)) return undefined
    return unpackStat(this.#pieceOf(place).stats, statWords * (place % filesAtOnce))
  }

  #pieceOf(place: number): Piece {
    return this.#pieces[Math.floor(place / filesAtOnce)] as Piece
  }
}
