// What is known of the files that are made of an archive, in little memory: so that none is looked at, or read, again.

import { type Name, packStat, type Stat, statWords, unpackStat } from '../../sys/index.ts'

/** What is known of a file when it is made. */
export interface MadeFile {
  /** The sha256 of its payload, where payloads are digested. */
  readonly digest: Uint8Array | undefined
  /** What it became, all its metadata included. */
  readonly stat: Stat
}

const digestBytes = 32
/** Where the parts of what is known of one file are, by 32-bit words. */
const at = { state: 0, digest: 1, stat: 1 + digestBytes / 4 }

/** 32-bit words that are kept of each file. */
export const madeWords: number = at.stat + statWords

/** What is so of a file; nothing is so while it is on its way. Linked: it has another name, so its stat is not its stat any more. */
const is = { made: 1, digested: 2, linked: 4 }

/** What is known of some files, by their numbers, in memory that threads may share. It is 0 at first. */
export class MadeMemory {
  readonly #words: Uint32Array

  constructor(words: Uint32Array) {
    this.#words = words
  }

  set(number: number, { digest, stat }: MadeFile): void {
    const start = number * madeWords
    this.#words[start + at.state] = digest === undefined ? is.made : is.made | is.digested
    if (digest !== undefined) this.#digest(start).set(digest)
    packStat(stat, this.#words, start + at.stat)
  }

  /** Takes what is known of a file elsewhere: every word, and no object is made. */
  copy(number: number, from: MadeMemory, fromNumber: number): void {
    const [start, fromStart] = [number * madeWords, fromNumber * madeWords]
    for (let index = 0; index < madeWords; index++)
      this.#words[start + index] = from.#words[fromStart + index] as number
  }

  isMade(number: number): boolean {
    return this.#is(number, is.made)
  }

  link(number: number): void {
    ;(this.#words[number * madeWords + at.state] as number) |= is.linked
  }

  digestOf(number: number): Uint8Array | undefined {
    return this.#is(number, is.digested) ? this.#digest(number * madeWords) : undefined
  }

  /** Of a file that has one name. */
  statOf(number: number): Stat | undefined {
    if (!this.isMade(number) || this.#is(number, is.linked)) return undefined
    return unpackStat(this.#words, number * madeWords + at.stat)
  }

  #is(number: number, flag: number): boolean {
    return ((this.#words[number * madeWords + at.state] as number) & flag) !== 0
  }

  #digest(start: number): Uint8Array {
    const { buffer, byteOffset } = this.#words
    return new Uint8Array(buffer, byteOffset + 4 * (start + at.digest), digestBytes)
  }
}

/** Files whose facts lie in one piece of memory: so that nothing is copied when there are more. */
const filesAtOnce = 1024

/** Files by name. */
export class MadeFiles {
  readonly #places = new Map<Name, number>()
  readonly #pieces: MadeMemory[] = []
  #count = 0

  /** A file that is on its way. @returns its place, for arrive() */
  expect(name: Name): number {
    const place = this.#count++
    if (place % filesAtOnce === 0) this.#pieces.push(new MadeMemory(new Uint32Array(filesAtOnce * madeWords)))
    this.#places.set(name, place)
    return place
  }

  /** The file is there: what is known of it is the `number`th of some memory. */
  arrive(place: number, from: MadeMemory, number: number): void {
    this.#pieceOf(place).copy(place % filesAtOnce, from, number)
  }

  set(name: Name, file: MadeFile): void {
    const place = this.expect(name)
    this.#pieceOf(place).set(place % filesAtOnce, file)
  }

  /** Whether a name is that of a file, there or on its way. */
  has(name: Name): boolean {
    return this.#places.has(name)
  }

  /** Whether the file of a name may not be there yet. */
  isPending(name: Name): boolean {
    const place = this.#places.get(name)
    return place !== undefined && !this.#pieceOf(place).isMade(place % filesAtOnce)
  }

  /** Another name of a file, if that is known. */
  link(name: Name, first: Name): void {
    const place = this.#places.get(first)
    if (place === undefined) return
    this.#places.set(name, place)
    this.#pieceOf(place).link(place % filesAtOnce)
  }

  delete(name: Name): void {
    this.#places.delete(name)
  }

  /** The sha256 of a file's payload. */
  digestOf(name: Name): Uint8Array | undefined {
    const place = this.#places.get(name)
    return place === undefined ? undefined : this.#pieceOf(place).digestOf(place % filesAtOnce)
  }

  /** What a file that has one name was when it was made. */
  statOf(name: Name): Stat | undefined {
    const place = this.#places.get(name)
    return place === undefined ? undefined : this.#pieceOf(place).statOf(place % filesAtOnce)
  }

  #pieceOf(place: number): MadeMemory {
    return this.#pieces[Math.floor(place / filesAtOnce)] as MadeMemory
  }
}
