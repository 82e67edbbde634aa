// The metadata of one object, read from it in full.

import { type Fd, type FileType, isSyscallError, type Kernel, type Name, type Stat } from '../sys/index.ts'
import { isCopied, type MetadataPolicy } from './policy.ts'

/** One extended attribute. */
export interface Xattr {
  readonly name: Name
  readonly value: Buffer
}

/** Everything that belongs to an object beside its type and its contents. */
export interface Attributes {
  readonly uid: number
  readonly gid: number
  /** Permission bits, `0o7777`. */
  readonly mode: number
  readonly atimeNs: bigint
  readonly mtimeNs: bigint
  /** ACLs (system.posix_acl_*) and security.capability are among them. */
  readonly xattrs: readonly Xattr[]
  /** FS_*_FL bits, when they are to be kept. */
  readonly inodeFlags?: number
}

const none: readonly Xattr[] = []

/**
 * The attributes of an open object that `policy` keeps.
 *
 * @param fd    may be an O_PATH descriptor (symlinks, fifos, devices)
 * @param stat  of the same object
 * @param names  of its extended attributes, where they are known
 */
export function readAttributes(
  kernel: Kernel,
  fd: Fd,
  stat: Stat,
  policy: MetadataPolicy,
  names?: readonly Name[],
): Attributes {
  const { uid, gid, mode, atimeNs, mtimeNs } = stat
  const attributes = { uid, gid, mode, atimeNs, mtimeNs, xattrs: xattrsOf(kernel, fd, stat.type, policy, names) }
  const inodeFlags = policy.inodeFlags ? findInodeFlags(kernel, fd, stat) : undefined
  return inodeFlags === undefined ? attributes : { ...attributes, inodeFlags }
}

/** The extended attributes of an open object of `type` that `policy` keeps. */
export function xattrsOf(
  kernel: Kernel,
  fd: Fd,
  type: FileType,
  policy: MetadataPolicy,
  names: readonly Name[] = kernel.listXattrs(fd),
): readonly Xattr[] {
  if (names.length === 0) return none
  const xattrs: Xattr[] = []
  for (const name of names) {
    if (!isCopied(name, type, policy)) continue
    const value = findXattr(kernel, fd, name)
    if (value !== undefined) xattrs.push({ name, value })
  }
  return xattrs
}

/**
 * The value of an attribute, or undefined when it has gone since it was listed, or is listed for nothing: btrfs
 * lists trusted.* to those who may not read it, and EPERM is then the answer.
 */
function findXattr(kernel: Kernel, fd: Fd, name: Name): Buffer | undefined {
  try {
    return kernel.getXattr(fd, name)
  } catch (error) {
    if (isSyscallError(error, 'ENODATA')) return undefined
    if (name.startsWith('trusted.') && isSyscallError(error, 'EPERM')) return undefined
    throw error
  }
}

/** The inode flags; undefined where the file system, or the type, has none. */
function findInodeFlags(kernel: Kernel, fd: Fd, stat: Stat): number | undefined {
  if (stat.type !== 'file' && stat.type !== 'directory') return undefined
  try {
    return kernel.getInodeFlags(fd)
  } catch (error) {
    if (isSyscallError(error, 'ENOTTY', 'EOPNOTSUPP', 'EINVAL', 'ENOSYS')) return undefined
    throw error
  }
}
