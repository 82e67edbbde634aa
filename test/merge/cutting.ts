// Operations on a root whose disks are cut off, and what recovery makes of what the cuts left.

import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Fd, type Kernel, linuxKernel } from '../../src/sys/index.ts'
import { clone, type Disk, format, type Image, sizeOf, whileMounted, withCloningHost } from '../support/disks.ts'
import { wrapKernel } from '../support/kernelDoubles.ts'
import { sample } from '../support/seeded.ts'
import { type Survival, WriteLog, whileLogged } from '../support/writeLog.ts'
import { checkOutcome, checkRecords, type Sides, sidesOf } from './outcome.ts'
import { contextOf, recover, type Scenario } from './scenarios.ts'

/** An operation on disks. */
export interface Operation {
  readonly scenario: Scenario
  readonly disks: readonly Disk[]
  /** What stands between the engine and the kernel. */
  readonly around: (kernel: Kernel) => Kernel
}

/** Where the disks of an operation are mounted, and what its root looks like on both sides of it. */
interface Scene {
  readonly disks: readonly Disk[]
  readonly directory: string
  readonly before: Sides
  readonly after: Sides
}

/** What one cut left: the disks, and whether the operation had returned, so that it must be durable. */
export interface Cut {
  readonly where: string
  readonly images: readonly Image[]
  readonly hadReturned: boolean
}

/** What came of some cuts. */
export interface Outcomes {
  readonly counts: { before: number; after: number }
  /** What was wrong, one line a cut. */
  readonly broken: readonly string[]
}

/**
 * Runs an operation on disks that write down every write and every flush, and makes cuts of it afterwards.
 *
 * Half of them right after a write of the journal, the others anywhere; of what no flush had made durable everything, a
 * part or nothing is kept.
 */
export function cutLogged(operation: Operation, count: number, random: () => number): Promise<Outcomes> {
  return withCloningHost(async (scratch) => {
    const { disks } = operation
    const [served, images] = [join(scratch, 'served'), join(scratch, 'images')]
    for (const each of [served, images]) mkdirSync(each)
    const files = disks.map((_, index) => ({ file: join(images, `disk${index}`) }))
    const directory = await prepare(operation, files, scratch)
    const bases = files.map(({ file }) => {
      clone(file, `${file}.base`)
      return `${file}.base`
    })
    const logFile = join(scratch, 'log')
    const told = await whileLogged({ directory: images, point: served, log: logFile }, ({ length }) => {
      const seen = disks.map((_, index) => ({ file: join(served, `disk${index}`) }))
      return whileMounted(disks, seen, join(directory, 'root'), () => operate(operation, directory, length))
    })
    const log = new WriteLog(logFile)
    const began = log.countAt(told.began)
    const returned = log.countAt(told.ended)
    const anywhere = () => began + Math.floor(random() * (returned + 1 - began))
    const journalWrites = told.marks.map((bytes) => log.countAt(bytes))
    const inJournal = sample(journalWrites, count >> 1, random)
    const points = [
      ...inJournal,
      ...Array.from({ length: count - inJournal.length }, anywhere),
      returned,
      log.records.length,
    ]
    function* cuts(): Generator<Cut> {
      for (const [index, at] of points.entries()) {
        const survival = survivals[index % survivals.length] as Survival
        const cutImages = bases.map((base, number) => {
          const file = join(scratch, `cut${number}`)
          log.cut({ number, base }, file, { count: at, survival, random })
          return { file }
        })
        const where = `after a cut at ${at} of ${returned} writes, ${survival} of what was not flushed kept`
        yield { where, images: cutImages, hadReturned: at >= returned }
      }
    }
    const outcomes = await suffer({ disks, directory, ...told }, cuts())
    log.close()
    return outcomes
  })
}

const survivals: readonly Survival[] = [1, 0, 0.5, 0.9, 0.1]

/**
 * Runs an operation on disks that share one file, which is cloned meanwhile: after each write of the journal, and at
 * random by another process.
 */
export function cutCloned(operation: Operation): Promise<Outcomes> {
  return withCloningHost(async (scratch) => {
    const { disks } = operation
    const file = join(scratch, 'disks')
    const images = disks.map((disk, index) => ({ file, offset: index * 512 * 1024 ** 2, size: sizeOf(disk) }))
    const directory = await prepare(operation, images, scratch)
    const cuts = join(scratch, 'cuts')
    mkdirSync(cuts)
    let count = 0
    const cloneNow = () => {
      clone(file, join(cuts, `journal-${count++}`))
      return count
    }
    const told = await whileMounted(disks, images, join(directory, 'root'), async () => {
      const stop = await runRestless('restlessCloner', file, join(cuts, 'random'))
      const result = await operate(operation, directory, cloneNow)
      await stop()
      return result
    })
    const last = `journal-${count - 1}`
    const clones = readdirSync(cuts).filter((name) => name !== last && !name.endsWith('.part'))
    return suffer(
      { disks, directory, ...told },
      [...clones, last].map((name) => ({
        where: `in the clone ${name}`,
        images: images.map((image) => ({ ...image, file: join(cuts, name) })),
        hadReturned: name === last,
      })),
    )
  })
}

/** Formats the disks and prepares the scenario on them: its directory, whose root is where they are mounted. */
async function prepare({ scenario, disks }: Operation, images: readonly Image[], scratch: string): Promise<string> {
  const directory = join(scratch, 'scene')
  mkdirSync(join(directory, 'root'), { recursive: true })
  disks.forEach((disk, index) => {
    format(disk, images[index] as Image)
  })
  await whileMounted(disks, images, join(directory, 'root'), () => scenario.prepare(directory))
  return directory
}

/** The operation itself; `mark` is called when it begins, after each write of the journal, and when it has ended. */
async function operate({ scenario, around }: Operation, directory: string, mark: () => number) {
  const before = sidesOf(directory)
  const began = mark()
  const marks: number[] = []
  const stop = await runRestless('restlessSyncer', join(directory, 'root'))
  try {
    await scenario.operate(contextOf(watchingJournal(around(linuxKernel()), () => marks.push(mark()))), directory)
  } finally {
    await stop()
  }
  const ended = mark()
  return { before, began, marks, ended, after: sidesOf(directory) }
}

async function runRestless(name: string, ...words: string[]): Promise<() => Promise<void>> {
  const program = fileURLToPath(new URL(`../support/${name}.js`, import.meta.url))
  const child = fork(program, words)
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  await new Promise((resolve) => child.once('message', resolve))
  return () => {
    child.kill('SIGKILL')
    return ended
  }
}

function watchingJournal(kernel: Kernel, onWrite: () => void): Kernel {
  const journals = new Set<Fd>()
  return wrapKernel(kernel, (call, args, proceed) => {
    const result = proceed(...args)
    if (call === 'openat' && args[1] === 'journal') journals.add(result as Fd)
    if (call === 'close') journals.delete(args[0] as Fd)
    if ((call === 'pwrite' || call === 'fdatasync') && journals.has(args[0] as Fd)) onWrite()
    return result
  })
}

/** Mounts what each cut left, recovers and compares; what is wrong is told, not thrown. */
async function suffer(scene: Scene, cuts: Iterable<Cut>): Promise<Outcomes> {
  const counts = { before: 0, after: 0 }
  const broken: string[] = []
  const { disks, directory } = scene
  for (const { where, images, hadReturned } of cuts) {
    try {
      await whileMounted(disks, images, join(directory, 'root'), async () => {
        recover(directory)
        const outcome = checkOutcome(directory, scene, where)
        await checkRecords(directory, where)
        if (hadReturned) assert.equal(outcome, 'after', `it had returned, and is not durable ${where}`)
        counts[outcome]++
      })
    } catch (error) {
      broken.push(`${where}: ${String(error).slice(0, 600)}`)
    }
  }
  return { counts, broken }
}
