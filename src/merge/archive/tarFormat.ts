// Plain tar archives, compressed or not: an image without a word about itself.

import type { ByteSource } from './byteSource.ts'
import type { Archive, Format, Head, Reading } from './format.ts'
import { sumOfHeader } from './tarHeader.ts'
import { readTar } from './tarReader.ts'

/** Any tar archive. */
export const tarFormat: Format = {
  name: 'tar',
  reads: 'plain',
  recognises: ({ plain }: Head) => sumOfHeader(plain.subarray(0, 512)) !== 0 || isEmpty(plain),
  open: (source: ByteSource, reading: Reading): Archive => ({
    facts: {},
    members: () => readTar(source, { ...reading, headerBytes: reading.limits.headerBytes }),
  }),
}

/** An archive without members is its end alone: two blocks of zeros. */
function isEmpty(plain: Buffer): boolean {
  return plain.length >= 1024 && plain.every((byte) => byte === 0)
}
