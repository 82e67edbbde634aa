// The two roots of every error that this library throws.

import { displayName } from './bytes.ts'
import { type ErrnoName, errnoNumber, errnoText } from './errno.ts'
import type { Name } from './kernel.ts'

/** A system call that the kernel refused, in the shape of Node's own errors. */
export class SyscallError extends Error {
  override readonly name = 'SyscallError'
  /** The errno's name, such as `ENOSPC`. */
  readonly code: ErrnoName
  /** The errno, negative as Node has it. */
  readonly errno: number
  /** The kernel's name of the call, such as `copy_file_range`. */
  readonly syscall: string
  /** The path concerned, escaped for reading. */
  declare readonly path?: string
  /** The second path of a call that has two. */
  declare readonly dest?: string

  constructor(code: ErrnoName, syscall: string, path?: Name, dest?: Name) {
    super(messageOf(code, syscall, path, dest))
    this.code = code
    this.errno = -errnoNumber(code)
    this.syscall = syscall
    if (path !== undefined) this.path = displayName(path)
    if (dest !== undefined) this.dest = displayName(dest)
  }
}

function messageOf(code: ErrnoName, syscall: string, path?: Name, dest?: Name): string {
  const from = path === undefined ? '' : ` '${displayName(path)}'`
  const to = dest === undefined ? '' : ` -> '${displayName(dest)}'`
  return `${code}: ${errnoText(code)}, ${syscall}${from}${to}`
}

/** Whether `error` is a refused system call, and (when codes are given) for one of these reasons. */
export function isSyscallError(error: unknown, ...codes: ErrnoName[]): error is SyscallError {
  return error instanceof SyscallError && (codes.length === 0 || codes.includes(error.code))
}

/** What more an error can say than its message. */
export interface ErrorDetails {
  /** What the caller can do about it, one sentence. */
  readonly hint?: string
  readonly cause?: unknown
}

/** The parent of every error that is not a system call's: `code` is `ERR_ROOTMERGE_…`. */
export abstract class RootmergeError extends Error {
  abstract readonly code: `ERR_ROOTMERGE_${string}`
  /** What the caller can do about it. */
  readonly hint: string | undefined

  constructor(message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.hint = details.hint
  }

  override get name(): string {
    return this.constructor.name
  }
}

/** The process runs where the library has no kernel to talk to. */
export class UnsupportedPlatformError extends RootmergeError {
  readonly code = 'ERR_ROOTMERGE_UNSUPPORTED_PLATFORM'

  constructor(platform: string, architecture: string) {
    super(`rootmerge runs on Linux on x64 and arm64, not on ${platform} on ${architecture}`, {
      hint: 'On other systems run it in a Linux container or virtual machine.',
    })
  }
}
