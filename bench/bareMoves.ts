// What this runtime can do at best with small files that move: the calls of Mover.move through the kernel interface, and
// nothing else. Nobody is refused, nothing is compared, no error is understood.
//
// bench/movefile.ts runs them beside the mover. A goal below what they take is out of reach here, whatever the engine does.

import * as fs from 'node:fs'
import { AT_EMPTY_PATH, type Fd, type Kernel, type Name, O_NOFOLLOW, O_NONBLOCK, O_TMPFILE } from '../src/sys/index.ts'

const { O_RDONLY, O_WRONLY } = fs.constants
const memory = Buffer.alloc(64 * 1024)

/** How one file of `source` goes to `target`: by renaming, or by copying where they are on two file systems. */
export function bareMove(kernel: Kernel, source: Fd, target: Fd): (name: Name) => void {
  const isApart = kernel.fstat(source).dev !== kernel.fstat(target).dev
  return isApart ? (name) => copy(kernel, source, target, name) : (name) => rename(kernel, source, target, name)
}

function rename(kernel: Kernel, source: Fd, target: Fd, name: Name): void {
  kernel.findat(source, name)
  kernel.listXattrsAt(source, name)
  kernel.renameat(source, name, target, name)
}

function copy(kernel: Kernel, source: Fd, target: Fd, name: Name): void {
  const { mode } = kernel.statat(source, name)
  const from = kernel.openat(source, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  const to = kernel.openat(target, '.', O_WRONLY | O_TMPFILE, mode)
  kernel.pwrite(to, memory, 0, kernel.pread(from, memory, 0))
  const { atimeNs, mtimeNs } = kernel.fstat(from)
  for (const xattr of kernel.listXattrs(from)) kernel.setXattr(to, xattr, kernel.getXattr(from, xattr))
  kernel.futimens(to, atimeNs, mtimeNs)
  kernel.linkat(to, '', target, name, AT_EMPTY_PATH)
  kernel.close(to)
  kernel.close(from)
  kernel.findat(source, name)
  kernel.unlinkat(source, name)
}
