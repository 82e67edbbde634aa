// EINTR: one answer for every call. A call that was interrupted has done nothing (what it had done it would have
// reported as a short count), so it is made again with the same arguments, after a look at the cancel flag.

import { isSyscallError } from './errors.ts'
import type { Kernel } from './kernel.ts'

/** close(2) has released the descriptor even when it was interrupted: a second call would end somebody else's. */
const onceOnly = new Set<keyof Kernel>(['close'])

/** How often calls were interrupted, for diagnostics. */
export interface Interrupts {
  count: number
}

/**
 * A kernel that makes interrupted calls again.
 *
 * @param beforeRetry  called before each new attempt; may throw, which cancels
 */
export function retryInterrupted(
  kernel: Kernel,
  beforeRetry: () => void = () => {},
  seen: Interrupts = { count: 0 },
): Kernel {
  const retrying =
    (call: (...args: unknown[]) => unknown) =>
    (...args: unknown[]) => {
      for (;;) {
        try {
          return call(...args)
        } catch (error) {
          if (!isSyscallError(error, 'EINTR')) throw error
          seen.count++
          beforeRetry()
        }
      }
    }
  const calls = Object.entries(kernel).map(([name, call]) => [
    name,
    onceOnly.has(name as keyof Kernel) ? call : retrying(call as (...args: unknown[]) => unknown),
  ])
  return Object.fromEntries(calls) as Kernel
}
