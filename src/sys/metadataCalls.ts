// Owner, mode, times, inode flags.

import { AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW } from './constants.ts'
import { type Door, fdOf } from './door.ts'
import type { Fd, Kernel } from './kernel.ts'

// ioctl requests of linux/fs.h; asm-generic encoding, the same on x64 and arm64.
const FS_IOC_GETFLAGS = 0x80086601
const FS_IOC_SETFLAGS = 0x40086602

/** Calls that set owner, mode and times. */
export function metadataCalls(
  door: Door,
): Pick<Kernel, 'chownat' | 'fchown' | 'fchmod' | 'fchmodat2' | 'futimens' | 'utimensat'> {
  const { calls, invoke3, invoke4, invoke5, address, struct64 } = door
  const putTimes = (atimeNs: bigint, mtimeNs: bigint) => {
    putTime(struct64, 0, atimeNs)
    putTime(struct64, 2, mtimeNs)
    return address.struct
  }
  return {
    chownat(directory, path, uid, gid) {
      const flags = AT_SYMLINK_NOFOLLOW | (path === '' ? AT_EMPTY_PATH : 0)
      if (invoke5(calls.fchownat, fdOf(directory), door.path(path), uid, gid, flags) < 0) {
        throw door.failure('fchownat', directory, path)
      }
    },
    fchown(fd, uid, gid) {
      if (invoke3(calls.fchown, fdOf(fd), uid, gid) < 0) throw door.failure('fchown', fd)
    },
    fchmod(fd, mode) {
      if (invoke3(calls.fchmod, fdOf(fd), mode, 0) < 0) throw door.failure('fchmod', fd)
    },
    fchmodat2: (fd, mode) => chmodDescriptor(door, fd, mode),
    futimens(fd, atimeNs, mtimeNs) {
      const times = putTimes(atimeNs, mtimeNs)
      if (invoke4(calls.utimensat, fdOf(fd), 0, times, 0) < 0) throw door.failure('utimensat', fd)
    },
    utimensat(directory, path, atimeNs, mtimeNs) {
      const times = putTimes(atimeNs, mtimeNs)
      const flags = AT_SYMLINK_NOFOLLOW | (path === '' ? AT_EMPTY_PATH : 0)
      const result = invoke4(calls.utimensat, fdOf(directory), door.path(path), times, flags)
      if (result < 0) throw door.failure('utimensat', directory, path)
    },
  }
}

/**
 * fchmod(2) takes no O_PATH descriptor: fchmodat2(2) does (Linux 6.6), before that the descriptor's name under /proc.
 * Old seccomp profiles answer EPERM to calls that they don't know, so EPERM asks the second way too.
 */
function chmodDescriptor(door: Door, fd: Fd, mode: number): void {
  const { calls, invoke3, invoke4, address } = door
  if (invoke4(calls.fchmodat2, fdOf(fd), address.empty, mode, AT_EMPTY_PATH) >= 0) return
  const failure = door.failure('fchmodat2', fd)
  if (failure.code !== 'ENOSYS' && failure.code !== 'EPERM') throw failure
  if (invoke3(calls.fchmodat, AT_FDCWD, door.path(`/proc/self/fd/${fd}`), mode) < 0) throw door.failure('fchmodat', fd)
}

/** struct timespec: whole seconds rounded down, so that times before 1970 keep nanoseconds from 0 to 999,999,999. */
function putTime(longs: BigInt64Array, index: number, timeNs: bigint): void {
  const nanoseconds = ((timeNs % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n
  longs[index] = (timeNs - nanoseconds) / 1_000_000_000n
  longs[index + 1] = nanoseconds
}

/** Calls for inode flags. */
export function inodeFlagCalls(door: Door): Pick<Kernel, 'getInodeFlags' | 'setInodeFlags'> {
  const { calls, invoke3, address, struct32 } = door
  const ioctl = (fd: Fd, request: number) => {
    if (invoke3(calls.ioctl, fdOf(fd), request, address.struct) < 0) throw door.failure('ioctl', fd)
  }
  return {
    getInodeFlags(fd) {
      struct32[0] = 0
      ioctl(fd, FS_IOC_GETFLAGS)
      return struct32[0] as number
    },
    setInodeFlags(fd, flags) {
      struct32[0] = flags
      ioctl(fd, FS_IOC_SETFLAGS)
    },
  }
}
