// What this runtime can do at best: the system calls that a case cannot do without, through the kernel interface, in a bare
// loop in two threads. No plan, no journal, no record, no owner; only regular files, in directories of one level.
//
//   node build/bench/bareCalls.js fresh|again|move IMAGE ROOT
//
// bench/merge.ts runs it beside the merge. A goal below what this takes is out of reach here, whatever the engine does.

import { hash } from 'node:crypto'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { isMainThread, Worker, workerData } from 'node:worker_threads'
import { AT_FDCWD, type Fd, type Kernel, linuxKernel, type Name, O_DIRECTORY, O_NOFOLLOW } from '../src/sys/index.ts'

const { O_CREAT, O_EXCL, O_RDONLY, O_RDWR } = fs.constants
const [ours, theirs] = [Buffer.alloc(256 * 1024), Buffer.alloc(256 * 1024)]

/** What is done with each file; `root` is the directory of its name in the root, where the case has one. */
type PerFile = (kernel: Kernel, image: Fd, name: Name, root: Fd) => void

const perFile: Readonly<Record<string, PerFile>> = {
  /** Copied with its mode and times, and digested. */
  fresh(kernel, image, name, root) {
    const stat = kernel.statat(image, name)
    const from = kernel.openat(image, name, O_RDONLY | O_NOFOLLOW)
    const to = kernel.openat(root, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
    const payload = ours.subarray(0, kernel.pread(from, ours, 0))
    kernel.pwrite(to, payload, 0)
    hash('sha256', payload)
    kernel.listXattrs(from)
    kernel.fchmod(to, stat.mode)
    kernel.futimens(to, stat.atimeNs, stat.mtimeNs)
    kernel.close(to)
    kernel.close(from)
  },
  /** Compared with what is there, and digested. */
  again(kernel, image, name, root) {
    kernel.statat(image, name)
    kernel.statat(root, name)
    const [from, there] = [image, root].map((directory) => kernel.openat(directory, name, O_RDONLY | O_NOFOLLOW))
    const payload = ours.subarray(0, kernel.pread(from as Fd, ours, 0))
    if (!payload.equals(theirs.subarray(0, kernel.pread(there as Fd, theirs, 0)))) throw new Error(`${name} differs`)
    hash('sha256', payload)
    for (const fd of [from, there]) {
      kernel.listXattrs(fd as Fd)
      kernel.close(fd as Fd)
    }
  },
  /** Digested where it is. */
  move(kernel, image, name) {
    kernel.statat(image, name)
    const from = kernel.openat(image, name, O_RDONLY | O_NOFOLLOW)
    hash('sha256', ours.subarray(0, kernel.pread(from, ours, 0)))
    kernel.listXattrs(from)
    kernel.close(from)
  },
}

/** What both threads know. */
interface Work {
  readonly what: string
  readonly image: string
  readonly root: string
  /** With files in them, relative to the image. */
  readonly directories: readonly string[]
  /** The number of the directory that is taken next. */
  readonly next: Int32Array
}

function doDirectories({ what, image, root, directories, next }: Work): void {
  const kernel = linuxKernel()
  const doFile = perFile[what] as PerFile
  for (let index = Atomics.add(next, 0, 1); index < directories.length; index = Atomics.add(next, 0, 1)) {
    const directory = directories[index] as string
    const from = kernel.openat(AT_FDCWD, join(image, directory), O_DIRECTORY)
    const to = what === 'move' ? from : kernel.openat(AT_FDCWD, join(root, directory), O_DIRECTORY)
    for (const { name } of kernel.readDirectory(from)) doFile(kernel, from, name, to)
    for (const fd of new Set([from, to])) kernel.close(fd)
  }
}

async function main(what: string, image: string, root: string): Promise<void> {
  const all = fs.readdirSync(image, { recursive: true, withFileTypes: true })
  const directories = [...new Set(all.filter((entry) => entry.isFile()).map(({ parentPath }) => parentPath))].map(
    (path) => path.slice(image.length + 1),
  )
  if (what === 'fresh') for (const each of directories) fs.mkdirSync(join(root, each), { recursive: true })
  const work: Work = { what, image, root, directories, next: new Int32Array(new SharedArrayBuffer(4)) }
  const helper = new Worker(new URL(import.meta.url), { workerData: work })
  const ended = new Promise((resolve) => helper.on('exit', resolve))
  doDirectories(work)
  if ((await ended) !== 0) throw new Error('the other thread failed')
  if (what === 'move') for (const name of fs.readdirSync(image)) fs.renameSync(join(image, name), join(root, name))
}

if (isMainThread) await main(...(process.argv.slice(2) as [string, string, string]))
else doDirectories(workerData as Work)
