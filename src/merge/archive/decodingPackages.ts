// Decompressors of Node and from npm, for machines that have not the C library: each is loaded when it is needed. They
// are streams, so they run in a thread of their own.

import { PassThrough, type Transform } from 'node:stream'
import * as zlib from 'node:zlib'
import type { DecoderName } from '../../sys/index.ts'
import type { ByteSource } from './byteSource.ts'
import { throughTransforms } from './decoding.ts'

type Through = (source: ByteSource) => AsyncIterable<Buffer>

const loaders: Readonly<Record<DecoderName, () => Promise<Through | undefined>>> = {
  gzip: async () => (source) => throughTransforms(source, zlib.createGunzip({ chunkSize: 256 * 1024 })),
  xz: throughLzmaNative,
  lzma: throughLzmaNative,
  zstd: async () => {
    // Node 22.15 and later; the types are those of Node 20.
    const { createZstdDecompress } = zlib as unknown as { createZstdDecompress?: (options: object) => Transform }
    if (createZstdDecompress !== undefined)
      return (source) => throughTransforms(source, createZstdDecompress({ chunkSize: 256 * 1024 }))
    const found = await load<FzstdModule>('fzstd')
    return found && ((source) => throughFzstd(source, found))
  },
  bzip2: async () => {
    const found = await load<() => NodeJS.ReadWriteStream>('unbzip2-stream')
    // It is a stream of Node 0.8; the one behind it makes one of today of it.
    return found && ((source) => throughTransforms(inSlices(source), found(), new PassThrough()))
  },
}

/** It tells the two formats of liblzma apart by itself. */
async function throughLzmaNative(): Promise<Through | undefined> {
  const found = await load<{ createDecompressor(): Transform }>('lzma-native')
  return found && ((source) => throughTransforms(source, found.createDecompressor()))
}

/** What a package makes of a source; undefined where it is not installed. */
export async function throughPackage(
  name: DecoderName,
  source: ByteSource,
): Promise<AsyncIterable<Buffer> | undefined> {
  const through = await loaders[name]()
  return through?.(source)
}

/** A package's default export, or its namespace; undefined where it is not installed or does not run here. */
async function load<T>(name: string): Promise<T | undefined> {
  try {
    const module = (await import(name)) as { default?: T }
    return module.default ?? (module as T)
  } catch {
    return undefined
  }
}

interface FzstdModule {
  readonly Decompress: new (onData: (chunk: Uint8Array) => void) => { push(chunk: Uint8Array, isLast?: boolean): void }
}

/** fzstd is synchronous, and calls with each piece that it has made. It does not look at the checksum of the data. */
async function* throughFzstd(source: ByteSource, { Decompress }: FzstdModule): AsyncGenerator<Buffer> {
  let made: Buffer[] = []
  const decompress = new Decompress((chunk) => made.push(Buffer.from(chunk)))
  for (const slice of inSlices(source)) {
    decompress.push(slice)
    yield* made
    made = []
  }
  decompress.push(new Uint8Array(0), true)
  yield* made
}

/** A decompressor without back-pressure makes all of what it is given at once: 2 KiB of bzip2 can be 40 MiB. */
const sliceBytes = 2048

function* inSlices(source: ByteSource): Generator<Buffer> {
  for (let slice = source.chunk(sliceBytes); slice !== undefined; slice = source.chunk(sliceBytes)) yield slice
}
