// What each errno means for the copy, as data: per call, what the chain does about it and why.
//
// Sources: copy_file_range(2), sendfile(2), lseek(2), fallocate(2), ioctl_ficlone(2); coreutils src/copy-file-data.c;
// Go internal/poll/copy_file_range_linux.go; Rust library/std kernel_copy; Portage's and libuv's bug lists; and what
// Linux 6.18 answered on ext4, XFS, btrfs, tmpfs and overlayfs.

import type { ErrnoName } from '../sys/index.ts'
import type { Decline } from './report.ts'

/** A call that may decline. Reading and writing may not: what they refuse is the answer. */
export type DecliningCall = Exclude<Decline['method'], 'read_write'>

/**
 * What the chain does about an errno.
 *
 * `process`, `devices`, `file`, `extent`: the call declines, and for this long it is not asked again. `process` holds
 * only after a call on no descriptor confirms that the kernel itself lacks it. `again`: the call is repeated, a few
 * times, and then declines for the file. `fatal`: the copy ends, because no other method could do better.
 */
export type Answer = 'process' | 'devices' | 'file' | 'extent' | 'again' | 'fatal'

/** An answer and its reason. */
export type Row = readonly [answer: Answer, why: string]

type Table = Readonly<Partial<Record<ErrnoName, Row>>>

/** What is not in the table has not been seen yet; the next method then gives the true verdict. */
export const unlisted: Row = ['extent', 'unknown; overlayfs answered EFAULT on 5.4 and 5.5']

/** No method does better with less room, less memory or a handle that is gone. */
const endings: Table = {
  ENOSPC: ['fatal', 'another method needs as much room, or more'],
  EDQUOT: ['fatal', 'reflinks count against quotas as bytes do (generic/305)'],
  ENOMEM: ['fatal', 'the machine, not the method'],
  ESTALE: ['fatal', 'the file is gone from the NFS server'],
  EISDIR: ['fatal', 'a directory has no contents to copy'],
}

const reflink: Table = {
  ...endings,
  EOPNOTSUPP: ['devices', 'the file system does not share extents (ext4, tmpfs, XFS without reflink)'],
  EXDEV: ['devices', 'another superblock; also an overlay and the file system under it'],
  EINVAL: ['file', 'not regular, unaligned, nodatacow beside datacow (btrfs), beyond RLIMIT_FSIZE'],
  ENOTTY: ['devices', 'the ioctl is unknown: old file systems, some FUSE servers, gVisor'],
  ENOSYS: ['process', 'a stripped kernel or a seccomp filter'],
  EPERM: ['file', 'an immutable target, or seccomp in containers; never remembered, since it means both'],
  EACCES: ['file', 'a security module (SELinux on Android, AppArmor)'],
  EBADF: ['file', 'the target is open for appending'],
  ETXTBSY: ['file', 'an active swap file, which can still be read'],
  EFBIG: ['file', 'beyond the limit of the target; writing gives the true verdict'],
  EOVERFLOW: ['fatal', 'the range wraps around: a wrong argument'],
  EIO: ['fatal', 'dirty pages of the source could not be written, or the disk fails'],
  EAGAIN: ['again', 'a lease or a lock is in the way'],
}

const copyFileRange: Table = {
  ...endings,
  ENOSYS: ['process', 'below 4.5, seccomp; or a faulty FUSE server, which the confirming call tells apart'],
  EXDEV: ['devices', 'file systems of different kinds (5.19), or different superblocks (below 5.3)'],
  EOPNOTSUPP: ['devices', 'the file system says no; NFS of RHEL 7 (golang/go#40731)'],
  EINVAL: ['file', 'not regular; eCryptfs (oven-sh/bun#25534); WSL 1'],
  EPERM: ['file', 'an immutable target, seccomp (golang/go#40893), CIFS (libuv#3322)'],
  EACCES: ['file', 'CephFS before 4.20; a security module'],
  EBADF: ['file', 'the target is open for appending'],
  ETXTBSY: ['file', 'an active swap file (generic/554)'],
  EIO: ['extent', 'CIFS on 3.10 (golang/go#42334); a real one comes again from read or write, and names the file'],
  ENOENT: ['file', 'CIFS (coreutils bug 60455); fuse-overlayfs with an unlinked source (#368)'],
  EOVERFLOW: ['file', 'position and length wrap around on 32-bit ABIs (rust-lang/rust#78979)'],
  EFBIG: ['file', 'the limit of the target is checked even at the end of the source (6.17, 6.18)'],
  ENOTTY: ['file', 'in the list that coreutils shares with FICLONE'],
  EAGAIN: ['again', 'a lease, or NFS copying asynchronously'],
}

const sendfile: Table = {
  ...endings,
  EINVAL: ['file', 'the source cannot be spliced (seq_file of /proc), or the target appends'],
  ENOSYS: ['process', 'seccomp'],
  EPERM: ['file', 'seccomp, a sealed memfd, an immutable inode on ext4'],
  EOVERFLOW: ['file', 'beyond the smaller s_maxbytes of the two'],
  EIO: ['extent', 'libuv emulates after it; a real one comes again from read or write'],
  ENOTSOCK: ['file', 'kernels before 2.6.33 wrote to sockets only'],
  EXDEV: ['devices', 'libuv emulates after it'],
  ESPIPE: ['file', 'an offset, but the source has no positions'],
  EBADF: ['file', 'access modes; writing gives the true verdict'],
  EFBIG: ['fatal', 'as write: the limit of the target'],
  EAGAIN: ['again', 'a lease or a mandatory lock'],
}

const seek: Table = {
  EINVAL: ['file', 'no map: seq_file of /proc, block devices, kernels before 3.1'],
  EOPNOTSUPP: ['file', 'no map: NFS before 4.2, FUSE servers without LSEEK'],
  ENOSYS: ['file', 'no map: leaked by FUSE proxies'],
  ESPIPE: ['file', 'no positions at all'],
  EOVERFLOW: ['fatal', 'an offset that cannot be represented'],
  EBADF: ['fatal', 'not a descriptor'],
  EIO: ['fatal', 'never "no more data": that would make zeros of a failing disk'],
  ENOMEM: ['fatal', 'the machine, not the call'],
  ESTALE: ['fatal', 'the file is gone from the NFS server'],
}

const makeRoom: Table = {
  EOPNOTSUPP: ['devices', 'the file system cannot'],
  ENOSYS: ['process', 'old kernels and C libraries, seccomp'],
  EINVAL: ['extent', 'not regular, or unaligned on a block device'],
  ENODEV: ['file', 'not regular'],
  ESPIPE: ['file', 'a pipe'],
  EBADF: ['file', 'not open for writing: writing will tell'],
  EPERM: ['file', 'an immutable inode or a sealed memfd: writing will tell'],
  ETXTBSY: ['file', 'an active swap file'],
  EFBIG: ['fatal', 'beyond the limit of the target'],
  EIO: ['fatal', 'the disk fails'],
  ENOMEM: ['fatal', 'the machine, not the call'],
  ESTALE: ['fatal', 'the file is gone from the NFS server'],
}

/** The whole table. */
export const declineTable: Readonly<Record<DecliningCall, Table>> = {
  reflink,
  copy_file_range: copyFileRange,
  sendfile,
  seek,
  preallocate: {
    ...makeRoom,
    ENOSPC: ['fatal', 'the one call that can say so before anything is copied'],
    EDQUOT: ['fatal', 'as ENOSPC'],
  },
  punch: {
    ...makeRoom,
    ENOSPC: ['extent', 'splitting an extent needs room in the tree; zeros may still fit'],
    EDQUOT: ['extent', 'as ENOSPC'],
  },
  zero_range: {
    ...makeRoom,
    ENOSPC: ['extent', 'as for punching'],
    EDQUOT: ['extent', 'as for punching'],
  },
}

/** What the chain does about an errno of a call. */
export function answerTo(call: DecliningCall, code: ErrnoName): Answer {
  return (declineTable[call][code] ?? unlisted)[0]
}
