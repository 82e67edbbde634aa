// What of an object's metadata could not be kept. Which refusals count as a loss stands in one table; every other
// error ends the work.

import { displayName } from '../sys/bytes.ts'
import { isSyscallError, RootmergeError, SyscallError } from '../sys/errors.ts'
import type { ErrnoName, Name } from '../sys/index.ts'

/** A part of an object's metadata. */
export type Kept = 'owner' | 'group' | 'mode' | 'acl' | 'xattr' | 'times' | 'inodeFlags' | 'links'

/** One part of the metadata that the target has not, and why. */
export interface Loss {
  readonly what: Kept
  /** The attribute's name, escaped for reading, when `what` is an attribute. */
  readonly attribute?: string
  /** The object's name below the top of the tree, when it is not the top itself. */
  readonly path?: string
  /** Why: the errno's name. */
  readonly code: ErrnoName
  /** The kernel's refusal in words. */
  readonly message: string
}

/**
 * The errnos that mean "this part of the metadata cannot be kept here", by part.
 *
 * EIO, EROFS, ENOMEM, ESTALE are in none of them: they say nothing about metadata. ENOSPC is a loss for attributes
 * only, as ext4 has room for about 4,000 bytes of them whatever the disk has free.
 */
export const refusals: Readonly<Record<Kept, readonly ErrnoName[]>> = {
  // EINVAL and EOVERFLOW: an id that this user namespace, or a 16-bit file system, does not know.
  owner: ['EPERM', 'EACCES', 'EINVAL', 'EOVERFLOW', 'EDQUOT', 'EOPNOTSUPP', 'ENOSYS'],
  group: ['EPERM', 'EACCES', 'EINVAL', 'EOVERFLOW', 'EDQUOT', 'EOPNOTSUPP', 'ENOSYS'],
  mode: ['EPERM', 'EACCES', 'EOPNOTSUPP', 'ENOSYS'],
  acl: ['EPERM', 'EACCES', 'EINVAL', 'EOPNOTSUPP', 'ENOSPC', 'EDQUOT', 'E2BIG', 'ERANGE', 'ENOSYS'],
  xattr: [
    'EPERM',
    'EACCES',
    'EINVAL',
    'EOPNOTSUPP',
    'ENOSPC',
    'EDQUOT',
    'E2BIG',
    'ERANGE',
    'ENODATA',
    'ENOSYS',
    'ENOKEY',
  ],
  times: ['EPERM', 'EACCES', 'EINVAL', 'EOVERFLOW', 'EOPNOTSUPP', 'ENOSYS'],
  inodeFlags: ['EPERM', 'EACCES', 'EINVAL', 'EOPNOTSUPP', 'ENOTTY', 'ENOSYS'],
  // ENAMETOOLONG: in a tree the first name is reached by its path from the top.
  links: ['EMLINK', 'EPERM', 'EOPNOTSUPP', 'EXDEV', 'ENOSYS', 'ENAMETOOLONG'],
}

/** Collects what was lost while the rest goes on. */
export class Losses {
  readonly list: Loss[] = []

  /** Does `action`; a refusal that the table knows is written down and answered by false. */
  attempt(what: Kept, action: () => void, attribute?: Name): boolean {
    try {
      action()
      return true
    } catch (error) {
      if (!isSyscallError(error, ...refusals[what])) throw error
      this.add(what, error, attribute)
      return false
    }
  }

  /** Attributes whose names the kernel does not list: XFS, btrfs and tmpfs hold more of them. */
  addUnlisted(): void {
    const message = 'there are more than 64 KiB of their names, which the kernel does not list'
    this.list.push({ what: 'xattr', code: 'E2BIG', message })
  }

  /** Of the refusal without the path: what is being made has none yet, or one that will mean nothing. */
  add(what: Kept, reason: SyscallError | Loss, attribute?: Name): void {
    const { code } = reason
    const { message } = reason instanceof SyscallError ? new SyscallError(code, reason.syscall) : reason
    this.list.push(
      attribute === undefined ? { what, code, message } : { what, attribute: displayName(attribute), code, message },
    )
  }
}

/** Metadata that had to be kept could not be; nothing was put in place. */
export class MetadataLostError extends RootmergeError {
  readonly code = 'ERR_ROOTMERGE_METADATA_LOST'
  /** Everything that could not be kept. */
  readonly lost: readonly Loss[]

  constructor(path: string, lost: readonly Loss[]) {
    const lines = lost.map(describeLoss).join('; ')
    super(`the metadata of '${path}' cannot be kept: ${lines}`, {
      hint: 'Choose metadata: best-effort to go on without it and have it reported.',
    })
    this.lost = lost
  }
}

/** One loss as a person reads it. */
export function describeLoss(loss: Loss): string {
  const subject = loss.attribute === undefined ? words[loss.what] : `${words[loss.what]} ${loss.attribute}`
  return `${loss.path === undefined ? '' : `${loss.path}: `}${subject} (${loss.message})`
}

const words: Readonly<Record<Kept, string>> = {
  owner: 'owner',
  group: 'group',
  mode: 'permission bits',
  acl: 'access control list',
  xattr: 'attribute',
  times: 'times',
  inodeFlags: 'inode flags',
  links: 'hard link',
}
