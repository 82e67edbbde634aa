// What can go wrong with a copy beyond a refused system call.

import { displayName } from '../sys/bytes.ts'
import { RootmergeError } from '../sys/errors.ts'
import type { ErrorClass, Name } from '../sys/index.ts'
import type { Decline } from './report.ts'

/** Source and target are one file, or the two ranges in it overlap. Nothing was written. */
export class SameFileError extends RootmergeError {
  readonly code = 'ERR_ROOTMERGE_SAME_FILE'

  constructor(what: string) {
    super(`${what} are the same file`, { hint: 'Copy to another name, or to a range that does not overlap.' })
  }
}

/** The source was written to while it was copied, so the target is a mixture of its states. */
export class SourceChangedError extends RootmergeError {
  readonly code = 'ERR_ROOTMERGE_SOURCE_CHANGED'
  /** Bytes that were copied. */
  readonly bytes: number

  constructor(bytes: number, size: number, path?: Name) {
    const source = path === undefined ? 'the source' : `'${displayName(path)}'`
    super(`${source} changed while it was copied: ${bytes} bytes were copied, and its size is now ${size}`, {
      hint: 'Copy it again when nobody writes to it.',
    })
    this.bytes = bytes
  }
}

/** More bytes than the window holds. What fitted was written. */
export class OutOfBoundsError extends RootmergeError {
  readonly code = 'ERR_ROOTMERGE_OUT_OF_BOUNDS'
  /** Bytes that were written. */
  readonly bytesWritten: number

  constructor(bytesWritten: number, targetOffset: number, window: number) {
    super(`out of bounds: the window ends at ${window}; from ${targetOffset}, ${bytesWritten} bytes were written`, {
      hint: 'Make the window (or the device) larger, or limit the length.',
    })
    this.bytesWritten = bytesWritten
  }
}

/** None of the methods that were allowed could copy (all of) the source. */
export class NoMethodError extends RootmergeError {
  readonly code = 'ERR_ROOTMERGE_NO_METHOD'
  readonly declined: readonly Decline[]

  constructor(declined: readonly Decline[]) {
    const reasons = declined.map((decline) => `${decline.method}: ${decline.code}`).join(', ')
    super(`no allowed method can copy this file (${reasons === '' ? 'none was left to try' : reasons})`, {
      hint: 'Allow read_write, which declines nothing.',
    })
    this.declined = declined
  }
}

/** A descriptor opened with O_APPEND was to be written at an offset, which the kernel ignores (pwrite(2), BUGS). */
export class AppendOnlyError extends RootmergeError {
  readonly code = 'ERR_ROOTMERGE_APPEND_ONLY'

  constructor() {
    super('the target is open for appending, where the kernel ignores offsets', {
      hint: 'Open it without O_APPEND.',
    })
  }
}

/** A file system object of a type that has no contents to copy, or that cannot take any. */
export class NotCopyableError extends RootmergeError {
  readonly code = 'ERR_ROOTMERGE_NOT_COPYABLE'

  constructor(role: 'source' | 'target', type: string, path?: Name) {
    super(`the ${role}${path === undefined ? '' : ` '${displayName(path)}'`} is a ${type}`, {
      hint: 'Give a file, a block device, a pipe or a socket.',
    })
  }
}

/** All of them, for errors that cross threads. */
export const errorClasses: readonly ErrorClass[] = [
  SameFileError,
  SourceChangedError,
  OutOfBoundsError,
  NoMethodError,
  AppendOnlyError,
  NotCopyableError,
]
