// Decompressing in a thread of its own: compressed chunks go there, plain ones come back, both through shared memory.

import { quietly } from '../../movefile/index.ts'
import { type CancelFlag, type DecoderName, EngineShares } from '../../sys/index.ts'
import { Bell } from './bell.ts'
import type { ByteSource } from './byteSource.ts'
import type { DecodingShare } from './decodingShare.ts'
import { ChunkReader, ChunkWriter, makeSlots } from './sharedChunks.ts'

/** Neither a C library nor Node nor a package can decode it. */
export class MissingDecoder extends Error {}

const input = { slots: 8, bytes: 128 * 1024 }
const output = { slots: 6, bytes: 512 * 1024 }

/** What a decoder in another thread makes of a source. What is no such stream is left to the source. */
export function* throughThread(source: ByteSource, name: DecoderName, cancel: CancelFlag): Generator<Buffer> {
  const thread = new DecodingThread(source, name, cancel)
  try {
    for (let chunk = thread.next(); chunk !== undefined; chunk = thread.next()) yield chunk
    thread.finish()
  } finally {
    thread.end()
  }
}

class DecodingThread {
  readonly #source: ByteSource
  readonly #cancel: CancelFlag
  readonly #shares: EngineShares
  readonly #bell = new Bell()
  readonly #input: ChunkWriter
  readonly #output: ChunkReader
  #given = 0
  #isFed = false

  constructor(source: ByteSource, name: DecoderName, cancel: CancelFlag) {
    this.#source = source
    this.#cancel = cancel
    const share: DecodingShare = {
      name,
      input: makeSlots(input.slots, input.bytes, this.#bell),
      output: makeSlots(output.slots, output.bytes, this.#bell),
    }
    this.#input = new ChunkWriter(share.input)
    this.#output = new ChunkReader(share.output)
    this.#shares = new EngineShares({ name: 'decodeShare', cancel, errors: [] }, 1)
    this.#shares.begin(share)
  }

  /** The next plain chunk; undefined when there are no more, for whatever reason. */
  next(): Buffer | undefined {
    for (;;) {
      this.#cancel.check()
      const { shown } = this.#bell
      const chunk = this.#output.take()
      // Who reads a pipe may wait for it: not while there is something for both of us to do.
      if (chunk === undefined || this.#input.isDry) this.#feed()
      if (chunk !== undefined) return chunk
      if (this.#output.isOver) return undefined
      if (!this.#bell.wait(shown)) this.#shares.demandAll()
    }
  }

  #feed(): void {
    for (let room = this.#input.room; room !== undefined && !this.#isFed; room = this.#input.room) {
      const chunk = this.#source.chunk(room.length)
      if (chunk === undefined) {
        this.#isFed = true
        this.#input.end()
      } else {
        chunk.copy(room)
        this.#given += chunk.length
        this.#input.put(chunk.length)
      }
    }
  }

  /** Gives back to the source what was not part of the compressed data. @throws {Error} when they were damaged */
  finish(): void {
    const [consumed] = this.#shares.finish<number | undefined>(() => this.#cancel.check())
    if (consumed === undefined) throw new MissingDecoder()
    if (consumed < this.#given) this.#source.putBack(this.#input.last(this.#given - consumed))
  }

  /** It has to end by itself: only then the memory of its decoder is free. */
  end(): void {
    this.#output.leave()
    quietly(() => this.#shares.finish(() => {}))
    this.#shares.end()
  }
}
