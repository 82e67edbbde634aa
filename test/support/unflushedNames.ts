// A kernel that knows which directories have names that no flush has reached.

import { readlinkSync } from 'node:fs'
import { type Fd, type Kernel, type Name, O_CREAT, parentName, type Stat } from '../../src/sys/index.ts'
import { wrapKernel } from './kernelDoubles.ts'

/** Notices changes of names, and flushes. */
export interface NoticingKernel {
  readonly kernel: Kernel
  /** The last change in each directory that was not flushed since, by the directory's path. */
  unflushed(): ReadonlyMap<string, string>
}

/** Of a call that gives or takes names: in which directory, by its arguments. */
const places: Readonly<Record<string, (args: readonly unknown[]) => (readonly [unknown, unknown])[]>> = {
  openat: ([directory, path, flags]) => (((flags as number) & O_CREAT) === 0 ? [] : [[directory, path]]),
  mkdirat: ([directory, path]) => [[directory, path]],
  mknodat: ([directory, path]) => [[directory, path]],
  unlinkat: ([directory, path]) => [[directory, path]],
  symlinkat: ([, directory, path]) => [[directory, path]],
  linkat: ([, , directory, path]) => [[directory, path]],
  renameat: ([from, fromPath, to, toPath]) => [
    [from, fromPath],
    [to, toPath],
  ],
}

/** Wraps a kernel; directories are told apart by inode. */
export function noticingNames(kernel: Kernel): NoticingKernel {
  const changed = new Map<string, readonly [path: string, change: string]>()
  const keyOf = ({ dev, ino }: Stat) => `${dev}:${ino}`
  const directoryOf = (fd: Fd, path: Name) => {
    const parent = parentName(path)
    const stat = parent === '' ? kernel.fstat(fd) : kernel.statat(fd, parent)
    return [keyOf(stat), [readlinkSync(`/proc/self/fd/${fd}`), parent].filter((part) => part !== '').join('/')] as const
  }
  const forgetFlushed = (call: string, fd: Fd) => {
    const stat = kernel.fstat(fd)
    if (call === 'fsync') changed.delete(keyOf(stat))
    if (call !== 'syncfs') return
    for (const key of changed.keys()) if (key.startsWith(`${stat.dev}:`)) changed.delete(key)
  }
  const noticing = wrapKernel(kernel, (call, args, proceed) => {
    const found = (places[call]?.(args) ?? []).filter(([fd]) => (fd as Fd) >= 0)
    const gone = call === 'unlinkat' ? kernel.findat(args[0] as Fd, args[1] as Name) : undefined
    const result = proceed(...args)
    for (const [fd, path] of found) {
      const [key, directory] = directoryOf(fd as Fd, path as Name)
      changed.set(key, [directory, `${call} ${String(path)}`])
    }
    if (gone?.type === 'directory') changed.delete(keyOf(gone))
    if (call === 'fsync' || call === 'syncfs') forgetFlushed(call, args[0] as Fd)
    return result
  })
  return { kernel: noticing, unflushed: () => new Map(changed.values()) }
}
