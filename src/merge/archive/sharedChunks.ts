// Chunks of bytes from one thread to another, through memory that both share: whoever is ahead waits.

import { Bell } from './bell.ts'

/** Slots for chunks, and what both threads know of them. */
export interface SharedSlots {
  readonly bytes: SharedArrayBuffer
  /** Chunks that came and chunks that went; whether more will come, and whether anybody still wants them; then lengths. */
  readonly numbers: SharedArrayBuffer
  /** Rings whenever one of the two threads has done something; several such pairs may have one bell. */
  readonly bell: SharedArrayBuffer
}

const at = { came: 0, went: 1, ended: 2, unwanted: 3, lengths: 4 }

/** Memory for `count` chunks of up to `bytes` each. */
export function makeSlots(count: number, bytes: number, bell: Bell): SharedSlots {
  return {
    bytes: new SharedArrayBuffer(count * bytes),
    numbers: new SharedArrayBuffer(4 * (at.lengths + count)),
    bell: bell.shared,
  }
}

class Slots {
  readonly #numbers: Int32Array
  readonly #bell: Bell
  readonly #buffers: readonly Buffer[]

  constructor({ bytes, numbers, bell }: SharedSlots) {
    this.#numbers = new Int32Array(numbers)
    this.#bell = new Bell(bell)
    const count = this.#numbers.length - at.lengths
    const size = bytes.byteLength / count
    this.#buffers = Array.from({ length: count }, (_, index) => Buffer.from(bytes, index * size, size))
  }

  get count(): number {
    return this.#buffers.length
  }

  get(what: Exclude<keyof typeof at, 'lengths'>): number {
    return Atomics.load(this.#numbers, at[what])
  }

  set(what: Exclude<keyof typeof at, 'lengths'>, value: number): void {
    Atomics.store(this.#numbers, at[what], value)
    this.#bell.ring()
  }

  buffer(number: number): Buffer {
    return this.#buffers[number % this.count] as Buffer
  }

  chunk(number: number): Buffer {
    return this.buffer(number).subarray(0, this.#numbers[at.lengths + (number % this.count)])
  }

  setLength(number: number, length: number): void {
    this.#numbers[at.lengths + (number % this.count)] = length
  }
}

/** The end that chunks are put in at. */
export class ChunkWriter {
  readonly #slots: Slots

  constructor(shared: SharedSlots) {
    this.#slots = new Slots(shared)
  }

  /** The buffer to fill next; undefined while the other end has to take something first. */
  get room(): Buffer | undefined {
    const came = this.#slots.get('came')
    return came - this.#slots.get('went') < this.#slots.count ? this.#slots.buffer(came) : undefined
  }

  /** Whether the other end has taken everything. */
  get isDry(): boolean {
    return this.#slots.get('came') === this.#slots.get('went')
  }

  /** Whether nobody wants any more. */
  get isUnwanted(): boolean {
    return this.#slots.get('unwanted') !== 0
  }

  /** Passes on the first `length` bytes of `room`. */
  put(length: number): void {
    const came = this.#slots.get('came')
    this.#slots.setLength(came, length)
    this.#slots.set('came', came + 1)
  }

  /** Says that this was all. */
  end(): void {
    this.#slots.set('ended', 1)
  }

  /** The last `count` bytes that were put in, where their slots were not used again. */
  last(count: number): Buffer {
    const chunks: Buffer[] = []
    let left = count
    for (let number = this.#slots.get('came') - 1; left > 0; number--) {
      const chunk = this.#slots.chunk(number)
      chunks.unshift(chunk.subarray(Math.max(0, chunk.length - left)))
      left -= Math.min(left, chunk.length)
    }
    return Buffer.concat(chunks)
  }
}

/** Slots that keep their bytes after the next chunk was asked for: what a ByteSource relies on. */
const kept = 3

/** The end that chunks come out at: each is valid until three more were taken. */
export class ChunkReader {
  readonly #slots: Slots
  #taken = 0

  constructor(shared: SharedSlots) {
    this.#slots = new Slots(shared)
  }

  /** Whether there is no chunk at hand, and none will come. */
  get isOver(): boolean {
    return this.#slots.get('ended') !== 0 && this.#slots.get('came') === this.#taken
  }

  /** The next chunk; undefined when none is at hand. */
  take(): Buffer | undefined {
    if (this.#slots.get('came') === this.#taken) return undefined
    const chunk = this.#slots.chunk(this.#taken++)
    if (this.#taken > kept) this.#slots.set('went', this.#taken - kept)
    return chunk
  }

  /** Says that nobody wants any more. */
  leave(): void {
    this.#slots.set('unwanted', 1)
  }
}
