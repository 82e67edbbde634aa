// Compressed archives: which compression it is, told by its first bytes, and who takes it off.
//
// The machine's own C libraries come first: they are several times faster than what npm has. Where there is enough to do
// they work in a thread beside the engine's; what Node and npm have instead are streams, which have to.

import { Cancelled, isSyscallError, openDecoder, RootmergeError } from '../../sys/index.ts'
import { ByteSource, ChunkRing } from './byteSource.ts'
import { type Compression, compressions, isStart } from './compressions.ts'
import { throughDecoder } from './decoding.ts'
import { MissingDecoder, throughThread } from './decodingThread.ts'
import type { Reading } from './format.ts'

/** How decompressing is done. */
export type Decompressing = Pick<Reading, 'cancel' | 'decodesBeside'>

const outputBytes = 1024 * 1024

/**
 * The bytes without the compression around them, which is told by their first bytes; or as they are, where there is none.
 *
 * @throws {CorruptImageError} when nothing here can decompress them, with what to install
 */
export function decompressed(source: ByteSource, how: Decompressing): ByteSource {
  const found = Object.values(compressions).find((compression) => isStart(source, compression))
  return found === undefined ? source : new ByteSource(source.image, explained(source, found, how))
}

function chunksOf(source: ByteSource, compression: Compression, how: Decompressing): Iterable<Buffer> {
  const { name } = compression
  if (how.decodesBeside) return throughThread(source, name, how.cancel)
  const open = () => openDecoder(name)
  const first = open()
  if (first === undefined) return throughThread(source, name, how.cancel)
  return throughDecoder(source, { first, open, compression }, new ChunkRing(outputBytes))
}

/** Errors of decompressors as errors of the image. */
function* explained(source: ByteSource, found: Compression, how: Decompressing): Generator<Buffer> {
  const { name, hint } = found
  let offset = 0
  try {
    for (const chunk of chunksOf(source, found, how)) {
      offset += chunk.length
      yield chunk
    }
  } catch (error) {
    if (isSyscallError(error) || error instanceof RootmergeError || error instanceof Cancelled) throw error
    if (error instanceof MissingDecoder)
      throw source.corrupt(`it is compressed by ${name}, which nothing here can read`, { hint })
    const reason = `the ${name} data are damaged or cut short: ${(error as Error).message}`
    throw source.corrupt(reason, { offset, cause: error })
  }
}
