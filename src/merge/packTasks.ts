// Packing tasks into memory that threads share: rows of numbers, names as bytes, stats as the kernel wrote them.

import { type Name, packStat, statWords } from '../sys/index.ts'
import { digestBytes, flag, kinds, row, type SharedTasks, type StageTask } from './stageTask.ts'

/**
 * A batch is what a thread takes at once: at least so many tasks, or so many bytes. It ends where a directory ends, unless
 * that is large: two threads that make files in one directory mostly wait for its lock.
 */
const batchTasks = 32
const largestBatch = 512
const batchBytes = 4 * 1024 * 1024

/** Memory for tasks, used again for the next ones: what was shared once is given back late. */
export class TaskMemory {
  #shared: Omit<SharedTasks, 'text' | 'batches' | 'count'> | undefined
  #room = 0

  /**
   * Packs tasks for threads, in place of those that were packed before; each is asked for once.
   *
   * No thread may be at work on the earlier ones any more.
   */
  pack(count: number, taskAt: (index: number) => StageTask): SharedTasks {
    const shared = this.#for(count)
    const [rows, stats] = [new Uint32Array(shared.rows), new Uint32Array(shared.stats)]
    const texts = new Texts()
    const batches = new Batches()
    for (let index = 0; index < count; index++) {
      const task = taskAt(index)
      texts.putNames(rows, index * row.numbers, task)
      rows[index * row.numbers + row.kind] = kinds.indexOf(task.kind)
      rows[index * row.numbers + row.flags] = flagsOf(task)
      rows[index * row.numbers + row.image] = task.image
      packStat(task.stat, stats, index * statWords)
      batches.add(index, task)
    }
    return { ...shared, count, text: texts.shared(), batches: batches.shared(count) }
  }

  #for(count: number): Omit<SharedTasks, 'text' | 'batches' | 'count'> {
    if (this.#shared === undefined || count > this.#room) {
      this.#room = count
      this.#shared = {
        rows: new SharedArrayBuffer(4 * row.numbers * count),
        stats: new SharedArrayBuffer(4 * statWords * count),
        digests: new SharedArrayBuffer(digestBytes * count),
        done: new SharedArrayBuffer(count),
        control: new SharedArrayBuffer(8),
      }
    }
    new Uint8Array(this.#shared.done).fill(0)
    new Int32Array(this.#shared.control).fill(0)
    return this.#shared
  }
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

  /** All names of a task, into its row. */
  putNames(rows: Uint32Array, start: number, task: StageTask): void {
    const name = this.add(task.name)
    this.#put(rows, start + row.directory, this.#directory(task.directory))
    this.#put(rows, start + row.stagedDirectory, this.#directory(task.stagedDirectory))
    this.#put(rows, start + row.name, name)
    this.#put(rows, start + row.stagedName, task.stagedName === task.name ? name : this.add(task.stagedName))
  }

  #directory(name: Name): Span {
    const known = this.#directories.get(name)
    if (known !== undefined) return known
    const added = this.add(name)
    this.#directories.set(name, added)
    return added
  }

  #put(rows: Uint32Array, at: number, { start, end }: Span): void {
    rows[at] = start
    rows[at + 1] = end
  }

  shared(): SharedArrayBuffer {
    const shared = new SharedArrayBuffer(this.#length)
    this.#bytes.copy(Buffer.from(shared), 0, 0, this.#length)
    return shared
  }
}
