// Compressed archives: which compression it is, told by its first bytes, and who takes it off.
//
// The machine's own C libraries come first: they are several times faster than what npm has, and they decode in another
// thread. Node has gzip, and zstd since 22.15; packages do the rest where there is no library.

import { createGunzip } from 'node:zlib'
import { Cancelled, type DecoderName, isSyscallError, openDecoder, RootmergeError } from '../../sys/index.ts'
import { ByteSource } from './byteSource.ts'
import { throughDecoder, throughTransforms } from './decoding.ts'
import { throughPackage } from './decodingPackages.ts'

/** Something that gives plain bytes from a source of compressed ones; undefined where it is not to be had. */
type Way = (source: ByteSource) => AsyncIterable<Buffer> | undefined | Promise<AsyncIterable<Buffer> | undefined>

/** One kind of compression. */
interface Compression {
  readonly name: string
  /** What a compressed stream begins with. */
  readonly magic: Buffer
  /** The best first. */
  readonly ways: readonly Way[]
  /** What to do where none of the ways can be gone. */
  readonly hint: string
}

const viaLibrary =
  (name: DecoderName, magic: Buffer): Way =>
  (source) => {
    const open = () => openDecoder(name)
    const first = open()
    return first === undefined ? undefined : throughDecoder(source, { first, open, magic })
  }

function compression(name: DecoderName, magicDigits: string, hint: string): Compression {
  const magic = Buffer.from(magicDigits, 'hex')
  return { name, magic, ways: [viaLibrary(name, magic), (source) => throughPackage(name, source)], hint }
}

const compressions: readonly Compression[] = [
  {
    name: 'gzip',
    magic: Buffer.from('1f8b', 'hex'),
    ways: [(source) => throughTransforms(source, createGunzip({ chunkSize: 256 * 1024 }))],
    hint: '',
  },
  compression('xz', 'fd377a585a00', 'Install liblzma.so.5 (Debian: liblzma5), or: npm install lzma-native'),
  compression(
    'zstd',
    '28b52ffd',
    'Install libzstd.so.1 (Debian: libzstd1), or use Node 22.15 or later, or: npm install fzstd',
  ),
  compression('bzip2', '425a68', 'Install libbz2.so.1.0 (Debian: libbz2-1.0), or: npm install unbzip2-stream'),
]

const magicBytes = 8

/**
 * The bytes without the compression around them, which is told by its magic number; or as they are, where there is none.
 *
 * @throws {RootmergeError} when nothing here can decompress them, with what to install
 */
export async function decompressed(source: ByteSource): Promise<ByteSource> {
  const head = await source.peek(magicBytes)
  const found = compressions.find(({ magic }) => head.subarray(0, magic.length).equals(magic))
  if (found === undefined) return source
  for (const way of found.ways) {
    const plain = await way(source)
    if (plain !== undefined) return new ByteSource(source.image, explained(source, plain, found.name))
  }
  throw source.corrupt(`it is compressed by ${found.name}, which nothing here can read`, { hint: found.hint })
}

/** Errors of decompressors as errors of the image. */
async function* explained(source: ByteSource, chunks: AsyncIterable<Buffer>, name: string): AsyncGenerator<Buffer> {
  let offset = 0
  try {
    for await (const chunk of chunks) {
      offset += chunk.length
      yield chunk
    }
  } catch (error) {
    if (isSyscallError(error) || error instanceof RootmergeError || error instanceof Cancelled) throw error
    const reason = `the ${name} data are damaged or cut short: ${(error as Error).message}`
    throw source.corrupt(reason, { offset, cause: error })
  }
}
