// Decompressors of C libraries: what gzip, xz (and lzma, its old format), zstd and bzip2 themselves are made of. Every
// Debian has them (dpkg needs them); zlib is in Node itself, in a version that was made faster (99 MB of a gzip -1 in
// 201 ms, 297 with libz.so.1).

import { loadKoffi } from './koffi.ts'

/** The compressions that a C library may decode. */
export type DecoderName = 'gzip' | 'xz' | 'lzma' | 'zstd' | 'bzip2'

/** What one call of a decoder did. */
export interface DecoderStep {
  /** Bytes of the input that are done with. */
  readonly consumed: number
  /** Bytes of the output that are valid. */
  readonly produced: number
  /** Whether the compressed stream ends here; what follows it is not the decoder's. */
  readonly ended: boolean
}

/** A decoder in the middle of one compressed stream. */
export interface Decoder {
  /**
   * Decodes from `input` into `output` until one of them is used up.
   *
   * @throws {Error} when the data are damaged, or need more memory than is allowed
   */
  step(input: Buffer, output: Buffer): DecoderStep
  close(): void
}

type Library = ReturnType<ReturnType<typeof loadKoffi>['load']>
type Call = (...args: unknown[]) => number

/** Where a library is found (null is this process itself) and how it is bound: names have the number of an interface in them. */
interface Binding {
  readonly files: readonly (string | null)[]
  bind(library: Library): () => Decoder
}

const libraries: Readonly<Record<DecoderName, Binding>> = {
  gzip: { files: [null, 'libz.so.1'], bind: bindZlib },
  xz: { files: ['liblzma.so.5'], bind: bindXz },
  lzma: { files: ['liblzma.so.5'], bind: bindLzmaAlone },
  zstd: { files: ['libzstd.so.1'], bind: bindZstd },
  bzip2: { files: ['libbz2.so.1.0'], bind: bindBzip2 },
}

const bound = new Map<DecoderName, (() => Decoder) | undefined>()

/** A new decoder; undefined where the machine has not the library. */
export function openDecoder(name: DecoderName): Decoder | undefined {
  if (!bound.has(name)) bound.set(name, bind(libraries[name]))
  return bound.get(name)?.()
}

function bind({ files, bind }: Binding): (() => Decoder) | undefined {
  for (const file of files) {
    try {
      return bind(loadKoffi().load(file))
    } catch {
      // this machine has not got it, or not there
    }
  }
  return undefined
}

function addressOf(buffer: Buffer): bigint {
  return BigInt(loadKoffi().address(buffer))
}

/** Memory that a decoder may take: xz -9 needs 65 MiB, and zstd keeps to 128 MiB by itself. */
const mostMemory = 256 * 1024 * 1024

/** The one call of a library that decodes, as struct and constants lay it out. */
interface Stepper {
  /** Bytes of the structure that input and output are passed in. */
  readonly structBytes: number
  point(struct: Buffer, input: Buffer, output: Buffer): void
  call(struct: Buffer): number
  /** What a result means: that the stream ended here, that it goes on, or (in words) that it cannot. */
  meaning(result: number): 'ended' | 'goes on' | { readonly problem: string }
  left(struct: Buffer): { readonly input: number; readonly output: number }
  close(struct: Buffer): void
}

function decoderOf(stepper: Stepper, struct: Buffer): Decoder {
  return {
    step(input, output) {
      stepper.point(struct, input, output)
      const meaning = stepper.meaning(stepper.call(struct))
      if (typeof meaning !== 'string') throw new Error(meaning.problem)
      const left = stepper.left(struct)
      return {
        consumed: input.length - left.input,
        produced: output.length - left.output,
        ended: meaning === 'ended',
      }
    },
    close: () => stepper.close(struct),
  }
}

/** Results with their words: two good ones by name, the others as problems. */
function meanings(
  library: string,
  good: Readonly<Record<number, 'ended' | 'goes on'>>,
  bad: Readonly<Record<number, string>>,
) {
  return (result: number) => good[result] ?? { problem: bad[result] ?? `error ${result} of ${library}` }
}

function bindXz(library: Library): () => Decoder {
  const start = library.func('int lzma_stream_decoder(void *strm, uint64_t memlimit, uint32_t flags)') as Call
  return bindLzma(library, (struct) => start(struct, mostMemory, 0))
}

function bindLzmaAlone(library: Library): () => Decoder {
  const start = library.func('int lzma_alone_decoder(void *strm, uint64_t memlimit)') as Call
  return bindLzma(library, (struct) => start(struct, mostMemory))
}

// lzma_stream, lzma/base.h: next_in 0, avail_in 8, next_out 24, avail_out 32; 136 bytes on 64-bit machines.
function bindLzma(library: Library, start: (struct: Buffer) => number): () => Decoder {
  const code = library.func('int lzma_code(void *strm, int action)') as Call
  const end = library.func('void lzma_end(void *strm)') as Call
  const stepper: Stepper = {
    structBytes: 136,
    point(struct, input, output) {
      struct.writeBigUInt64LE(addressOf(input), 0)
      struct.writeBigUInt64LE(BigInt(input.length), 8)
      struct.writeBigUInt64LE(addressOf(output), 24)
      struct.writeBigUInt64LE(BigInt(output.length), 32)
    },
    call: (struct) => code(struct, 0), // LZMA_RUN
    // LZMA_BUF_ERROR only says that there was nothing to do.
    meaning: meanings(
      'liblzma',
      { 0: 'goes on', 1: 'ended', 10: 'goes on' },
      {
        5: 'out of memory',
        6: `it needs more than ${mostMemory} bytes of memory`,
        7: 'not in its format',
        8: 'unsupported options',
        9: 'damaged data',
      },
    ),
    left: (struct) => ({ input: Number(struct.readBigUInt64LE(8)), output: Number(struct.readBigUInt64LE(32)) }),
    close: (struct) => end(struct),
  }
  return () => {
    const struct = Buffer.alloc(stepper.structBytes)
    if (start(struct) !== 0) throw new Error('liblzma cannot be started')
    return decoderOf(stepper, struct)
  }
}

// ZSTD_inBuffer and ZSTD_outBuffer, zstd.h: address, size, position. Here at 0 and at 24 of one structure.
function bindZstd(library: Library): () => Decoder {
  const create = library.func('void *ZSTD_createDStream()') as unknown as () => unknown
  const decompress = library.func('size_t ZSTD_decompressStream(void *zds, void *output, void *input)') as Call
  const isError = library.func('unsigned int ZSTD_isError(size_t code)') as Call
  const nameOf = library.func('const char *ZSTD_getErrorName(size_t code)') as unknown as (code: number) => string
  const free = library.func('size_t ZSTD_freeDStream(void *zds)') as Call
  return () => {
    const context = create()
    const stepper: Stepper = {
      structBytes: 128,
      point(struct, input, output) {
        struct.writeBigUInt64LE(addressOf(input), 0)
        struct.writeBigUInt64LE(BigInt(input.length), 8)
        struct.writeBigUInt64LE(0n, 16)
        struct.writeBigUInt64LE(addressOf(output), 24)
        struct.writeBigUInt64LE(BigInt(output.length), 32)
        struct.writeBigUInt64LE(0n, 40)
      },
      call: (struct) => decompress(context, struct.subarray(24), struct),
      meaning: (result) => {
        if (result === 0) return 'ended'
        return isError(result) === 0 ? 'goes on' : { problem: nameOf(result) }
      },
      left(struct) {
        const of = (at: number) => Number(struct.readBigUInt64LE(at + 8) - struct.readBigUInt64LE(at + 16))
        return { input: of(0), output: of(24) }
      },
      close: () => free(context),
    }
    return decoderOf(stepper, Buffer.alloc(stepper.structBytes))
  }
}

/** How bz_stream and z_stream are laid out alike: next_in 0, avail_in 8, next_out 24, avail_out 32. */
const streamLayout: Pick<Stepper, 'point' | 'left'> = {
  point(struct, input, output) {
    struct.writeBigUInt64LE(addressOf(input), 0)
    struct.writeUInt32LE(input.length, 8)
    struct.writeBigUInt64LE(addressOf(output), 24)
    struct.writeUInt32LE(output.length, 32)
  },
  left: (struct) => ({ input: struct.readUInt32LE(8), output: struct.readUInt32LE(32) }),
}

// bz_stream, bzlib.h: 80 bytes on 64-bit machines.
function bindBzip2(library: Library): () => Decoder {
  const start = library.func('int BZ2_bzDecompressInit(void *strm, int verbosity, int small)') as Call
  const decompress = library.func('int BZ2_bzDecompress(void *strm)') as Call
  const end = library.func('int BZ2_bzDecompressEnd(void *strm)') as Call
  const stepper: Stepper = {
    ...streamLayout,
    structBytes: 80,
    call: (struct) => decompress(struct),
    meaning: meanings(
      'libbz2',
      { 0: 'goes on', 4: 'ended' },
      { [-3]: 'out of memory', [-4]: 'damaged data', [-5]: 'not in the bzip2 format' },
    ),
    close: (struct) => end(struct),
  }
  return () => {
    const struct = Buffer.alloc(stepper.structBytes)
    if (start(struct, 0, 0) !== 0) throw new Error('libbz2 cannot be started')
    return decoderOf(stepper, struct)
  }
}

// z_stream, zlib.h: 112 bytes on 64-bit machines.
function bindZlib(library: Library): () => Decoder {
  const start = library.func('int inflateInit2_(void *strm, int bits, const char *version, int size)') as Call
  const inflate = library.func('int inflate(void *strm, int flush)') as Call
  const end = library.func('int inflateEnd(void *strm)') as Call
  const stepper: Stepper = {
    ...streamLayout,
    structBytes: 112,
    call: (struct) => inflate(struct, 0), // Z_NO_FLUSH
    // Z_BUF_ERROR only says that there was nothing to do.
    meaning: meanings(
      'zlib',
      { 0: 'goes on', 1: 'ended', [-5]: 'goes on' },
      { 2: 'it needs a dictionary', [-3]: 'damaged data', [-4]: 'out of memory' },
    ),
    close: (struct) => end(struct),
  }
  return () => {
    const struct = Buffer.alloc(stepper.structBytes)
    // The largest window, and 16 for the gzip format; of the version only the first digit is looked at.
    if (start(struct, 15 + 16, '1', stepper.structBytes) !== 0) throw new Error('zlib cannot be started')
    return decoderOf(stepper, struct)
  }
}
