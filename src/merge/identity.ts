// Identity: how recovery knows which object has a name. Never the inode number alone (ext4 gives a freed one to the
// next file at once), never st_dev (it changes over mounts).

import { type Fd, isSyscallError, type Kernel, type Name } from '../sys/index.ts'

/**
 * What tells one object from every other of its file system, for as long as it lives; undefined for an absent name.
 *
 * The file handle (inode number and generation) where the file system has one, else inode number and birth time.
 * An empty name means the descriptor itself.
 */
export function identityOf(kernel: Kernel, directory: Fd, name: Name): string | undefined {
  try {
    return kernel.handleAt(directory, name)
  } catch (error) {
    if (isSyscallError(error, 'ENOENT')) return undefined
    // overlayfs without nfs_export, FUSE servers, and seccomp filters that know no handles.
    if (!isSyscallError(error, 'EOPNOTSUPP', 'EPERM', 'ENOSYS', 'EOVERFLOW', 'EINVAL')) throw error
  }
  const stat = name === '' ? kernel.fstat(directory) : kernel.findat(directory, name)
  return stat && `${stat.ino}@${stat.btimeNs ?? 'unknown'}`
}
