// What an image brings and a record keeps: one entry per name.

import type { Attributes } from '../movefile/index.ts'
import type { Device, FileType, Name } from '../sys/index.ts'
import type { Offered } from './config/memory.ts'
import type { StyleName } from './config/styles.ts'

/** Which object an entry is, beside its metadata. */
export interface EntryObject {
  /** Relative to the root, `/`-separated, no `.` or `..`, no leading `/`. */
  readonly name: Name
  readonly type: FileType
  /** Where a symlink points. */
  readonly target?: Name
  /** What a character or block device stands for. */
  readonly rdev?: Device
  /** The name of an earlier entry that is the same inode. */
  readonly linkTo?: Name
}

/** What of an entry is known without opening it. */
export interface EntryFacts extends EntryObject {
  readonly uid: number
  readonly gid: number
  /** Permission bits, `0o7777`. */
  readonly mode: number
  readonly mtimeNs: bigint
  /** Bytes of a regular file's payload; 0 for others. */
  readonly size: number
}

/** Something to read attributes of: a name and a value each. */
export type Xattrs = Attributes['xattrs']

/** What a record's source may not have said of an entry: each is a way in which it cannot be told to differ. */
export const unknowns = [
  'type',
  'missing', // it may be absent: nobody is told so
  'size',
  'mode',
  'owner',
  'group',
  'mtime',
  'nanoseconds', // of the mtime, of which only the second is known
  'link',
  'device',
  'xattrs', // beside those that are recorded
] as const

/** One of them. */
export type Unknown = (typeof unknowns)[number]

/** A digest that another installer made. */
export interface Digest {
  readonly algorithm: 'md5' | 'sha1' | 'sha256' | 'sha384' | 'sha512'
  /** Hexadecimal; what is shorter than the algorithm's digests is the beginning of one. */
  readonly value: string
}

/** What configuration protection remembers of an entry. */
export interface RecordedProtection {
  /** By whose rules. */
  readonly style: StyleName
  /** sha256 of the version that the live file comes from, where that is another than the entry's own. */
  readonly base?: string
  readonly offered?: Offered
}

/** An entry as a record keeps it: everything that `verify` compares. */
export interface RecordedEntry extends EntryFacts {
  readonly xattrs: Xattrs
  /** sha256 of the payload in hexadecimal; undefined when no digest was asked for. */
  readonly sha256?: string
  /** What another installer digested it with instead: of a file's payload, of a symlink's target. */
  readonly foreignDigest?: Digest
  /** What is not known: the field that would say it is 0, '' or absent, and means nothing. */
  readonly unknown?: ReadonlySet<Unknown>
  /** A directory that was there before and kept its owner and mode, which are not what the image had. */
  readonly isKept?: boolean
  /** The package's own installer calls it a configuration file. */
  readonly isConfig?: boolean
  /**
   * The name was protected. The entry is then what its package brought, also where the live object is the admin's.
   */
  readonly protection?: RecordedProtection
}

/** While it is made. */
export type Writable<T> = { -readonly [Key in keyof T]: T[Key] }
