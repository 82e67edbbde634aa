// Files by name: opens both ends, copies, and leaves nothing half-written under a name that it made.

import {
  AT_FDCWD,
  type Fd,
  isSyscallError,
  type Kernel,
  type Name,
  O_CREAT,
  O_EXCL,
  O_NONBLOCK,
  O_RDONLY,
  O_WRONLY,
  type Stat,
  SyscallError,
} from '../sys/index.ts'
import type { Copier } from './copier.ts'
import { isSameFile } from './ends.ts'
import type { CopyOptions, CopyRange, CopyReport } from './report.ts'

/** What a caller can ask when copying by name. */
export interface NamedCopyOptions extends Omit<CopyOptions, 'stat' | 'freshOn'> {
  /** Refuse a target that is there already (EEXIST). */
  readonly exclusive?: boolean
  /** Only this range, into a target that keeps everything else; else the target becomes a copy. */
  readonly range?: CopyRange
}

/**
 * Copies the contents of the file `source` to the file `target`, which is made if it is not there.
 *
 * A new target gets the permission bits of the source, without set-id bits, less the umask; no other metadata. After
 * an error a target that was made is gone again, and one that was there is empty (or, with `range`, not longer than
 * before). Symlinks are followed. A source that is a descriptor stays open.
 */
export function copyNamed(
  copier: Copier,
  kernel: Kernel,
  names: readonly [source: Name | Fd, target: Name],
  options: NamedCopyOptions = {},
): CopyReport {
  const [sourceName, targetName] = names
  const opened = typeof sourceName === 'number' ? undefined : openSource(kernel, sourceName)
  const source = opened ?? (sourceName as Fd)
  try {
    const stat = kernel.fstat(source)
    const made = create(kernel, targetName, stat, options.exclusive === true)
    if (made !== undefined)
      return fillNew(copier, kernel, { source, target: made, name: targetName }, { ...options, stat })
    const target = openExisting(kernel, targetName, () => copier.check())
    // The source is looked at again: opening the target for writing gives a file of several names another inode number
    // on overlayfs (copy-up without an index), and then the source, if it is the same file, too.
    return closing(kernel, target, () => copyOpened(copier, source, target, options))
  } finally {
    if (opened !== undefined) closeQuietly(kernel, opened) // nothing was written to it, so there is nothing to lose
  }
}

/** A fifo without a writer would hold up the call for ever: the copy waits for it instead, and can be cancelled. */
function openSource(kernel: Kernel, name: Name): Fd {
  return kernel.openat(AT_FDCWD, name, O_RDONLY | O_NONBLOCK)
}

/** Copies into a file that has just been made, and closes it. After an error the name goes, if it is still that file. */
function fillNew(
  copier: Copier,
  kernel: Kernel,
  { source, target, name }: { source: Fd; target: Fd; name: Name },
  options: NamedCopyOptions & CopyOptions,
): CopyReport {
  let made: Stat | undefined
  try {
    return closing(kernel, target, () => {
      made = kernel.fstat(target)
      return copyOpened(copier, source, target, { ...options, freshOn: made.dev })
    })
  } catch (error) {
    removeQuietly(kernel, name, made)
    throw error
  }
}

function copyOpened(copier: Copier, source: Fd, target: Fd, options: NamedCopyOptions & CopyOptions): CopyReport {
  if (options.range !== undefined) return copier.copyRange(source, target, options.range, options)
  return copier.copyContents(source, target, options)
}

/** @returns the new file, or undefined when there is one */
function create(kernel: Kernel, name: Name, source: Stat, exclusive: boolean): Fd | undefined {
  try {
    return kernel.openat(AT_FDCWD, name, O_WRONLY | O_CREAT | O_EXCL, source.mode & 0o777)
  } catch (error) {
    if (isSyscallError(error, 'EISDIR') && !isDirectory(kernel, name)) throw new SyscallError('ENOTDIR', 'openat', name)
    if (exclusive || !isSyscallError(error, 'EEXIST')) throw error
    return undefined
  }
}

/** open(2) says EISDIR for every name to create that ends in a slash, whatever is there, and if nothing is. */
function isDirectory(kernel: Kernel, name: Name): boolean {
  return kernel.findat(AT_FDCWD, name)?.type === 'directory'
}

/** Opens without truncating, since it may be the source. Waits for the reader of a fifo, looking at the cancel flag. */
function openExisting(kernel: Kernel, name: Name, check: () => void): Fd {
  for (;;) {
    try {
      return kernel.openat(AT_FDCWD, name, O_WRONLY | O_NONBLOCK)
    } catch (error) {
      // ENXIO: a fifo that nobody reads (fifo(7)); a device that is not there says so too, and stays like that.
      if (!isSyscallError(error, 'ENXIO') || kernel.findat(AT_FDCWD, name)?.type !== 'fifo') throw error
      check()
      kernel.poll([], 50)
    }
  }
}

/** Runs `body`, then closes; an error of close counts, since NFS reports writing errors only then. */
function closing<T>(kernel: Kernel, fd: Fd, body: () => T): T {
  let result: T
  try {
    result = body()
  } catch (error) {
    closeQuietly(kernel, fd)
    throw error
  }
  kernel.close(fd)
  return result
}

/** The error that is being thrown matters more than one of closing. */
function closeQuietly(kernel: Kernel, fd: Fd): void {
  try {
    kernel.close(fd)
  } catch (error) {
    if (!isSyscallError(error)) throw error
  }
}

function removeQuietly(kernel: Kernel, name: Name, made: Stat | undefined): void {
  try {
    const found = kernel.findat(AT_FDCWD, name)
    const another = found !== undefined && made !== undefined && !isSameFile(found, made)
    if (found !== undefined && !another) kernel.unlinkat(AT_FDCWD, name)
  } catch (error) {
    if (!isSyscallError(error)) throw error
  }
}
