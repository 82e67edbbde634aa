// Standard output and standard error, written to at once: the engine works in this thread, and while it does nothing would
// empty a stream that keeps what a pipe has not taken.

import { writeSync } from 'node:fs'

/** Standard output, for results. */
export const output = 1
/** Standard error, for everything else. */
export const complaints = 2

/** A thread that has to wait sleeps on it; nothing ever changes it. */
const never = new Int32Array(new SharedArrayBuffer(4))

/** Writes all of it. A reader that has seen enough (`rootmerge list | head`) is no failure: the rest is dropped. */
export function write(text: string | Uint8Array, stream: number = output): void {
  let rest = typeof text === 'string' ? Buffer.from(text) : text
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(stream, rest))
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EPIPE') return
      if (code !== 'EAGAIN') throw error // the other end made the pipe one that does not wait
      Atomics.wait(never, 0, 0, 1)
    }
  }
}
