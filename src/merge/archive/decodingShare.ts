// The thread that decompresses: what a C library, or else Node or a package, makes of the chunks that come.

import type { EngineContext } from '../../sys/engineThread.ts'
import { type CancelFlag, Cancelled, type DecoderName, openDecoder } from '../../sys/index.ts'
import { Bell } from './bell.ts'
import { ByteSource } from './byteSource.ts'
import { compressions } from './compressions.ts'
import { throughDecoder } from './decoding.ts'
import { throughPackage } from './decodingPackages.ts'
import { ChunkReader, ChunkWriter, type SharedSlots } from './sharedChunks.ts'

/** What the thread is given. */
export interface DecodingShare {
  readonly name: DecoderName
  /** What is compressed. */
  readonly input: SharedSlots
  readonly output: SharedSlots
}

/**
 * Decodes until the compressed data end, or nobody wants more. For EngineShares.
 *
 * @returns how many bytes of the input were part of the compressed data; undefined when nothing here can decode them
 */
export async function decodeShare({ cancel }: EngineContext, share: DecodingShare): Promise<number | undefined> {
  const outlet = new SharedOutlet(share.output, cancel)
  const source = new ByteSource(
    '',
    chunksFrom(share.input, () => outlet.check()),
  )
  try {
    const compression = compressions[share.name]
    const open = () => openDecoder(share.name)
    const first = open()
    if (first !== undefined) {
      for (const chunk of throughDecoder(source, { first, open, compression }, outlet)) outlet.put(chunk.length)
    } else {
      const chunks = await throughPackage(share.name, source)
      if (chunks === undefined) return undefined
      for await (const chunk of chunks) outlet.write(chunk)
    }
    return source.offset
  } finally {
    outlet.end()
  }
}

function* chunksFrom(input: SharedSlots, check: () => void): Generator<Buffer> {
  const reader = new ChunkReader(input)
  const bell = new Bell(input.bell)
  for (;;) {
    const { shown } = bell
    const chunk = reader.take()
    if (chunk !== undefined) yield chunk
    else if (reader.isOver) return
    else {
      check()
      bell.wait(shown)
    }
  }
}

/** Waits for room. */
class SharedOutlet {
  readonly #bell: Bell
  readonly #cancel: CancelFlag
  readonly #writer: ChunkWriter

  constructor(output: SharedSlots, cancel: CancelFlag) {
    this.#bell = new Bell(output.bell)
    this.#cancel = cancel
    this.#writer = new ChunkWriter(output)
  }

  next(): Buffer {
    for (;;) {
      const { shown } = this.#bell
      this.check()
      const { room } = this.#writer
      if (room !== undefined) return room
      this.#bell.wait(shown)
    }
  }

  /** @throws {Cancelled} when nobody wants any more */
  check(): void {
    this.#cancel.check()
    if (this.#writer.isUnwanted) throw new Cancelled('nobody wants more')
  }

  put(length: number): void {
    this.#writer.put(length)
  }

  write(bytes: Buffer): void {
    for (let rest = bytes; rest.length > 0; ) {
      const written = rest.copy(this.next())
      this.put(written)
      rest = rest.subarray(written)
    }
  }

  end(): void {
    this.#writer.end()
  }
}
