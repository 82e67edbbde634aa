// Inode flags, in the three moments at which they can be set.

import {
  type Fd,
  FS_APPEND_FL,
  FS_IMMUTABLE_FL,
  FS_NOATIME_FL,
  FS_NOCOW_FL,
  FS_NODUMP_FL,
  FS_SYNC_FL,
  type Kernel,
  SyscallError,
} from '../sys/index.ts'
import type { Losses } from './losses.ts'

/** FS_COMPR_FL, FS_NOCOMP_FL and FS_DIRSYNC_FL of linux/fs.h. */
const FS_COMPR_FL = 0x4
const FS_NOCOMP_FL = 0x400
const FS_DIRSYNC_FL = 0x10000

/** Take effect on an empty file only: btrfs answers success to +C on a full one and does not set it. */
export const beforeContents: number = FS_NOCOW_FL | FS_COMPR_FL | FS_NOCOMP_FL
/** May be set at any time, and hinder nothing. */
export const withMetadata: number = FS_SYNC_FL | FS_DIRSYNC_FL | FS_NODUMP_FL | FS_NOATIME_FL
/** Last of all: an object that has one of these can neither be renamed nor get its times. */
export const afterCommit: number = FS_APPEND_FL | FS_IMMUTABLE_FL

/**
 * Sets those of `flags` that are in `mask`, leaves all others as they are, and reads them back: a flag that the file
 * system silently dropped is a loss.
 */
export function setInodeFlags(kernel: Kernel, fd: Fd, change: { flags: number; mask: number }, lost: Losses): void {
  const wanted = change.flags & change.mask
  if (wanted === 0) return
  lost.attempt('inodeFlags', () => {
    kernel.setInodeFlags(fd, kernel.getInodeFlags(fd) | wanted)
    if ((kernel.getInodeFlags(fd) & wanted) !== wanted) throw new SyscallError('EOPNOTSUPP', 'ioctl')
  })
}
