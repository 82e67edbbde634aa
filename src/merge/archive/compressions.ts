// The compressions that archives have, each told by its first bytes.

import type { DecoderName } from '../../sys/index.ts'

/** One kind of compression. */
export interface Compression {
  readonly name: DecoderName
  /** What a compressed stream begins with. */
  readonly magic: Buffer
  /** What to do where nothing can take it off. */
  readonly hint: string
}

function compression(name: DecoderName, magic: string, hint: string): Compression {
  return { name, magic: Buffer.from(magic, 'hex'), hint }
}

/** All of them, by name. */
export const compressions: Readonly<Record<DecoderName, Compression>> = {
  gzip: compression('gzip', '1f8b', ''),
  xz: compression('xz', 'fd377a585a00', 'Install liblzma.so.5 (Debian: liblzma5), or: npm install lzma-native'),
  zstd: compression(
    'zstd',
    '28b52ffd',
    'Install libzstd.so.1 (Debian: libzstd1), or use Node 22.15 or later, or: npm install fzstd',
  ),
  bzip2: compression('bzip2', '425a68', 'Install libbz2.so.1.0 (Debian: libbz2-1.0), or: npm install unbzip2-stream'),
}
