// The metadata of one object, read from it in full.

import { type Fd, type FileType, isSyscallError, type Kernel, type Name, type Stat } from '../sys/index.ts'
import { accessAcl, defaultAcl, isCopied, type MetadataPolicy } from './policy.ts'

/** One extended attribute. */
export interface Xattr {
  readonly name: Name
  readonly value: Buffer
}

/** Extended attributes of an object: all of them, unless it has more than the kernel lists. */
export type Xattrs = readonly Xattr[] & { readonly isPartial?: true }

/** Everything that belongs to an object beside its type and its contents. */
export interface Attributes {
  readonly uid: number
  readonly gid: number
  /** Permission bits, `0o7777`. */
  readonly mode: number
  readonly atimeNs: bigint
  readonly mtimeNs: bigint
  /** ACLs (system.posix_acl_*) and security.capability are among them. */
  readonly xattrs: Xattrs
  /** FS_*_FL bits, when they are to be kept. */
  readonly inodeFlags?: number
}

const none: Xattrs = []
/** Beside a user's own: they are asked for by name where names cannot be listed, since a mode means nothing without its ACL. */
const systemNames: readonly Name[] = [accessAcl, defaultAcl, 'security.capability', 'security.selinux', 'security.ima']

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
  names: readonly Name[] | undefined = listNames(kernel, fd),
): Xattrs {
  if (names?.length === 0) return none
  const xattrs: Xattr[] = []
  for (const name of names ?? systemNames) {
    if (!isCopied(name, type, policy)) continue
    const value = findXattr(kernel, fd, name)
    if (value !== undefined) xattrs.push({ name, value })
  }
  return names === undefined && !excludesUsers(policy) ? Object.assign(xattrs, { isPartial: true as const }) : xattrs
}

/** The names of an open object's attributes; undefined where they have more than the 64 KiB that the kernel lists. */
export function listNames(kernel: Kernel, fd: Fd): readonly Name[] | undefined {
  try {
    return kernel.listXattrs(fd)
  } catch (error) {
    if (!isSyscallError(error, 'E2BIG')) throw error
    return undefined
  }
}

/** Whether whatever a user has given to an object is left out. */
function excludesUsers(policy: MetadataPolicy): boolean {
  return policy.excludes('user.*') && policy.excludes('trusted.*')
}

/**
 * The value of an attribute; undefined when there is none, or it is listed for nothing: btrfs lists trusted.* to those
 * who may not read it, and EPERM is then the answer.
 */
export function findXattr(kernel: Kernel, fd: Fd, name: Name): Buffer | undefined {
  try {
    return kernel.getXattr(fd, name)
  } catch (error) {
    if (isSyscallError(error, 'ENODATA', 'EOPNOTSUPP')) return undefined
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
