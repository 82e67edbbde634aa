// Bytes through a decompressor, with back-pressure: it is fed when somebody wants its output.

import { Readable, type Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Decoder } from '../../sys/index.ts'
import { type ByteSource, ChunkRing } from './byteSource.ts'

const inputBytes = 256 * 1024
const outputBytes = 1024 * 1024

/** A decoder, and how to get one for each further compressed stream that follows the first. */
export interface DecoderStart {
  readonly first: Decoder
  readonly open: () => Decoder | undefined
  /** What a compressed stream begins with. */
  readonly magic: Buffer
}

/** What a decoder makes of a source, one chunk ahead of whoever reads. What is no such stream is left to the source. */
export function throughDecoder(source: ByteSource, start: DecoderStart): AsyncIterable<Buffer> {
  return oneAhead(decode(source, start))
}

async function* decode(source: ByteSource, { first, open, magic }: DecoderStart): AsyncGenerator<Buffer> {
  let decoder: Decoder | undefined = first
  const ring = new ChunkRing(outputBytes)
  while (decoder !== undefined) {
    try {
      yield* decodeStream(source, decoder, ring)
    } finally {
      decoder.close()
    }
    decoder = (await source.peek(magic.length)).equals(magic) ? open() : undefined
  }
}

async function* decodeStream(source: ByteSource, decoder: Decoder, ring: ChunkRing): AsyncGenerator<Buffer> {
  for (;;) {
    const input = await source.chunk(inputBytes)
    if (input === undefined) throw new Error('unexpected end')
    for (let rest = input, isFull = false; rest.length > 0 || isFull; ) {
      const output = ring.next()
      const { consumed, produced, ended } = await decoder.step(rest, output)
      rest = rest.subarray(consumed)
      isFull = produced === output.length
      if (produced > 0) yield output.subarray(0, produced)
      if (ended) return source.putBack(rest)
      if (consumed === 0 && produced === 0) break
    }
  }
}

/** The same chunks, of which the next one is always being made already. */
async function* oneAhead(chunks: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  let next = chunks.next()
  next.catch(() => {}) // whoever asks for it gets the error
  try {
    for (;;) {
      const { done, value } = await next
      if (done) return
      next = chunks.next()
      next.catch(() => {})
      yield value
    }
  } finally {
    await next.catch(() => {})
    await chunks.return(undefined)
  }
}

/** What comes out of the last of some transforms, of which the first is fed from a source. */
export async function* throughTransforms(
  source: AsyncIterable<Buffer>,
  ...transforms: readonly NodeJS.ReadWriteStream[]
): AsyncGenerator<Buffer> {
  const feeding = pipeline([
    Readable.from(copiesOf(source), { objectMode: false, highWaterMark: inputBytes }),
    ...transforms,
  ] as unknown as NodeJS.ReadWriteStream[])
  feeding.catch(() => {}) // the reading side below gets the same error
  const last = transforms.at(-1) as Transform
  try {
    for await (const chunk of last) yield chunk as Buffer
    await feeding
  } finally {
    last.destroy()
  }
}

/** A transform holds on to what it was given. */
async function* copiesOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) yield Buffer.from(chunk)
}
