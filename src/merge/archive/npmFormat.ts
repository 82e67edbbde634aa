// npm's packages: a gzip tar whose files are all in one directory, `package/`, which is not part of their names.

import { ByteSource } from './byteSource.ts'
import type { Format, Head, PackageFacts, Reading } from './format.ts'
import type { Member } from './member.ts'
import { PackageArchive } from './packageArchive.ts'
import { readTar } from './tarReader.ts'

const mostManifestBytes = 16 * 1024 * 1024

/** What `npm pack` makes. */
export const npmFormat: Format = {
  name: 'npm',
  reads: 'plain',
  stripComponents: 1,
  recognises: ({ stored, firstPath }: Head) =>
    stored[0] === 0x1f && stored[1] === 0x8b && (firstPath?.startsWith('package/') ?? false),
  open: (source: ByteSource, reading: Reading) => new NpmArchive(source, reading),
}

class NpmArchive extends PackageArchive {
  *members(): Generator<Member> {
    const { limits, concatenated, accounts } = this.reading
    for (const member of readTar(this.source, { headerBytes: limits.headerBytes, concatenated, accounts })) {
      const isManifest = /^[^/]+\/package\.json$/.test(member.path) && member.size <= mostManifestBytes
      yield isManifest && member.payload !== undefined ? this.#readManifest(member, member.payload) : member
    }
  }

  /** The manifest is one of the files too, so its bytes are passed on. */
  #readManifest(member: Member, payload: ByteSource): Member {
    const start = payload.offset
    const bytes = Buffer.from(payload.take(member.size))
    this.facts = factsOf(bytes)
    return { ...member, payload: new ByteSource(payload.image, [bytes], start) }
  }
}

function factsOf(manifest: Buffer): PackageFacts {
  try {
    const { name, version } = JSON.parse(manifest.toString()) as { name?: unknown; version?: unknown }
    return {
      ...(typeof name === 'string' ? { packageName: name } : {}),
      ...(typeof version === 'string' ? { version } : {}),
    }
  } catch {
    return {} // the files are what is merged, whatever one of them says
  }
}
