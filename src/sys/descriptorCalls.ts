// Opening, closing and waiting for descriptors.

import { O_CLOEXEC } from './constants.ts'
import { type Door, fdOf } from './door.ts'
import type { Fd, Kernel } from './kernel.ts'

const F_GETFL = 3

/** Calls that make and end descriptors. */
export function descriptorCalls(
  door: Door,
): Pick<Kernel, 'openat' | 'openat2' | 'close' | 'pipe' | 'getStatusFlags' | 'poll'> {
  const { calls, invoke3, invoke4, invoke5, address, struct32, struct64 } = door
  return {
    openat(directory, path, flags, mode = 0) {
      const fd = invoke4(calls.openat, fdOf(directory), door.path(path), flags | O_CLOEXEC, mode)
      if (fd < 0) throw door.failure('openat', directory, path)
      return fd
    },
    openat2(directory, path, flags, mode, resolve) {
      struct64[0] = BigInt(flags | O_CLOEXEC)
      struct64[1] = BigInt(mode)
      struct64[2] = BigInt(resolve)
      const fd = invoke4(calls.openat2, fdOf(directory), door.path(path), address.struct, 24)
      if (fd < 0) throw door.failure('openat2', directory, path)
      return fd
    },
    close(fd) {
      if (invoke3(calls.close, fdOf(fd), 0, 0) >= 0) return
      const failure = door.failure('close')
      if (failure.code !== 'EINTR') throw failure // close(2): Linux has always released the descriptor
    },
    pipe() {
      if (invoke3(calls.pipe2, address.struct, O_CLOEXEC, 0) < 0) throw door.failure('pipe2')
      return [struct32[0] as Fd, struct32[1] as Fd]
    },
    getStatusFlags(fd) {
      const flags = invoke3(calls.fcntl, fdOf(fd), F_GETFL, 0)
      if (flags < 0) throw door.failure('fcntl', fd)
      return flags
    },
    poll(requests, timeoutMs) {
      // struct pollfd is an int and two shorts; the timeout stands behind the last of them, 8-byte aligned.
      if (requests.length > 32) throw new RangeError('at most 32 descriptors')
      requests.forEach((request, index) => {
        struct32[2 * index] = fdOf(request.fd)
        struct32[2 * index + 1] = request.events
      })
      struct64[32] = BigInt(Math.floor(timeoutMs / 1000))
      struct64[33] = BigInt(Math.round((timeoutMs % 1000) * 1e6))
      const ready = invoke5(calls.ppoll, address.struct, requests.length, address.struct + 256, 0, 8)
      if (ready < 0) throw door.failure('ppoll')
      return requests.map((_, index) => (struct32[2 * index + 1] as number) >>> 16)
    },
  }
}
