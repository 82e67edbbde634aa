// What an archive would bring, as entries of a record: read to its end, nothing written anywhere.

import type { EngineContext } from '../../sys/engineThread.ts'
import { type CancelFlag, type Name, toName } from '../../sys/index.ts'
import type { RecordedEntry } from '../entry.ts'
import { UnsafeEntryError } from '../errors.ts'
import { recordBytes } from '../record.ts'
import type { Allowance } from './limits.ts'
import type { Member } from './member.ts'
import { memberName } from './memberName.ts'
import { piecesOfHole, readPayload } from './payload.ts'
import { PayloadDigest } from './payloadDigest.ts'
import { type ArchiveOptions, strippedAway, withArchive } from './unpack.ts'

/** Options of readArchive(). */
export interface ReadArchiveOptions extends ArchiveOptions {
  /** The archive; `-` is standard input. */
  readonly image: string | Uint8Array
  /** The name in the record; `archive` by default. */
  readonly package?: string
}

/** What the archive would be recorded as, in mtree format: its last member of each name, in order of names. */
export function readArchiveRecord(engine: EngineContext, options: ReadArchiveOptions): Uint8Array {
  const input = { ...engine, options }
  return withArchive(input, toName(options.image), (archive, { allowance }) => {
    const strip = options.stripComponents ?? archive.format.stripComponents ?? 0
    const entries = new Map<Name, RecordedEntry>()
    const known = { entries, strip, allowance, cancel: engine.cancel }
    for (const member of archive.members()) {
      engine.cancel.check()
      const name = memberName(member.path, strip)
      allowance.member(member.path)
      if (name !== '') entries.set(name, entryOf(name, member, known))
    }
    if (options.stripComponents && entries.size === 0)
      throw strippedAway(toName(options.image), options.stripComponents)
    const sorted = [...entries.values()].sort((one, other) => (one.name < other.name ? -1 : 1))
    const packageName = options.package ?? archive.facts.packageName ?? 'archive'
    return Buffer.concat([...recordBytes({ packageName, entries: sorted })])
  })
}

interface Known {
  readonly entries: ReadonlyMap<Name, RecordedEntry>
  readonly strip: number
  readonly allowance: Allowance
  readonly cancel: CancelFlag
}

function entryOf(name: Name, member: Member, { entries, strip, allowance, cancel }: Known): RecordedEntry {
  const { path, type, uid, gid, mode, mtimeNs, size, target, rdev, xattrs } = member
  if (type === 'link') {
    const first = entries.get(memberName(target ?? '', strip))
    if (first === undefined) throw new UnsafeEntryError(path, `is a link to '${target}', which is no earlier member`)
    return { ...first, name, linkTo: first.linkTo ?? first.name }
  }
  const digest = new PayloadDigest(true, member, member.payload?.image ?? '')
  readPayload(member, {
    bytes(chunk) {
      allowance.bytes(path, chunk.length)
      digest.bytes(chunk)
    },
    hole(length) {
      allowance.hole(path, length)
      for (const piece of piecesOfHole(length)) {
        cancel.check()
        digest.hole(piece)
      }
    },
  })
  const sha256 = type === 'file' ? digest.finish() : undefined
  return {
    ...{ name, type, uid, gid, mode, mtimeNs, size, xattrs },
    ...(target === undefined ? {} : { target }),
    ...(rdev === undefined ? {} : { rdev }),
    ...(sha256 === undefined ? {} : { sha256 }),
  }
}
