// What an image brings and a record keeps: one entry per name.

import type { Attributes } from '../movefile/index.ts'
import type { Device, FileType, Name } from '../sys/index.ts'

/** What of an entry is known without opening it. */
export interface EntryFacts {
  /** Relative to the root, `/`-separated, no `.` or `..`, no leading `/`. */
  readonly name: Name
  readonly type: FileType
  readonly uid: number
  readonly gid: number
  /** Permission bits, `0o7777`. */
  readonly mode: number
  readonly mtimeNs: bigint
  /** Bytes of a regular file's payload; 0 for others. */
  readonly size: number
  /** Where a symlink points. */
  readonly target?: Name
  /** What a character or block device stands for. */
  readonly rdev?: Device
  /** The name of an earlier entry that is the same inode. */
  readonly linkTo?: Name
}

/** Something to read attributes of: a name and a value each. */
export type Xattrs = Attributes['xattrs']

/** An entry as a record keeps it: everything that `verify` compares. */
export interface RecordedEntry extends EntryFacts {
  readonly xattrs: Xattrs
  /** sha256 of the payload in hexadecimal; undefined when no digest was asked for. */
  readonly sha256?: string
}
