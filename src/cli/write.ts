// Standard output and standard error, written to at once: the engine works in this thread, and while it does nothing would
// empty a stream that keeps what a pipe has not taken.

import { writeFileSync, writeSync } from 'node:fs'

/** Standard output, for results. */
export const output = 1
/** Standard error, for everything else. */
export const complaints = 2

/** A thread that has to wait sleeps on it; nothing ever changes it. */
const never = new Int32Array(new SharedArrayBuffer(4))

let lost: Error | undefined

/** Why something could not be written, if anything could not. */
export function lostOutput(): Error | undefined {
  return lost
}

/** Writes a file that tells of something done: as with all output, what cannot be written is said at the end. */
export function writeToFile(file: Buffer, contents: Uint8Array): void {
  try {
    writeFileSync(file, contents)
  } catch (error) {
    lost ??= error as Error
  }
}

/**
 * Writes all of it. A reader that has seen enough (`rootmerge list | head`) is no failure: the rest is dropped. What cannot
 * be written does not end what the command does, of which more depends than of its being told: the end of it asks
 * `lostOutput`.
 */
export function write(text: string | Uint8Array, stream: number = output): void {
  let rest = typeof text === 'string' ? Buffer.from(text) : text
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(stream, rest))
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EPIPE') return
      if (code !== 'EAGAIN') {
        lost ??= error as Error
        return
      }
      Atomics.wait(never, 0, 0, 1) // the other end made the pipe one that does not wait
    }
  }
}
