// The one call that waits without a thread of the engine: feeding a pipe whose other end the engine reads.

import { write } from 'node:fs'
import { promisify } from 'node:util'
import type { Fd } from './kernel.ts'

const writeOnce = promisify(write)

/** Writes all of `bytes` into a pipe, waiting for its reader as long as it takes. @throws EPIPE once that has gone */
export async function writeToPipe(pipe: Fd, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    written += (await writeOnce(pipe, bytes, written, bytes.length - written)).bytesWritten
  }
}
