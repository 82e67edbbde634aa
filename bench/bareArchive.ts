// What this runtime can do at best with a plain tar archive of plain files: its headers decoded by tar-stream, and the system
// calls that its files cannot do without, through the kernel interface, in a bare loop in two threads. Every payload is
// digested. No check of a name, no plan, no journal, no record.
//
//   node build/bench/bareArchive.js ARCHIVE ROOT
//
// bench/archive.ts runs it beside the merge. A goal below what this takes is out of reach here, whatever the engine does.

import { hash } from 'node:crypto'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { isMainThread, Worker, workerData } from 'node:worker_threads'
import { HeaderDecoder } from '../src/merge/archive/tarHeader.ts'
import { AT_FDCWD, type Kernel, linuxKernel, O_NOFOLLOW } from '../src/sys/index.ts'

const { O_CREAT, O_EXCL, O_RDONLY, O_WRONLY } = fs.constants
const block = 512
const nameBytes = 256
const mostFiles = 200_000
const largest = 32 * 1024 * 1024

/** What both threads know: where files are in the archive, in the order of its headers. */
interface Work {
  readonly archive: string
  readonly root: string
  /** An offset, a size, a mode and a time in seconds for each. */
  readonly numbers: Float64Array
  readonly names: Uint8Array
  /** Files that are known, files that are taken, whether all are known. */
  readonly control: Int32Array
}

const at = { known: 0, taken: 1, closed: 2 }

function makeFile(kernel: Kernel, { root, numbers, names }: Work, from: number, index: number, memory: Buffer): void {
  const [offset = 0, size = 0, mode = 0, seconds = 0] = numbers.subarray(4 * index)
  const name = Buffer.from(names.buffer, index * nameBytes, nameBytes)
  const path = join(root, name.toString('latin1', 0, name.indexOf(0)))
  const to = kernel.openat(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
  const payload = memory.subarray(0, size)
  if (kernel.pread(from, payload, offset) !== size) throw new Error(`${path}: short`)
  if (kernel.pwrite(to, payload, 0) !== size) throw new Error(`${path}: written in part`)
  hash('sha256', payload)
  kernel.fchmod(to, mode)
  const timeNs = BigInt(seconds) * 1_000_000_000n
  kernel.futimens(to, timeNs, timeNs)
  kernel.close(to)
}

/** Makes files until all are made; a thread that finds none waits for the next. */
function makeFiles(kernel: Kernel, work: Work): void {
  const { archive, control } = work
  const from = kernel.openat(AT_FDCWD, archive, O_RDONLY)
  const memory = Buffer.alloc(largest)
  for (;;) {
    const [taken, known] = [Atomics.load(control, at.taken), Atomics.load(control, at.known)]
    if (taken >= known) {
      if (Atomics.load(control, at.closed) === 1 && known === Atomics.load(control, at.known)) break
      Atomics.wait(control, at.known, known, 1)
    } else if (Atomics.compareExchange(control, at.taken, taken, taken + 1) === taken)
      makeFile(kernel, work, from, taken, memory)
  }
  kernel.close(from)
}

/** Finds the files, and makes the directories. */
function readHeaders(kernel: Kernel, { archive, root, numbers, names, control }: Work): void {
  const decoder = new HeaderDecoder()
  const from = kernel.openat(AT_FDCWD, archive, O_RDONLY)
  const header = Buffer.alloc(block)
  let known = 0
  for (let offset = 0; kernel.pread(from, header, offset) === block && header[0] !== 0; ) {
    const { name = '' } = decoder.decode(header) ?? {}
    const octal = (start: number, end: number) => Number.parseInt(header.toString('latin1', start, end), 8)
    const size = octal(124, 135)
    if (String.fromCharCode(header[156] as number) === '5') fs.mkdirSync(join(root, name), { recursive: true })
    else {
      numbers.set([offset + block, size, octal(100, 107), octal(136, 147)], 4 * known)
      Buffer.from(names.buffer).write(name, known * nameBytes, 'latin1')
      Atomics.store(control, at.known, ++known)
      Atomics.notify(control, at.known)
    }
    offset += block + Math.ceil(size / block) * block
  }
  Atomics.store(control, at.closed, 1)
  Atomics.notify(control, at.known)
  kernel.close(from)
}

async function main(archive: string, root: string): Promise<void> {
  const work: Work = {
    archive,
    root,
    numbers: new Float64Array(new SharedArrayBuffer(4 * 8 * mostFiles)),
    names: new Uint8Array(new SharedArrayBuffer(nameBytes * mostFiles)),
    control: new Int32Array(new SharedArrayBuffer(12)),
  }
  const helper = new Worker(new URL(import.meta.url), { workerData: work })
  const ended = new Promise((resolve) => helper.on('exit', resolve))
  const kernel = linuxKernel()
  readHeaders(kernel, work)
  makeFiles(kernel, work)
  if ((await ended) !== 0) throw new Error('the other thread failed')
}

if (isMainThread) await main(...(process.argv.slice(2) as [string, string]))
else makeFiles(linuxKernel(), workerData as Work)
