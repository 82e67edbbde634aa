// Which calls have declined, and for how long that is known.

import { AT_FDCWD, type ErrnoName, isSyscallError, type Kernel } from '../sys/index.ts'
import type { DecliningCall } from './declines.ts'
import type { Decline } from './report.ts'

/** Kernels below this have a copy_file_range that miscounts and misses checks; Go and gnulib avoid it as well. */
const copyFileRangeSince = [5, 3] as const

/** What is remembered beyond one file: by process, and by pair of devices. */
export class DeclineMemory {
  readonly #process = new Map<DecliningCall, Decline['code']>()
  readonly #devices = new Map<number, Map<number, Map<DecliningCall, ErrnoName>>>()

  /** @param release  what uname(2) calls the kernel, such as `6.1.0-18-amd64` */
  constructor(release: string) {
    if (!reaches(release, copyFileRangeSince)) this.#process.set('copy_file_range', 'OLD_KERNEL')
  }

  /** Why `call` is known to decline from one device to the other; undefined when it is not. */
  reason(call: DecliningCall, sourceDevice: number, targetDevice: number): Decline['code'] | undefined {
    return this.#process.get(call) ?? this.#devices.get(sourceDevice)?.get(targetDevice)?.get(call)
  }

  addDevices(call: DecliningCall, sourceDevice: number, targetDevice: number, code: ErrnoName): void {
    const targets = this.#devices.get(sourceDevice) ?? new Map<number, Map<DecliningCall, ErrnoName>>()
    const calls = targets.get(targetDevice) ?? new Map<DecliningCall, ErrnoName>()
    this.#devices.set(sourceDevice, targets.set(targetDevice, calls.set(call, code)))
  }

  /**
   * Remembers for the process that the kernel lacks `call`, if it does.
   *
   * A file system can answer ENOSYS too (faulty FUSE servers), so a call on no descriptor decides: a kernel that has
   * the call says EBADF (Rust's kernel_copy asks the same way).
   */
  addProcessIfConfirmed(kernel: Kernel, call: DecliningCall): void {
    const code = onNoDescriptor(kernel, call)
    if (code === 'ENOSYS' || code === 'EPERM') this.#process.set(call, code)
  }
}

function onNoDescriptor(kernel: Kernel, call: DecliningCall): ErrnoName | undefined {
  try {
    if (call === 'copy_file_range') kernel.copyFileRange(AT_FDCWD, 0, AT_FDCWD, 0, 1)
    else if (call === 'sendfile') kernel.sendfile(AT_FDCWD, AT_FDCWD, 0, 1)
    else if (call === 'reflink') kernel.ficlone(AT_FDCWD, AT_FDCWD)
    else if (call !== 'seek') kernel.fallocate(AT_FDCWD, 0, 0, 1)
  } catch (error) {
    if (isSyscallError(error)) return error.code
    throw error
  }
  return undefined
}

function reaches(release: string, [major, minor]: readonly [number, number]): boolean {
  const [, first = '', second = ''] = /^(\d+)\.(\d+)/.exec(release) ?? []
  return first === '' || Number(first) > major || (Number(first) === major && Number(second) >= minor)
}
