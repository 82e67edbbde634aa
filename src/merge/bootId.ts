// Which run of the kernel this is.

import { withDescriptor } from '../movefile/index.ts'
import { AT_FDCWD, isSyscallError, type Kernel, O_RDONLY } from '../sys/index.ts'

/** What the kernel drew when it was booted; '' where it does not say (no /proc). */
export function readBootId(kernel: Kernel): string {
  try {
    const fd = kernel.openat(AT_FDCWD, '/proc/sys/kernel/random/boot_id', O_RDONLY)
    return withDescriptor(kernel, fd, () => {
      const buffer = Buffer.alloc(64)
      return buffer.toString('latin1', 0, kernel.read(fd, buffer)).trim()
    })
  } catch (error) {
    if (isSyscallError(error)) return ''
    throw error
  }
}

/** Whether this is the run of the kernel that an id was read in; one that did not say is taken for another. */
export function isSameBoot(kernel: Kernel, bootId: string): boolean {
  return bootId !== '' && bootId === readBootId(kernel)
}
