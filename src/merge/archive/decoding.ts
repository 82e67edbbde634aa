// Bytes through a decompressor, which is fed when somebody wants its output.

import { Readable, type Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Decoder } from '../../sys/index.ts'
import type { ByteSource } from './byteSource.ts'
import { type Compression, isStart } from './compressions.ts'

const inputBytes = 256 * 1024

/** A decoder, and how to get one for each further compressed stream that follows the first. */
export interface DecoderStart {
  readonly first: Decoder
  readonly open: () => Decoder | undefined
  readonly compression: Compression
}

/** Where output goes: the buffer to fill next, which stays the same until it was passed on. */
export interface Outlet {
  next(): Buffer
}

/** What a decoder makes of a source. What is no such stream is left to the source. */
export function* throughDecoder(
  source: ByteSource,
  { first, open, compression }: DecoderStart,
  outlet: Outlet,
): Generator<Buffer> {
  let decoder: Decoder | undefined = first
  while (decoder !== undefined) {
    try {
      yield* decodeStream(source, decoder, outlet)
    } finally {
      decoder.close()
    }
    skipPadding(source, compression.padding)
    decoder = isStart(source, compression) ? open() : undefined
  }
}

function skipPadding(source: ByteSource, group: number): void {
  const zeros = Buffer.alloc(group)
  while (group > 0 && source.peek(group).equals(zeros)) source.skip(group)
}

function* decodeStream(source: ByteSource, decoder: Decoder, outlet: Outlet): Generator<Buffer> {
  for (;;) {
    const input = source.chunk(inputBytes)
    if (input === undefined) throw new Error('unexpected end')
    for (let rest = input, isFull = false; rest.length > 0 || isFull; ) {
      const output = outlet.next()
      const { consumed, produced, ended } = decoder.step(rest, output)
      rest = rest.subarray(consumed)
      isFull = produced === output.length
      if (ended) source.putBack(rest)
      if (produced > 0) yield output.subarray(0, produced)
      if (ended) return
      if (consumed === 0 && produced === 0) break
    }
  }
}

/** What comes out of the last of some transforms, of which the first is fed from a source. */
export async function* throughTransforms(
  source: Iterable<Buffer>,
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
function* copiesOf(chunks: Iterable<Buffer>): Generator<Buffer> {
  for (const chunk of chunks) yield Buffer.from(chunk)
}
