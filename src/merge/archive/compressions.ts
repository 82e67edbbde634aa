// The compressions that archives have, each told by its first bytes.

import type { DecoderName } from '../../sys/index.ts'
import type { ByteSource } from './byteSource.ts'

/** One kind of compression. */
export interface Compression {
  readonly name: DecoderName
  /** What a compressed stream begins with, in latin1. */
  readonly start: RegExp
  /** Zeros may stand between two streams, in groups of so many. */
  readonly padding: number
  /** What to do where nothing can take it off. */
  readonly hint: string
}

const longestStart = 13

function compression(name: DecoderName, start: RegExp, hint = '', padding = 0): Compression {
  return { name, start, hint, padding }
}

const lzmaHint = 'Install liblzma.so.5 (Debian: liblzma5), or: npm install lzma-native'

/** All of them, by name. */
export const compressions: Readonly<Record<DecoderName, Compression>> = {
  gzip: compression('gzip', /^\x1f\x8b/),
  xz: compression(
    'xz',
    /^\xfd7zXZ\0/,
    lzmaHint,
    4, // xz's file format, 2.2: Stream Padding
  ),
  // Without a magic number: lc, lp and pb as every encoder has them by default, a dictionary of whole 64 KiB that is not
  // empty, and a size that is unknown or below a terabyte. Debian's packages were compressed so before there was xz.
  lzma: compression('lzma', /^\x5d\0\0(?!\0\0)[\0-\xff]{2}(?:\xff{8}|[\0-\xff]{5}\0{3})/, lzmaHint),
  // Also by a frame to be skipped, of RFC 8878, 3.1.2: pzstd puts one before each of its frames.
  zstd: compression(
    'zstd',
    /^(?:\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18)/,
    'Install libzstd.so.1 (Debian: libzstd1), or use Node 22.15 or later, or: npm install fzstd',
  ),
  bzip2: compression('bzip2', /^BZh/, 'Install libbz2.so.1.0 (Debian: libbz2-1.0), or: npm install unbzip2-stream'),
}

/** Whether what comes next of a source is compressed so. */
export function isStart(source: ByteSource, { start }: Compression): boolean {
  return start.test(source.peek(longestStart).toString('latin1'))
}
