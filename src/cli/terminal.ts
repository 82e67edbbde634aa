// Whether a stream is a terminal.

import { fstatSync } from 'node:fs'

/** A terminal is one of these; so is /dev/null. A stream that is closed is none. */
function isCharacterDevice(stream: number): boolean {
  try {
    return fstatSync(stream).isCharacterDevice()
  } catch {
    return false
  }
}

/** As isatty(3) of the stream's number. What knows it loads all of Node's sockets (2 ms): files and pipes do without. */
export function isTerminal(stream: number): boolean {
  return isCharacterDevice(stream) && process.getBuiltinModule('node:tty').isatty(stream)
}
