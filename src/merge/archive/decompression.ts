// Compressed archives: which compression it is, told by its first bytes, and who takes it off.

import { Readable, type Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { Cancelled, isSyscallError, RootmergeError } from '../../sys/index.ts'
import { ByteSource } from './byteSource.ts'

const chunkBytes = 256 * 1024

/** One kind of compression. */
interface Compression {
  readonly name: string
  /** What a compressed stream begins with. */
  readonly magic: Buffer
  /** A stream that takes compressed bytes and gives plain ones. */
  open(): Transform | Promise<Transform>
}

const compressions: readonly Compression[] = [
  { name: 'gzip', magic: Buffer.from('1f8b', 'hex'), open: () => createGunzip({ chunkSize: chunkBytes }) },
]

const magicBytes = 8

/** The compression that bytes begin with; undefined when they are as they are. */
export function compressionOf(head: Buffer): string | undefined {
  return find(head)?.name
}

function find(head: Buffer): Compression | undefined {
  return compressions.find(({ magic }) => head.subarray(0, magic.length).equals(magic))
}

/** The bytes without the compression around them, which is told by its magic number; or as they are, where there is none. */
export async function decompressed(source: ByteSource): Promise<ByteSource> {
  const compression = find(await source.peek(magicBytes))
  if (compression === undefined) return source
  const transform = await compression.open()
  return new ByteSource(source.image, through(source, transform, compression.name))
}

/** What comes out of a transform that is fed from a source, with back-pressure both ways. */
async function* through(source: ByteSource, transform: Transform, name: string): AsyncGenerator<Buffer> {
  const feeding = pipeline(Readable.from(source, { objectMode: false, highWaterMark: chunkBytes }), transform)
  feeding.catch(() => {}) // the reading side below gets the same error
  let offset = 0
  try {
    for await (const chunk of transform) {
      offset += (chunk as Buffer).length
      yield chunk as Buffer
    }
    await feeding
  } catch (error) {
    if (isSyscallError(error) || error instanceof RootmergeError || error instanceof Cancelled) throw error
    throw source.corrupt(`the ${name} data are damaged or cut short: ${(error as Error).message}`, {
      offset,
      cause: error,
    })
  } finally {
    transform.destroy()
  }
}
