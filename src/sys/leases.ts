// Leases: the NFS server and Samba hold them on what their clients have open (fcntl(2), F_SETLEASE). Opening such a file
// takes it back from them, for which the kernel lets others wait; those who open without blocking hear EAGAIN at once.

import { O_NONBLOCK } from './constants.ts'
import { isSyscallError } from './errors.ts'
import type { Kernel } from './kernel.ts'

/** Between two attempts. */
const pauseMs = 20
/** A little more than holders are given by default (/proc/sys/fs/lease-break-time: 45 s). */
const patienceMs = 60_000

/**
 * A kernel that opens files without blocking, so that no fifo can hold it up, and yet waits until a lease is given back.
 *
 * @param beforeRetry  called before each new attempt; may throw, which cancels
 */
export function waitForLeases(kernel: Kernel, beforeRetry: () => void): Kernel {
  return {
    ...kernel,
    openat(directory, path, flags, mode) {
      for (let waitedMs = 0; ; waitedMs += pauseMs) {
        try {
          return kernel.openat(directory, path, flags, mode)
        } catch (error) {
          if ((flags & O_NONBLOCK) === 0 || waitedMs >= patienceMs || !isSyscallError(error, 'EAGAIN')) throw error
        }
        beforeRetry()
        kernel.poll([], pauseMs)
      }
    },
  }
}
