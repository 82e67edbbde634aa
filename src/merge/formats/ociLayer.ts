// One layer of a container image as a package of its own: what it takes away is taken away in the root.

import type { Name } from '../../sys/index.ts'
import type { ByteSource } from '../archive/byteSource.ts'
import type { Format, Reading } from '../archive/format.ts'
import type { Member } from '../archive/member.ts'
import { memberName } from '../archive/memberName.ts'
import { PackageArchive } from '../archive/packageArchive.ts'
import { readTar } from '../archive/tarReader.ts'
import { UnsafeEntryError } from '../errors.ts'
import { whiteoutOf } from './ociWhiteouts.ts'

/** A layer's tar, compressed or not. It has to be named: in any other tar a whiteout is a file like others. */
export const ociLayerFormat: Format = {
  name: 'oci-layer',
  reads: 'plain',
  recognises: () => false,
  open: (source: ByteSource, reading: Reading) => new LayerArchive(source, reading),
}

class LayerArchive extends PackageArchive {
  *members(): Generator<Member> {
    const [names, opaque] = [new Set<Name>(), new Set<Name>()]
    this.facts = { whiteouts: { names, opaque } }
    const { limits } = this.reading
    for (const member of readTar(this.source, { ...this.reading, headerBytes: limits.headerBytes })) {
      const whiteout = whiteoutOf(memberName(member.path, 0))
      if (whiteout === undefined) yield member
      else if (whiteout.kind !== 'nothing') (whiteout.kind === 'opaque' ? opaque : names).add(whiteout.name)
      if (names.size + opaque.size > limits.members)
        throw new UnsafeEntryError(member.path, `is more than the ${limits.members} members that are allowed`)
    }
  }
}
