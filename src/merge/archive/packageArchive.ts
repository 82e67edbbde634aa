// What the adapters of packages have in common: what they read, and that they learn about the package on the way.

import type { ByteSource } from './byteSource.ts'
import { decompressed } from './decompression.ts'
import type { Archive, PackageFacts, Reading } from './format.ts'
import type { Member } from './member.ts'
import { readTar } from './tarReader.ts'

/** A package that is being read. */
export abstract class PackageArchive implements Archive {
  facts: PackageFacts = {}
  protected readonly source: ByteSource
  protected readonly reading: Reading

  constructor(source: ByteSource, reading: Reading) {
    this.source = source
    this.reading = reading
  }

  abstract members(): Iterable<Member>

  /** The members of a tar, which may be compressed; the bytes are read to their end. */
  protected *tarIn(bytes: ByteSource): Generator<Member> {
    const plain = decompressed(bytes, this.reading)
    try {
      yield* readTar(plain, { ...this.reading, headerBytes: this.reading.limits.headerBytes })
      plain.drain()
    } finally {
      plain.close()
    }
  }
}
