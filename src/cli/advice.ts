// What to do about an error that says nothing about it itself.

import { exitCodes } from './exitCodes.ts'

const byCode: Readonly<Record<string, string>> = {
  EACCES: 'Run it as a user who may do that, such as root.',
  EPERM: 'Run it as a user who may do that, such as root; an immutable object (lsattr) stays as it is for root too.',
  EROFS: 'The file system is read-only: remount it for writing.',
  ENOSPC: 'The file system is full, or has no inodes left (df, df -i): make room.',
  EDQUOT: 'The quota is used up: make room, or have it raised.',
  EIO: 'The disk, or what it hangs on, fails: look at the kernel log (dmesg) before anything else.',
  ENOENT: 'Look at the path.',
  ENOTDIR: 'Look at the path: a part of it is no directory.',
  ELOOP: 'Look at the path: its symlinks lead in a circle.',
  ENAMETOOLONG: 'A name may have 255 bytes, a path 4,095.',
  EISDIR: 'It is a directory: name a file.',
  EMFILE: 'Too many files are open: raise the limit (ulimit -n).',
  ERR_ROOTMERGE_INVALID_ARGUMENT: 'Look at the arguments; --help lists what there is.',
}

/** Advice for an error: its own hint, else what its code suggests; undefined when there is none. */
export function adviceFor(error: { readonly code?: string; readonly hint?: string }): string | undefined {
  return error.hint ?? byCode[error.code ?? '']
}

/** Whether it has to be said that a root is as it was: it is, after any error of a command on a root but one. */
export function shouldReassure(
  error: { readonly message?: string; readonly hint?: string },
  exitCode: number,
): boolean {
  if (exitCode === exitCodes.recoveryPending) return false
  return !/nothing (was|is) changed|was undone/i.test(`${error.message ?? ''} ${error.hint ?? ''}`)
}
