// Exit codes: one for each kind of answer, and one table from errors to them.

import { Interrupted } from './signals.ts'

/** What the command's exit code says. */
export const exitCodes = {
  done: 0,
  /** Refused, or the answer is no (verify differs, owner finds none). */
  refused: 1,
  usage: 2,
  /** A system call failed; nothing changed, unless it was output that could not be written. */
  system: 3,
  /** A transaction is pending: `rootmerge recover` goes on with it. */
  recoveryPending: 4,
} as const

/** What each code means, in words; the manual takes them from here. */
export const exitCodeMeanings: readonly (readonly [codes: string, meaning: string])[] = [
  ['0', 'done; also an unmerge that kept edited files: it lists them'],
  ['1', 'refused, or the answer is no: verify found a difference, owner found nobody'],
  ['2', 'the command line is wrong'],
  ['3', 'a system call failed; nothing was changed, unless it was the output that could not be written'],
  ['4', 'a transaction is pending: run `rootmerge recover`'],
  ['130, 143, 129', 'interrupted by Ctrl-C, SIGTERM or SIGHUP; undone, nothing was changed'],
]

const byErrorCode: Readonly<Record<string, number>> = {
  ERR_ROOTMERGE_COLLISION: exitCodes.refused,
  ERR_ROOTMERGE_UNSAFE_ENTRY: exitCodes.refused,
  ERR_ROOTMERGE_ESCAPES_ROOT: exitCodes.refused,
  ERR_ROOTMERGE_STATE_MISSING: exitCodes.refused,
  ERR_ROOTMERGE_NESTED_ROOT: exitCodes.refused,
  ERR_ROOTMERGE_CANNOT_UNDO: exitCodes.refused,
  ERR_ROOTMERGE_LOCKED: exitCodes.refused,
  ERR_ROOTMERGE_CORRUPT_IMAGE: exitCodes.refused,
  ERR_ROOTMERGE_CORRUPT_RECORD: exitCodes.refused,
  ERR_ROOTMERGE_UNKNOWN_PACKAGE: exitCodes.refused,
  ERR_ROOTMERGE_INEXPRESSIBLE: exitCodes.refused,
  ERR_ROOTMERGE_CORRUPT_DATABASE: exitCodes.refused,
  ERR_ROOTMERGE_IMPORTED_PACKAGE: exitCodes.refused,
  ERR_ROOTMERGE_INVALID_ARGUMENT: exitCodes.usage,
  ERR_ROOTMERGE_RECOVERY_PENDING: exitCodes.recoveryPending,
  ERR_ROOTMERGE_UNSUPPORTED_PLATFORM: exitCodes.system,
  ERR_ROOTMERGE_NO_SPACE: exitCodes.system,
}

/** The exit code that an error means. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof Interrupted) return 128 + error.number
  const code = (error as { code?: unknown }).code
  if (typeof code !== 'string') return exitCodes.system
  return byErrorCode[code] ?? (code.startsWith('ERR_ROOTMERGE_') ? exitCodes.refused : exitCodes.system)
}
