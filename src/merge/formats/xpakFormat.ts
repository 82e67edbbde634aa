// Gentoo's older packages (.tbz2, .xpak): a compressed tar, and behind it an XPAK segment that speaks of the package.
//
// Nothing at the beginning tells it from a compressed tar, so it is read as one unless its format is named: the files are
// the same, only what the segment says is not known then.

import type { ByteSource } from '../archive/byteSource.ts'
import type { Format, PackageFacts, Reading } from '../archive/format.ts'
import type { Member } from '../archive/member.ts'
import { PackageArchive } from '../archive/packageArchive.ts'

/** The segment has no size limit of its own; Portage's are some ten kibibytes. */
const mostSegmentBytes = 64 * 1024 * 1024

/** Gentoo's packages of before gpkg. */
export const xpakFormat: Format = {
  name: 'tbz2',
  reads: 'stored',
  recognises: () => false,
  open: (source: ByteSource, reading: Reading) => new XpakArchive(source, reading),
}

class XpakArchive extends PackageArchive {
  *members(): Generator<Member> {
    yield* this.tarIn(this.source)
    this.facts = this.#readSegment()
  }

  #readSegment(): PackageFacts {
    const source = this.source
    const start = source.offset
    const bytes = Buffer.from(source.peek(mostSegmentBytes))
    const texts = parseXpak(bytes)
    if (texts === undefined) throw source.corrupt('there is no XPAK segment behind its tar', { offset: start })
    const [category, name] = [texts.get('CATEGORY')?.trim(), texts.get('PF')?.trim()]
    const [, version] = /-(\d[^-]*(?:-r\d+)?)$/.exec(name ?? '') ?? []
    if (category === undefined || name === undefined) return {}
    return { packageName: `${category}/${name}`, ...(version === undefined ? {} : { version }) }
  }
}

/**
 * `XPAKPACK`, the lengths of index and data, both, `XPAKSTOP`, the segment's length, `STOP` (xpak(5)).
 *
 * An index entry is a name's length, the name, and where its text lies in the data: offset and length.
 *
 * @returns undefined when it is none
 */
function parseXpak(bytes: Buffer): ReadonlyMap<string, string> | undefined {
  if (bytes.length < 32 || bytes.toString('latin1', 0, 8) !== 'XPAKPACK') return undefined
  const [indexLength, dataLength] = [bytes.readUInt32BE(8), bytes.readUInt32BE(12)]
  const end = 16 + indexLength + dataLength
  if (bytes.length !== end + 16 || bytes.toString('latin1', end, end + 8) !== 'XPAKSTOP') return undefined
  if (bytes.readUInt32BE(end + 8) !== end + 8 || bytes.toString('latin1', end + 12) !== 'STOP') return undefined
  const [index, data] = [bytes.subarray(16, 16 + indexLength), bytes.subarray(16 + indexLength, end)]
  const texts = new Map<string, string>()
  for (let at = 0; at < index.length; ) {
    const nameLength = at + 4 <= index.length ? index.readUInt32BE(at) : Number.POSITIVE_INFINITY
    const next = at + 4 + nameLength + 8
    if (!(next <= index.length)) return undefined
    const [offset, length] = [index.readUInt32BE(next - 8), index.readUInt32BE(next - 4)]
    if (offset + length > data.length) return undefined
    texts.set(index.toString('latin1', at + 4, next - 8), data.toString('latin1', offset, offset + length))
    at = next
  }
  return texts
}
