// A descriptor that lives as long as the work that needs it.

import type { Fd, Kernel } from '../sys/index.ts'

/** Does `work` with an open descriptor and closes it, whatever happens. */
export function withDescriptor<T>(kernel: Kernel, fd: Fd, work: (fd: Fd) => T): T {
  try {
    return work(fd)
  } finally {
    quietly(() => kernel.close(fd)) // close(2) can only report writes that were lost, and nothing was written
  }
}

/**
 * As withDescriptor, for one that is written through: network file systems, and disks over their quota, report lost
 * writes when it is closed. An error of the work itself comes first.
 */
export function withWrittenDescriptor<T>(kernel: Kernel, fd: Fd, work: (fd: Fd) => T): T {
  let result: T
  try {
    result = work(fd)
  } catch (error) {
    quietly(() => kernel.close(fd))
    throw error
  }
  kernel.close(fd)
  return result
}

/** Hands an open descriptor over to what `make` makes of it; where that fails, closes it. */
export function handOver<T>(kernel: Kernel, fd: Fd, make: (fd: Fd) => T): T {
  try {
    return make(fd)
  } catch (error) {
    quietly(() => kernel.close(fd))
    throw error
  }
}

/** Does `action` on the way out of a failure: the first error is the one to report. */
export function quietly(action: () => void): void {
  try {
    action()
  } catch {
    // The failure that led here is being reported; this one would hide it.
  }
}
