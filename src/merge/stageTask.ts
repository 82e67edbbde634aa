// The work of staging as tasks that any thread can do, packed so that a million of them cross between threads as a few
// buffers, and their results with them.

import type { Loss } from '../movefile/index.ts'
import { type Name, packStat, type Stat, statWords, unpackStat } from '../sys/index.ts'
import type { CopyTotals } from './copyTotals.ts'
import type { Xattrs } from './entry.ts'
import type { Comparison } from './live.ts'

/**
 * copy     an object is staged, its payload digested on the way
 * digest   the payload of a large file is digested, while another thread copies it
 * inspect  an object that may be taken out of its image is looked at, and digested, where it is
 * compare  a file of the image is compared with the live one that has its name
 */
export type TaskKind = 'copy' | 'digest' | 'inspect' | 'compare'

/** One task. */
export interface StageTask {
  readonly kind: TaskKind
  /** The image's number among those of the plan. */
  readonly image: number
  /** The name in the image. */
  readonly directory: Name
  readonly name: Name
  /** Where it is staged, or what it is compared with, from the root; '' for what is neither. */
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
  /** Of a comparison, but for the digest: of two that are the same, without attributes, nothing is to be told. */
  readonly comparison?: Omit<Comparison, 'sha256'>
}

/** What one thread has to tell of its tasks. */
export interface TasksReport {
  readonly totals: CopyTotals
  readonly facts: readonly (readonly [task: number, facts: TaskFacts])[]
}

const kinds: readonly TaskKind[] = ['copy', 'digest', 'inspect', 'compare']
/** A task's row: its kind, flags and image, then where each of its four names begins and ends in the text. */
const row = {
  kind: 0,
  flags: 1,
  image: 2,
  directory: 3,
  stagedDirectory: 5,
  name: 7,
  stagedName: 9,
  numbers: 11,
} as const
const flag = { private: 1, digests: 2, identifies: 4 } as const
const digestBytes = 32
/**
 * A batch is what a thread takes at once: at least so many tasks, or so many bytes. It ends where a directory ends, unless
 * that is large: two threads that make files in one directory mostly wait for its lock.
 */
const batchTasks = 32
const largestBatch = 512
const batchBytes = 4 * 1024 * 1024

/** Tasks and the room for their results, in memory that threads share. */
export interface SharedTasks {
  readonly rows: SharedArrayBuffer
  /** The names' bytes. */
  readonly text: SharedArrayBuffer
  readonly stats: SharedArrayBuffer
  /** Where each batch ends. */
  readonly batches: SharedArrayBuffer
  readonly digests: SharedArrayBuffer
  /** One byte a task: 0 not done, 1 done, 2 done with a digest. */
  readonly done: SharedArrayBuffer
  /** The next batch, and whether some thread has failed. */
  readonly control: SharedArrayBuffer
}

/** Packs tasks for threads; each is asked for once. */
export function packTasks(count: number, taskAt: (index: number) => StageTask): SharedTasks {
  const shared = {
    rows: new SharedArrayBuffer(4 * row.numbers * count),
    stats: new SharedArrayBuffer(4 * statWords * count),
    digests: new SharedArrayBuffer(digestBytes * count),
    done: new SharedArrayBuffer(count),
    control: new SharedArrayBuffer(8),
  }
  const [rows, stats] = [new Uint32Array(shared.rows), new Uint32Array(shared.stats)]
  const texts = new Texts()
  const batches = new Batches()
  for (let index = 0; index < count; index++) {
    const task = taskAt(index)
    const start = index * row.numbers
    rows[start + row.kind] = kinds.indexOf(task.kind)
    rows[start + row.flags] = flagsOf(task)
    rows[start + row.image] = task.image
    texts.put(rows, start + row.directory, texts.directory(task.directory))
    texts.put(rows, start + row.stagedDirectory, texts.directory(task.stagedDirectory))
    const name = texts.add(task.name)
    texts.put(rows, start + row.name, name)
    texts.put(rows, start + row.stagedName, task.stagedName === task.name ? name : texts.add(task.stagedName))
    packStat(task.stat, stats, index * statWords)
    batches.add(index, task)
  }
  return { ...shared, text: texts.shared(), batches: batches.shared(count) }
}

function flagsOf({ isPrivate, digests, identifies }: StageTask): number {
  return (isPrivate ? flag.private : 0) | (digests ? flag.digests : 0) | (identifies ? flag.identifies : 0)
}

/** Divides tasks among batches, as they come. */
class Batches {
  readonly #ends: number[] = []
  #directory: Name = ''
  #tasks = 0
  #bytes = 0

  add(index: number, { stagedDirectory, stat: { size } }: StageTask): void {
    if (this.#tasks > 0 && this.#isFull(stagedDirectory, size)) {
      this.#ends.push(index)
      this.#tasks = 0
      this.#bytes = 0
    }
    this.#directory = stagedDirectory
    this.#tasks++
    this.#bytes += size
  }

  #isFull(directory: Name, size: number): boolean {
    if (this.#bytes + size > batchBytes || this.#tasks >= largestBatch) return true
    return this.#tasks >= batchTasks && directory !== this.#directory
  }

  shared(count: number): SharedArrayBuffer {
    if (this.#tasks > 0) this.#ends.push(count)
    const shared = new SharedArrayBuffer(4 * this.#ends.length)
    new Int32Array(shared).set(this.#ends)
    return shared
  }
}

/** Where a name is in the text. */
interface Span {
  readonly start: number
  readonly end: number
}

/** Names one behind the other; a directory that comes again and again is there once. */
class Texts {
  #bytes = Buffer.allocUnsafe(1 << 16)
  #length = 0
  readonly #directories = new Map<Name, Span>()

  add(text: Name): Span {
    const start = this.#length
    const end = start + text.length
    if (end > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(end, 2 * this.#bytes.length))
      this.#bytes.copy(grown, 0, 0, start)
      this.#bytes = grown
    }
    this.#bytes.write(text, start, 'latin1')
    this.#length = end
    return { start, end }
  }

  directory(name: Name): Span {
    const known = this.#directories.get(name)
    if (known !== undefined) return known
    const added = this.add(name)
    this.#directories.set(name, added)
    return added
  }

  put(rows: Uint32Array, at: number, { start, end }: Span): void {
    rows[at] = start
    rows[at + 1] = end
  }

  shared(): SharedArrayBuffer {
    const shared = new SharedArrayBuffer(this.#length)
    this.#bytes.copy(Buffer.from(shared), 0, 0, this.#length)
    return shared
  }
}

/** Packed tasks as a thread sees them. */
export class TaskTable {
  readonly #rows: Uint32Array
  readonly #text: Buffer
  readonly #stats: Uint32Array
  readonly #batches: Int32Array
  readonly #digests: Buffer
  readonly #done: Uint8Array
  readonly #control: Int32Array
  /** Directories by where they are in the text: task after task lies in the same two. */
  readonly #directories = new Map<number, Name>()

  constructor(shared: SharedTasks) {
    this.#rows = new Uint32Array(shared.rows)
    this.#text = Buffer.from(shared.text)
    this.#stats = new Uint32Array(shared.stats)
    this.#batches = new Int32Array(shared.batches)
    this.#digests = Buffer.from(shared.digests)
    this.#done = new Uint8Array(shared.done)
    this.#control = new Int32Array(shared.control)
  }

  get count(): number {
    return this.#done.length
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
    const flags = this.#number(index, row.flags)
    return {
      kind: this.kindOf(index),
      image: this.#number(index, row.image),
      directory: this.#directory(index, row.directory),
      name: this.#name(index, row.name),
      stagedDirectory: this.#directory(index, row.stagedDirectory),
      stagedName: this.#name(index, row.stagedName),
      isPrivate: (flags & flag.private) !== 0,
      digests: (flags & flag.digests) !== 0,
      identifies: (flags & flag.identifies) !== 0,
      stat: unpackStat(this.#stats, index * statWords),
    }
  }

  kindOf(index: number): TaskKind {
    return kinds[this.#number(index, row.kind)] as TaskKind
  }

  /** Bytes of a task's regular file; 0 of other objects. */
  sizeOf(index: number): number {
    const { type, size } = unpackStat(this.#stats, index * statWords)
    return type === 'file' ? size : 0
  }

  #number(index: number, field: number): number {
    return this.#rows[index * row.numbers + field] as number
  }

  #name(index: number, field: number): Name {
    return this.#text.toString('latin1', this.#number(index, field), this.#number(index, field + 1))
  }

  #directory(index: number, field: number): Name {
    const start = this.#number(index, field)
    const end = this.#number(index, field + 1)
    if (start === end) return ''
    const known = this.#directories.get(start)
    if (known !== undefined) return known
    const name = this.#text.toString('latin1', start, end)
    this.#directories.set(start, name)
    return name
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
