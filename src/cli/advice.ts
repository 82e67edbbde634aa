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

const intoDirectory = 'A directory has that name: `rootmerge move` goes into one with --target-directory.'

/** What a rename's refusal means, where that is more than its code says. */
const byCodeOfRename: Readonly<Record<string, string>> = {
  EISDIR: intoDirectory,
  ENOTEMPTY: intoDirectory,
  EBUSY: 'It is a mount point, or somebody works in it.',
}

/** Advice for an error: its own hint, else what its call or its code suggests; undefined when there is none. */
export function adviceFor(error: {
  readonly code?: string
  readonly hint?: string
  readonly syscall?: string
}): string | undefined {
  const { code = '', hint, syscall } = error
  return hint ?? (syscall === 'renameat2' ? byCodeOfRename[code] : undefined) ?? byCode[code]
}

/** Whether it has to be said that a root is as it was: it is, after any error of a command on a root but one. */
export function shouldReassure(
  error: { readonly message?: string; readonly hint?: string },
  exitCode: number,
): boolean {
  if (exitCode === exitCodes.recoveryPending) return false
  return !/nothing (was|is) changed|was undone/i.test(`${error.message ?? ''} ${error.hint ?? ''}`)
}
