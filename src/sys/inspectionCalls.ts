// What an object is: stat, directory members, link targets, file handles, file systems.

import { AT_EACCESS, AT_EMPTY_PATH, AT_HANDLE_FID, AT_SYMLINK_NOFOLLOW, PATH_MAX, SEEK_SET } from './constants.ts'
import { type Door, fdOf } from './door.ts'
import type { DirectoryEntry, Fd, FileType, Kernel } from './kernel.ts'
import { StatMemory, statxMask } from './statx.ts'

const AT_NO_AUTOMOUNT = 0x800

/** Calls that look and change nothing. */
export function inspectionCalls(
  door: Door,
): Pick<Kernel, 'fstat' | 'statat' | 'findat' | 'readDirectory' | 'readlinkat' | 'handleAt'> {
  const { calls, invoke3, invoke4, invoke5, address, struct, struct32, values } = door
  const statFlags = AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT
  const stats = new StatMemory()
  const statx = (fd: Fd, path: number) => invoke5(calls.statx, fdOf(fd), path, statFlags, statxMask, address.struct)
  let handleFlags = AT_HANDLE_FID

  return {
    fstat(fd) {
      if (statx(fd, address.empty) < 0) throw door.failure('statx', fd)
      return stats.keep(struct32)
    },
    statat(directory, path) {
      if (statx(directory, door.path(path)) < 0) throw door.failure('statx', directory, path)
      return stats.keep(struct32)
    },
    findat(directory, path) {
      if (statx(directory, door.path(path)) >= 0) return stats.keep(struct32)
      if (door.errno() === 'ENOENT') return undefined // an answer, not an error: it costs no stack and no path
      throw door.failure('statx', directory, path)
    },
    readDirectory(fd) {
      const entries: DirectoryEntry[] = []
      if (invoke3(calls.lseek, fdOf(fd), 0, SEEK_SET) < 0) throw door.failure('lseek', fd)
      for (;;) {
        const length = invoke3(calls.getdents64, fd, address.values, values.length)
        if (length < 0) throw door.failure('getdents64', fd)
        if (length === 0) return entries
        decodeDirectoryEntries(values, length, entries)
      }
    },
    readlinkat(directory, path) {
      const length = invoke4(calls.readlinkat, fdOf(directory), door.path(path), address.values, PATH_MAX)
      if (length < 0) throw door.failure('readlinkat', directory, path)
      return values.toString('latin1', 0, length)
    },
    handleAt(directory, path) {
      for (;;) {
        struct32[0] = 128 // MAX_HANDLE_SZ
        const flags = handleFlags | (path === '' ? AT_EMPTY_PATH : 0)
        const mountId = address.struct + 256
        const call = calls.name_to_handle_at
        if (invoke5(call, fdOf(directory), door.path(path), address.struct, mountId, flags) >= 0) {
          return `${struct32[1]}:${struct.toString('hex', 8, 8 + (struct32[0] as number))}`
        }
        const failure = door.failure('name_to_handle_at', directory, path)
        if (failure.code !== 'EINVAL' || handleFlags === 0) throw failure
        handleFlags = 0 // AT_HANDLE_FID came with Linux 6.5
      }
    },
  }
}

/** Calls that ask what may be done, and how much room there is. */
export function permissionCalls(door: Door): Pick<Kernel, 'accessat' | 'fstatfs'> {
  const { calls, invoke3, invoke4, address, struct64 } = door
  return {
    accessat(directory, path, mode) {
      if (invoke4(calls.faccessat2, fdOf(directory), door.path(path), mode, AT_EACCESS) >= 0) return
      const failure = door.failure('faccessat2', directory, path)
      // Linux 5.8 brought it; before that, and behind an old seccomp profile, the real user is asked about.
      if (failure.code !== 'ENOSYS' && failure.code !== 'EPERM') throw failure
      if (invoke3(calls.faccessat, fdOf(directory), door.path(path), mode) < 0)
        throw door.failure('faccessat', directory, path)
    },
    fstatfs(fd) {
      if (invoke3(calls.fstatfs, fdOf(fd), address.struct, 0) < 0) throw door.failure('fstatfs', fd)
      // struct statfs of 64-bit Linux: type, bsize, blocks, bfree, bavail, files, ffree, fsid, namelen, frsize, flags.
      const long = (index: number) => Number(struct64[index])
      // What is counted, and allocated, is frsize; bsize, what is best read at once, can be larger (FUSE).
      const blockSize = long(9) || long(1)
      return {
        magic: long(0),
        blockSize,
        bytesAvailable: long(4) * blockSize,
        bytesFree: long(3) * blockSize,
        inodesTotal: long(5),
        inodesFree: long(6),
        flags: long(10),
      }
    },
  }
}

// d_type of struct linux_dirent64.
const entryTypes: Readonly<Record<number, FileType>> = {
  1: 'fifo',
  2: 'character',
  4: 'directory',
  6: 'block',
  8: 'file',
  10: 'symlink',
  12: 'socket',
}

/** struct linux_dirent64: ino, off (8 bytes each), reclen (2), type (1), then the name and a NUL. */
function decodeDirectoryEntries(memory: Buffer, length: number, entries: DirectoryEntry[]): void {
  for (let start = 0; start < length; ) {
    const end = start + memory.readUInt16LE(start + 16)
    const name = memory.toString('latin1', start + 19, memory.indexOf(0, start + 19))
    if (name !== '.' && name !== '..') entries.push({ name, type: entryTypes[memory[start + 18] as number] })
    start = end
  }
}
