// Bytes, extents, and making them durable.

import { type Door, fdOf, integerOf } from './door.ts'
import { SyscallError } from './errors.ts'
import type { Fd, Kernel } from './kernel.ts'
import type { CallName } from './platform.ts'

// ioctl requests of linux/fs.h; asm-generic encoding, the same on x64 and arm64.
const FICLONE = 0x40049409
const FICLONERANGE = 0x4020940d
const BLKGETSIZE64 = 0x80081272

/** Calls that read and write. */
export function contentCalls(door: Door): Pick<Kernel, 'read' | 'write' | 'pread' | 'pwrite'> {
  const { calls, invokeBuffer } = door
  const transfer = (call: CallName, fd: Fd, bytes: Uint8Array, offset: number, length = bytes.length) => {
    // The kernel would read on, in memory that is somebody else's.
    if (!(length >= 0 && length <= bytes.length)) throw new RangeError(`not in ${bytes.length} bytes: ${length}`)
    const moved = invokeBuffer(calls[call], fdOf(fd), bytes, length, integerOf(offset))
    if (moved < 0) throw door.failure(call, fd)
    return moved
  }
  return {
    read: (fd, buffer) => transfer('read', fd, buffer, 0),
    write: (fd, bytes) => transfer('write', fd, bytes, 0),
    pread: (fd, buffer, offset) => transfer('pread64', fd, buffer, offset),
    pwrite: (fd, bytes, offset, length) => transfer('pwrite64', fd, bytes, offset, length),
  }
}

/** Calls that share, copy and shape extents without showing their bytes. */
export function extentCalls(
  door: Door,
): Pick<
  Kernel,
  'copyFileRange' | 'sendfile' | 'ficlone' | 'ficloneRange' | 'lseek' | 'ftruncate' | 'fallocate' | 'blockDeviceSize'
> {
  const { calls, invoke3, invoke4, invoke6, address, struct64 } = door
  return {
    copyFileRange(source, sourceOffset, target, targetOffset, length) {
      struct64[0] = BigInt(sourceOffset)
      struct64[1] = BigInt(targetOffset)
      const [from, to] = [address.struct, address.struct + 8]
      const copied = invoke6(calls.copy_file_range, fdOf(source), from, fdOf(target), to, integerOf(length), 0)
      if (copied < 0) throw door.failure('copy_file_range', source, undefined, target)
      return copied
    },
    sendfile(target, source, sourceOffset, length) {
      struct64[0] = BigInt(sourceOffset)
      const copied = invoke4(calls.sendfile, fdOf(target), fdOf(source), address.struct, integerOf(length))
      if (copied < 0) throw door.failure('sendfile', source, undefined, target)
      return copied
    },
    ficlone(target, source) {
      if (invoke3(calls.ioctl, fdOf(target), FICLONE, fdOf(source)) < 0) {
        throw door.failure('ioctl FICLONE', source, undefined, target)
      }
    },
    ficloneRange(target, source, sourceOffset, length, targetOffset) {
      struct64.set([BigInt(fdOf(source)), BigInt(sourceOffset), BigInt(length), BigInt(targetOffset)])
      if (invoke3(calls.ioctl, fdOf(target), FICLONERANGE, address.struct) < 0) {
        throw door.failure('ioctl FICLONERANGE', source, undefined, target)
      }
    },
    lseek(fd, offset, whence) {
      const position = invoke3(calls.lseek, fdOf(fd), integerOf(offset), whence)
      if (position < 0) throw door.failure('lseek', fd)
      return exactOffset(position)
    },
    ftruncate(fd, size) {
      if (invoke3(calls.ftruncate, fdOf(fd), integerOf(size), 0) < 0) throw door.failure('ftruncate', fd)
    },
    fallocate(fd, mode, offset, length) {
      const result = invoke4(calls.fallocate, fdOf(fd), mode, integerOf(offset), integerOf(length))
      if (result < 0) throw door.failure('fallocate', fd)
    },
    blockDeviceSize(fd) {
      if (invoke3(calls.ioctl, fdOf(fd), BLKGETSIZE64, address.struct) < 0) throw door.failure('ioctl BLKGETSIZE64', fd)
      return exactOffset(struct64[0] as bigint)
    },
  }
}

/** koffi returns a BigInt beyond 2^53; such an offset is refused rather than rounded. */
function exactOffset(offset: number | bigint): number {
  const exact = Number(offset)
  if (!Number.isSafeInteger(exact)) throw new SyscallError('EOVERFLOW', 'lseek')
  return exact
}

/** Calls that flush, and the lock. */
export function durabilityCalls(door: Door): Pick<Kernel, 'fsync' | 'fdatasync' | 'syncfs' | 'flock'> {
  const { calls, invoke3 } = door
  const plain = (call: CallName, fd: Fd, argument = 0) => {
    if (invoke3(calls[call], fdOf(fd), argument, 0) < 0) throw door.failure(call, fd)
  }
  return {
    fsync: (fd) => plain('fsync', fd),
    fdatasync: (fd) => plain('fdatasync', fd),
    syncfs: (fd) => plain('syncfs', fd),
    flock: (fd, operation) => plain('flock', fd, operation),
  }
}
