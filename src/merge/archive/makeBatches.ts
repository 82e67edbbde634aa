// Files that are to be made, packed into memory that threads share: batch after batch, each taken by whichever thread is
// free, and used again when its results were read.

import type { Name } from '../../sys/index.ts'
import { Bell } from './bell.ts'
import type { FileFacts } from './fileMaker.ts'
import { MadeMemory, madeWords } from './madeFiles.ts'
import type { Digest } from './member.ts'

/** Batches that may be under way at once. */
const slots = 8
/**
 * A batch is closed when it has so many files, or so many bytes lie behind them, whichever comes first. Two threads that
 * make files in one directory wait for each other: 48 files took 2.3 s where 100 and more took 2.0 (50,000 files on ext4).
 */
const filesPerBatch = 128
const bytesPerBatch = 4 * 1024 * 1024

const numbersPerFile = 10
const textBytes = 64 * 1024
/** Bytes of payloads that a batch itself brings. */
const payloadBytes = 512 * 1024
const noFacts: FileFacts['xattrs'] = []

/** Nanoseconds in one: those since 1970 pass 64 bits in the year 2262, and file systems know later times. */
const second = 1_000_000_000n

/** Where each area of a batch begins, in bytes: words of eight first, so that each is where a view of it may be. */
const areas = offsetsOf({
  count: 8,
  numbers: 8 * numbersPerFile * filesPerBatch,
  times: 2 * 8 * filesPerBatch,
  made: 4 * madeWords * filesPerBatch,
  text: textBytes,
  payloads: 0,
})

function offsetsOf<Area extends string>(sizes: Readonly<Record<Area, number>>): Record<Area, number> {
  const offsets: Record<Area, number> = { ...sizes }
  let end = 0
  for (const area of Object.keys(sizes) as Area[]) {
    offsets[area] = end
    end += sizes[area]
  }
  return offsets
}

/** Fields of a file. */
const field = {
  ...{ uid: 0, gid: 1, mode: 2, size: 3, start: 4 },
  ...{ textStart: 5, pathLength: 6, textEnd: 7, nameLength: 8, place: 9 },
}

/** The largest payload that is handed over; what is larger is written by who reads it. */
export const mostPayloadBytes: number = 64 * 1024

/** The longest path, with the digest that is promised beside it. */
const mostTextBytes = 5 * 1024

/** A file to be made. */
export interface NewFile {
  /** The end of its path. */
  readonly name: Name
  readonly facts: FileFacts
  /** Where its payload lies in the archive's file; undefined for one that is to be copied. */
  readonly start: number | undefined
  /** Where the reading thread keeps what it knows of it. */
  readonly place: number
}

/** One batch. */
export class Batch {
  readonly #count: Int32Array
  readonly #numbers: Float64Array
  readonly #times: BigInt64Array
  /** What is known of its files when they are made. */
  readonly made: MadeMemory
  readonly #text: Buffer
  readonly #payloads: Buffer
  #textEnd = 0
  #payloadEnd = 0
  #bytes = 0

  constructor(memory: SharedArrayBuffer, start: number, hasPayloads: boolean) {
    this.#count = new Int32Array(memory, start, 1)
    this.#numbers = new Float64Array(memory, start + areas.numbers, numbersPerFile * filesPerBatch)
    this.#times = new BigInt64Array(memory, start + areas.times, 2 * filesPerBatch)
    this.made = new MadeMemory(new Uint32Array(memory, start + areas.made, madeWords * filesPerBatch))
    this.#text = Buffer.from(memory, start + areas.text, textBytes)
    this.#payloads = Buffer.from(memory, start + areas.payloads, hasPayloads ? payloadBytes : 0)
  }

  get count(): number {
    return this.#count[0] as number
  }

  clear(): void {
    this.#count[0] = 0
    this.#textEnd = 0
    this.#payloadEnd = 0
    this.#bytes = 0
  }

  /** Whether a file more can be added, with so many bytes of payload to be copied. */
  hasRoomFor(copiedBytes: number): boolean {
    return (
      this.count < filesPerBatch &&
      this.#textEnd + mostTextBytes <= textBytes &&
      this.#payloadEnd + copiedBytes <= this.#payloads.length &&
      this.#bytes < bytesPerBatch
    )
  }

  /** Adds a file. @returns the memory that a payload is to be copied into */
  add({ name, facts, start, place }: NewFile): Buffer {
    const { path, uid, gid, mode, mtimeNs, size, digest } = facts
    const index = this.count
    const copied = start === undefined ? size : 0
    const textStart = this.#textEnd
    this.#textEnd += this.#text.write(path, textStart, 'latin1')
    if (digest !== undefined) this.#textEnd += this.#text.write(`${digest.algorithm}:${digest.value}`, this.#textEnd)
    const values = [
      uid,
      gid,
      mode,
      size,
      start ?? -1 - this.#payloadEnd,
      textStart,
      path.length,
      this.#textEnd,
      name.length,
      place,
    ]
    this.#numbers.set(values, index * numbersPerFile)
    this.#times.set([mtimeNs / second, mtimeNs % second], 2 * index)
    this.#count[0] = index + 1
    this.#bytes += size
    this.#payloadEnd += copied
    return this.#payloads.subarray(this.#payloadEnd - copied, this.#payloadEnd)
  }

  file(index: number): FileFacts & { readonly name: Name } {
    const number = (place: number) => this.#numbers[index * numbersPerFile + place] as number
    const [textStart, textEnd] = [number(field.textStart), number(field.textEnd)]
    const pathEnd = textStart + number(field.pathLength)
    const path = this.#text.toString('latin1', textStart, pathEnd)
    return {
      path,
      name: path.slice(path.length - number(field.nameLength)),
      uid: number(field.uid),
      gid: number(field.gid),
      mode: number(field.mode),
      mtimeNs: (this.#times[2 * index] as bigint) * second + (this.#times[2 * index + 1] as bigint),
      size: number(field.size),
      xattrs: noFacts,
      ...(pathEnd === textEnd ? {} : { digest: parseDigest(this.#text.toString('latin1', pathEnd, textEnd)) }),
    }
  }

  /** Where the payload is: an offset of the archive's file, or the bytes themselves. */
  payload(index: number): number | Buffer {
    const start = this.#numbers[index * numbersPerFile + field.start] as number
    if (start >= 0) return start
    const first = -1 - start
    return this.#payloads.subarray(first, first + (this.#numbers[index * numbersPerFile + field.size] as number))
  }

  placeOf(index: number): number {
    return this.#numbers[index * numbersPerFile + field.place] as number
  }
}

function parseDigest(text: string): Digest {
  const colon = text.indexOf(':')
  return { algorithm: text.slice(0, colon), value: text.slice(colon + 1) }
}

/** Whether a path and a promised digest fit. */
export function fitsBatch(path: Name, digest: Digest | undefined): boolean {
  return path.length + (digest === undefined ? 0 : digest.algorithm.length + digest.value.length + 1) <= mostTextBytes
}

/** What threads share. */
export interface SharedBatches {
  readonly memory: SharedArrayBuffer
  /** Batches that were put in and that were taken, whether there will be more, whether a thread has failed; then which are done. */
  readonly control: SharedArrayBuffer
  readonly bell: SharedArrayBuffer
  readonly hasPayloads: boolean
}

/** @param hasPayloads  whether batches bring payloads, or only say where they are */
export function makeBatches(hasPayloads: boolean): SharedBatches {
  const batchBytes = areas.payloads + (hasPayloads ? payloadBytes : 0)
  return {
    memory: new SharedArrayBuffer(slots * batchBytes),
    control: new SharedArrayBuffer(4 * (at.done + slots)),
    bell: new Bell().shared,
    hasPayloads,
  }
}

const at = { put: 0, taken: 1, closed: 2, failed: 3, done: 4 }

/** The batches of one archive, numbered in the order in which they were put in. */
export class BatchQueue {
  readonly bell: Bell
  readonly #control: Int32Array
  readonly #batches: readonly Batch[]

  constructor({ memory, control, bell, hasPayloads }: SharedBatches) {
    this.bell = new Bell(bell)
    this.#control = new Int32Array(control)
    const batchBytes = memory.byteLength / slots
    this.#batches = Array.from({ length: slots }, (_, slot) => new Batch(memory, slot * batchBytes, hasPayloads))
  }

  batch(number: number): Batch {
    return this.#batches[number % slots] as Batch
  }

  /** Batches that were put in. */
  get put(): number {
    return Atomics.load(this.#control, at.put)
  }

  get isClosed(): boolean {
    return Atomics.load(this.#control, at.closed) !== 0
  }

  get hasFailed(): boolean {
    return Atomics.load(this.#control, at.failed) !== 0
  }

  /** The number of the batch whose memory the next one gets; below 0 when it was not used before. */
  get lastInNextSlot(): number {
    return this.put - slots
  }

  isDone(number: number): boolean {
    return number < 0 || Atomics.load(this.#control, at.done + (number % slots)) > number
  }

  /** Puts in the batch that was filled. */
  putNext(): void {
    Atomics.add(this.#control, at.put, 1)
    this.bell.ring()
  }

  /** Takes a batch that no thread has; undefined when there is none, or some thread has failed. */
  take(): number | undefined {
    for (;;) {
      const taken = Atomics.load(this.#control, at.taken)
      if (taken >= this.put || this.hasFailed) return undefined
      if (Atomics.compareExchange(this.#control, at.taken, taken, taken + 1) === taken) return taken
    }
  }

  finish(number: number): void {
    Atomics.store(this.#control, at.done + (number % slots), number + 1)
    this.bell.ring()
  }

  /** Says that no more will come. */
  close(): void {
    Atomics.store(this.#control, at.closed, 1)
    this.bell.ring()
  }

  /** Makes every thread stop before its next file. */
  fail(): void {
    Atomics.store(this.#control, at.failed, 1)
    this.bell.ring()
  }
}
