// What an adapter of one archive format is: how it is told, and how its members are read.

import type { CancelFlag, Kernel, Name } from '../../sys/index.ts'
import type { Accounts } from '../accounts.ts'
import type { RecordedEntry } from '../entry.ts'
import type { Whiteouts } from '../formats/ociWhiteouts.ts'
import type { ByteSource } from './byteSource.ts'
import type { Limits } from './limits.ts'
import type { Digest, Member } from './member.ts'

/** What a package says of itself, beside its files. Every part may be missing: a plain tar says nothing. */
export interface PackageFacts {
  readonly packageName?: string
  readonly version?: string
  /** Names, relative to the root, of files that administrators edit. */
  readonly configFiles?: readonly Name[]
  /** What the package promises of its payloads, by name relative to the root. */
  readonly digests?: ReadonlyMap<Name, Digest>
  /** What the package owns without bringing it: made while it is used. */
  readonly ghosts?: readonly RecordedEntry[]
  /** What it takes away of the root: a container's layer does. */
  readonly whiteouts?: Whiteouts
}

/** An archive that is being read. */
export interface Archive {
  /** The members of the image, in the archive's order; once. What belongs to the format itself is not among them. */
  members(): Iterable<Member>
  /** What is known by now: all of it when every member was read. */
  readonly facts: PackageFacts
}

/** How archives are read, whatever their format. */
export interface Reading {
  readonly kernel: Kernel
  readonly cancel: CancelFlag
  readonly limits: Limits
  /** Who a name is in the root that the archive is for. */
  readonly accounts: Accounts
  /** Whether several tar archives, one after the other, are read as one (tar's --ignore-zeros). */
  readonly concatenated: boolean
  /** Whether there is enough to do for a thread beside the engine's to decompress. */
  readonly decodesBeside?: boolean
}

/** The beginning of an archive, which is what formats are told by. */
export interface Head {
  /** As it is stored. */
  readonly stored: Buffer
  /** As it is stored, or, where that is compressed, what it decompresses to. 512 bytes at least, or all there are. */
  readonly plain: Buffer
  /** The path of the first member, where `plain` is a tar. */
  readonly firstPath?: Name
}

/** An adapter of one archive format. */
export interface Format {
  /** As --format has it. */
  readonly name: string
  /** Which bytes `open` reads: those that are stored, or those that come out of the decompressor around them all. */
  readonly reads: 'stored' | 'plain'
  /** Leading components that are taken off every name unless the caller says otherwise. */
  readonly stripComponents?: number
  /** Whether an archive with this beginning is one of this format; the first of the formats that says so reads it. */
  recognises(head: Head): boolean
  open(source: ByteSource, reading: Reading): Archive
}
