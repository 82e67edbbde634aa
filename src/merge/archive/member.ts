// What a reader of archives yields: one member, as the archive says it. Nothing of it has been checked yet.

import type { Extent } from '../../filecopy/index.ts'
import type { Xattr } from '../../movefile/index.ts'
import type { Device, FileType, Name } from '../../sys/index.ts'
import type { ByteSource } from './byteSource.ts'

/** A payload's digest that an archive, or a manifest, promises. */
export interface Digest {
  /** A name that node:crypto knows: md5, sha1, sha256, sha512. */
  readonly algorithm: string
  /** In hexadecimal, small letters. */
  readonly value: string
}

/**
 * One member of an archive, in the archive's own words.
 *
 * `path` and the target of a link may be absolute, lead upwards, or be anything else; numbers are in their range, or
 * the reader has refused them.
 */
export interface Member {
  /** As it is written, with whatever slashes and dots; the unpacker makes a name of it, or refuses. */
  readonly path: Name
  /** `link` is a hard link to an earlier member. */
  readonly type: FileType | 'link'
  readonly uid: number
  readonly gid: number
  /** Who the owner and the group are by name, where the archive says so; what they are worth the format decides. */
  readonly userName?: Name
  readonly groupName?: Name
  /** Permission bits, `0o7777`. */
  readonly mode: number
  readonly mtimeNs: bigint
  /** Bytes of a file, holes among them; 0 for others. */
  readonly size: number
  /** What a symlink says; the path, as it is written, of the member that a hard link is. */
  readonly target?: Name
  /** What a character or block device stands for. */
  readonly rdev?: Device
  /** ACLs and capabilities are among them, in the kernel's form. */
  readonly xattrs: readonly Xattr[]
  /** Where the bytes of the payload belong, in order and without overlap; absent when they are the whole file. */
  readonly extents?: readonly Extent[]
  /**
   * The stored bytes of a file (or of a hard link that brings its file's bytes), as many as the extents, or `size`, say.
   *
   * Valid until the next member is asked for; what was not read then is skipped.
   */
  readonly payload?: ByteSource
  /** What the archive promises of the file's bytes, holes read as zeros. */
  readonly digest?: Digest
}
