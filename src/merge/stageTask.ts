// The work of staging as tasks that any thread can do, packed so that a million of them cross between threads as a few
// buffers, and their results with them.

import type { Loss } from '../movefile/index.ts'
import { type Name, type Stat, statWords, unpackStat } from '../sys/index.ts'
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

/** In the order of their numbers in packed tasks. */
export const kinds: readonly TaskKind[] = ['copy', 'digest', 'inspect', 'compare']
/** A task's row in packed tasks: its kind, flags and image, then where each of its four names begins and ends in the text. */
export const row = {
  kind: 0,
  flags: 1,
  image: 2,
  directory: 3,
  stagedDirectory: 5,
  name: 7,
  stagedName: 9,
  numbers: 11,
} as const
/** Bits of a row's flags. */
export const flag = { private: 1, digests: 2, identifies: 4 } as const
/** Of a sha256. */
export const digestBytes = 32
/** Tasks and the room for their results, in memory that threads share. */
export interface SharedTasks {
  readonly count: number
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

/** Packed tasks as a thread sees them. */
export class TaskTable {
  readonly count: number
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
    this.count = shared.count
    this.#rows = new Uint32Array(shared.rows)
    this.#text = Buffer.from(shared.text)
    this.#stats = new Uint32Array(shared.stats)
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
