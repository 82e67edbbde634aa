// The work of staging as tasks that any thread can do, packed so that a million of them cross between threads as a few
// buffers, and their results with them.

import type { Loss } from '../movefile/index.ts'
import type { FileType, Name, Stat } from '../sys/index.ts'
import type { CopyTotals } from './copyTotals.ts'
import type { Xattrs } from './entry.ts'

/**
 * copy     an object is staged, its payload digested on the way
 * digest   the payload of a large file is digested, while another thread copies it
 * inspect  an object that may be taken out of its image is looked at, and digested, where it is
 */
export type TaskKind = 'copy' | 'digest' | 'inspect'

/** One task. */
export interface StageTask {
  readonly kind: TaskKind
  /** The image's number among those of the plan. */
  readonly image: number
  /** The name in the image. */
  readonly directory: Name
  readonly name: Name
  /** Where it is staged, from the root; '' for what is not staged. */
  readonly stagedDirectory: Name
  readonly stagedName: Name
  /** The image's object, as the plan saw it. */
  readonly stat: Stat
  /** Whether nobody else can reach the directory that it is staged in. */
  readonly isPrivate: boolean
  /** Whether the payload's digest is asked for. */
  readonly digests: boolean
  /** Whether the staged object's identity is asked for. */
  readonly identifies: boolean
}

/** What is to be told of a task beside its digest; most tasks have nothing of it. */
export interface TaskFacts {
  readonly xattrs?: Xattrs
  /** The staged object's, where it is not as the image's. */
  readonly staged?: Pick<Stat, 'uid' | 'gid' | 'mode' | 'mtimeNs' | 'size'>
  readonly identity?: string
  /** Append and immutable flags. */
  readonly finalFlags?: number
  readonly lost?: readonly Loss[]
  /** Of an inspection: a rename would leave another object than a copy is. */
  readonly differsFromCopy?: boolean
}

/** What one thread has to tell of its tasks. */
export interface TasksReport {
  readonly totals: CopyTotals
  readonly facts: readonly (readonly [task: number, facts: TaskFacts])[]
}

const kinds: readonly TaskKind[] = ['copy', 'digest', 'inspect']
const types: readonly FileType[] = ['file', 'directory', 'symlink', 'fifo', 'socket', 'character', 'block']
const numbersPerTask = 16
const timesPerTask = 4
const digestBytes = 32
/** A batch is what a thread takes at once: so many tasks, or so many bytes, whichever is less. */
const batchTasks = 32
const batchBytes = 4 * 1024 * 1024

/** Tasks and the room for their results, in memory that threads share. */
export interface SharedTasks {
  /** Directories and names, each ended by a NUL. */
  readonly text: string
  readonly numbers: SharedArrayBuffer
  readonly times: SharedArrayBuffer
  /** Where each batch ends. */
  readonly batches: SharedArrayBuffer
  readonly digests: SharedArrayBuffer
  /** One byte a task: 0 not done, 1 done, 2 done with a digest. */
  readonly done: SharedArrayBuffer
  /** The next batch, and whether some thread has failed. */
  readonly control: SharedArrayBuffer
}

/** Packs tasks for threads. */
export function packTasks(tasks: readonly StageTask[]): SharedTasks {
  const shared = {
    numbers: new SharedArrayBuffer(8 * numbersPerTask * tasks.length),
    times: new SharedArrayBuffer(8 * timesPerTask * tasks.length),
    digests: new SharedArrayBuffer(digestBytes * tasks.length),
    done: new SharedArrayBuffer(tasks.length),
    control: new SharedArrayBuffer(8),
  }
  const [numbers, times] = [new Float64Array(shared.numbers), new BigInt64Array(shared.times)]
  const texts = new Texts()
  tasks.forEach((task, index) => {
    const { stat } = task
    numbers.set(
      [
        kinds.indexOf(task.kind),
        (task.isPrivate ? 1 : 0) | (task.digests ? 2 : 0) | (task.identifies ? 4 : 0),
        task.image,
        texts.directory(task.directory),
        texts.directory(task.stagedDirectory),
        texts.add(task.name),
        task.stagedName === task.name ? -1 : texts.add(task.stagedName),
        types.indexOf(stat.type),
        stat.mode,
        stat.uid,
        stat.gid,
        stat.nlink,
        stat.size,
        stat.blocks,
        stat.dev,
        stat.attributes,
      ],
      index * numbersPerTask,
    )
    times.set([stat.ino, stat.atimeNs, stat.mtimeNs, stat.ctimeNs], index * timesPerTask)
  })
  return { ...shared, text: texts.joined(), batches: batchesOf(tasks) }
}

function batchesOf(tasks: readonly StageTask[]): SharedArrayBuffer {
  const ends: number[] = []
  let [count, bytes] = [0, 0]
  tasks.forEach(({ stat }, index) => {
    if (count > 0 && (count >= batchTasks || bytes + stat.size > batchBytes)) {
      ends.push(index)
      count = 0
      bytes = 0
    }
    count++
    bytes += stat.size
  })
  if (count > 0) ends.push(tasks.length)
  const shared = new SharedArrayBuffer(4 * ends.length)
  new Int32Array(shared).set(ends)
  return shared
}

/** Names in one string; a directory that comes again and again is there once. */
class Texts {
  readonly #texts: Name[] = []
  readonly #directories = new Map<Name, number>()

  add(text: Name): number {
    return this.#texts.push(text) - 1
  }

  directory(name: Name): number {
    const known = this.#directories.get(name)
    if (known !== undefined) return known
    const index = this.add(name)
    this.#directories.set(name, index)
    return index
  }

  joined(): string {
    return this.#texts.join('\0')
  }
}

/** Packed tasks as a thread sees them. */
export class TaskTable {
  readonly #texts: readonly Name[]
  readonly #numbers: Float64Array
  readonly #times: BigInt64Array
  readonly #batches: Int32Array
  readonly #digests: Buffer
  readonly #done: Uint8Array
  readonly #control: Int32Array

  constructor(shared: SharedTasks) {
    this.#texts = shared.text.split('\0')
    this.#numbers = new Float64Array(shared.numbers)
    this.#times = new BigInt64Array(shared.times)
    this.#batches = new Int32Array(shared.batches)
    this.#digests = Buffer.from(shared.digests)
    this.#done = new Uint8Array(shared.done)
    this.#control = new Int32Array(shared.control)
  }

  /** Takes the next batch that no thread has; undefined when there is none, or some thread has failed. */
  takeBatch(): { start: number; end: number } | undefined {
    if (this.hasFailed) return undefined
    const batch = Atomics.add(this.#control, 0, 1)
    const end = this.#batches[batch]
    return end === undefined ? undefined : { start: this.#batches[batch - 1] ?? 0, end }
  }

  /** Makes every thread stop before its next task. */
  fail(): void {
    Atomics.store(this.#control, 1, 1)
  }

  get hasFailed(): boolean {
    return Atomics.load(this.#control, 1) !== 0
  }

  task(index: number): StageTask {
    const at = index * numbersPerTask
    const number = (field: number) => this.#numbers[at + field] as number
    const text = (field: number) => this.#texts[number(field)] as Name
    const flags = number(1)
    const name = text(5)
    return {
      kind: kinds[number(0)] as TaskKind,
      image: number(2),
      directory: text(3),
      name,
      stagedDirectory: text(4),
      stagedName: number(6) < 0 ? name : text(6),
      isPrivate: (flags & 1) !== 0,
      digests: (flags & 2) !== 0,
      identifies: (flags & 4) !== 0,
      stat: this.#stat(number, index * timesPerTask),
    }
  }

  #stat(number: (field: number) => number, at: number): Stat {
    const time = (field: number) => this.#times[at + field] as bigint
    return {
      type: types[number(7)] as FileType,
      mode: number(8),
      uid: number(9),
      gid: number(10),
      nlink: number(11),
      size: number(12),
      blocks: number(13),
      dev: number(14),
      attributes: number(15),
      blockSize: 0,
      rdev: noDevice,
      ino: time(0),
      atimeNs: time(1),
      mtimeNs: time(2),
      ctimeNs: time(3),
      btimeNs: undefined,
    }
  }

  finish(index: number, digest: Uint8Array | undefined): void {
    if (digest !== undefined) this.#digests.set(digest, index * digestBytes)
    Atomics.store(this.#done, index, digest === undefined ? 1 : 2)
  }

  isDone(index: number): boolean {
    return Atomics.load(this.#done, index) !== 0
  }

  /** The sha256 of a task's payload; undefined where there is none. Valid as long as the table is. */
  digestOf(index: number): Uint8Array | undefined {
    return this.#done[index] === 2 ? this.#digests.subarray(index * digestBytes, (index + 1) * digestBytes) : undefined
  }
}

const noDevice = { major: 0, minor: 0 }
