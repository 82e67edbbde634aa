// A machine whose disks write down every write and every flush (loggingDisk.c), and the disks as a power cut at any
// point of that log may leave them: what was flushed is there, of the rest an arbitrary part.

import { spawn, spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { clone, run } from './disks.ts'

const source = fileURLToPath(new URL('../../../test/support/loggingDisk.c', import.meta.url))
const headerBytes = 24

interface LogRecord {
  readonly kind: 'write' | 'flush'
  readonly disk: number
  readonly offset: number
  readonly length: number
  /** Where its bytes are in the log. */
  readonly at: number
}

/** Serves the disks in a directory (disk0, disk1, …) at a mount point while `body` runs, and logs what is written. */
export async function whileLogged<T>(
  paths: { readonly directory: string; readonly point: string; readonly log: string },
  body: (logged: { length(): number }) => Promise<T>,
): Promise<T> {
  const program = `${paths.log}.program`
  run(
    'gcc',
    '-O1',
    '-Wall',
    '-o',
    program,
    source,
    ...run('pkg-config', '--cflags', '--libs', 'fuse3').trim().split(/\s+/),
  )
  fs.writeFileSync(paths.log, '')
  const server = spawn(program, [paths.point, paths.directory, paths.log], { stdio: 'inherit' })
  const ended = new Promise((resolve) => server.once('close', resolve))
  try {
    await untilServed(join(paths.point, 'disk0'), () => server.exitCode)
    return await body({ length: () => fs.statSync(paths.log).size })
  } finally {
    spawnSync('umount', [paths.point])
    await Promise.race([ended, wait(5000)])
    server.kill('SIGKILL')
  }
}

async function untilServed(file: string, exitCode: () => number | null): Promise<void> {
  for (let attempt = 0; attempt < 400; attempt++) {
    if (fs.existsSync(file)) return
    if (exitCode() !== null) break
    await wait(10)
  }
  throw new Error('the logging disk does not serve: is /dev/fuse there, and libfuse3 installed?')
}

/** What of the writes that were not flushed survives a cut: the probability of each piece. */
export type Survival = number

/** A piece that a disk writes whole. */
const pieceBytes = 4096

/** A finished log, with the disks as they were before it. */
export class WriteLog {
  readonly records: readonly LogRecord[]
  readonly #fd: number

  constructor(file: string) {
    this.#fd = fs.openSync(file, 'r')
    this.records = readRecords(this.#fd)
  }

  close(): void {
    fs.closeSync(this.#fd)
  }

  /** How many records were complete when the log had so many bytes. */
  countAt(bytes: number): number {
    const after = this.records.findIndex(({ at, length }) => at + length > bytes)
    return after < 0 ? this.records.length : after
  }

  /**
   * Makes a disk as a cut after the first `count` records may leave it.
   *
   * @param base  the disk before the log
   * @param survival  1: everything that was written; 0: only what was flushed
   */
  cut(
    disk: { number: number; base: string },
    target: string,
    cutAt: { count: number; survival: Survival; random: () => number },
  ): void {
    clone(disk.base, target)
    const own = this.records.slice(0, cutAt.count).filter((record) => record.disk === disk.number)
    const flushed = own.findLastIndex(({ kind }) => kind === 'flush')
    const fd = fs.openSync(target, 'r+')
    own.forEach((record, index) => {
      if (record.kind === 'flush') return
      if (index < flushed || cutAt.survival === 1) this.#write(fd, record, 0, record.length)
      else this.#writePieces(fd, record, () => cutAt.random() < cutAt.survival)
    })
    fs.closeSync(fd)
  }

  #writePieces(fd: number, record: LogRecord, survives: () => boolean): void {
    for (let start = 0; start < record.length; start += pieceBytes) {
      if (survives()) this.#write(fd, record, start, Math.min(pieceBytes, record.length - start))
    }
  }

  #write(fd: number, record: LogRecord, start: number, length: number): void {
    const bytes = Buffer.allocUnsafe(length)
    fs.readSync(this.#fd, bytes, 0, length, record.at + start)
    fs.writeSync(fd, bytes, 0, length, record.offset + start)
  }
}

function readRecords(fd: number): LogRecord[] {
  const records: LogRecord[] = []
  const header = Buffer.alloc(headerBytes)
  for (let position = 0; fs.readSync(fd, header, 0, headerBytes, position) === headerBytes; ) {
    const [offset, length] = [Number(header.readBigUInt64LE(8)), Number(header.readBigUInt64LE(16))]
    const kind = header.readUInt32LE(0) === 1 ? 'write' : 'flush'
    records.push({ kind, disk: header.readUInt32LE(4), offset, length, at: position + headerBytes })
    position += headerBytes + length
  }
  return records
}
