// EINTR: one answer for every call. A call that was interrupted has done nothing (what it had done it would have
// reported as a short count), so it is made again with the same arguments, after a look at the cancel flag.

import { isSyscallError } from './errors.ts'
import type { Kernel } from './kernel.ts'

/** close(2) has released the descriptor even when it was interrupted: a second call would end somebody else's. */
const onceOnly = new Set<keyof Kernel>(['close'])

/** As many arguments as a call has at most: the compiler refuses a call that has more. */
type Arguments = [a?: unknown, b?: unknown, c?: unknown, d?: unknown, e?: unknown]
type Call = Parameters<Kernel[keyof Kernel]> extends Arguments ? (...args: Arguments) => unknown : never

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
  // By name: gathering and spreading any number of arguments costs each call about 10 ns more.
  const retrying =
    (call: Call): Call =>
    (a, b, c, d, e) => {
      for (;;) {
        try {
          return call(a, b, c, d, e)
        } catch (error) {
          if (!isSyscallError(error, 'EINTR')) throw error
          seen.count++
          beforeRetry()
        }
      }
    }
  const calls = Object.entries(kernel).map(([name, call]) => [
    name,
    onceOnly.has(name as keyof Kernel) ? call : retrying(call as Call),
  ])
  return Object.fromEntries(calls) as Kernel
}
