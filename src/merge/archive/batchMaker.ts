// Makes the files of batches: the same in the engine's own thread and in those that help it.

import type { Fd, Kernel } from '../../sys/index.ts'
import { CorruptImageError } from '../errors.ts'
import { FileMaker, type FileMakerInput, type WritePayload } from './fileMaker.ts'
import type { Batch, BatchQueue } from './makeBatches.ts'
import { writeAll } from './payload.ts'

/** As large as the kernel reads ahead, and small enough for a processor's cache. */
const windowBytes = 256 * 1024

/** What a thread makes files with. */
export interface BatchMakerInput extends FileMakerInput {
  /** The archive's file, where payloads are read from it. */
  readonly file: Fd | undefined
  /** Called before each file and between the reads of a large one; throws to end. */
  readonly check: () => void
}

/** Makes files in one thread. */
export class BatchMaker {
  readonly files: FileMaker
  readonly #input: BatchMakerInput
  readonly #kernel: Kernel
  #window: Buffer | undefined

  constructor(input: BatchMakerInput) {
    this.#input = input
    this.#kernel = input.kernel
    this.files = new FileMaker(input)
  }

  /** Makes the files of a batch that this thread has taken; after a failure no thread makes another one. */
  run(queue: BatchQueue, number: number): void {
    try {
      const batch = queue.batch(number)
      for (let index = 0; index < batch.count && !queue.hasFailed; index++) this.#make(batch, index)
    } catch (error) {
      queue.fail()
      throw error
    }
    queue.finish(number)
  }

  #make(batch: Batch, index: number): void {
    this.#input.check()
    const file = batch.file(index)
    const payload = batch.payload(index)
    const write: WritePayload =
      typeof payload === 'number'
        ? (fd, seen) => this.#copy(fd, seen, { start: payload, size: file.size, entry: file.path })
        : (fd, seen) => {
            if (payload.length === 0) return
            seen.bytes(payload, 0)
            writeAll(this.#kernel, fd, payload, 0)
          }
    batch.made.set(index, this.files.make(file.name, file, write))
  }

  /** Copies a payload out of the archive's file. */
  #copy(...[fd, seen, { start, size, entry }]: [...Parameters<WritePayload>, Range]): void {
    const { check, file, image } = this.#input
    this.#window ??= Buffer.allocUnsafeSlow(windowBytes)
    for (let position = 0; position < size; ) {
      if (position > 0) check()
      const window = this.#window.subarray(0, Math.min(windowBytes, size - position))
      const read = file === undefined ? 0 : this.#kernel.pread(file, window, start + position)
      if (read === 0)
        throw new CorruptImageError(image, 'the archive is cut short', { offset: start + position, entry })
      const chunk = window.subarray(0, read)
      seen.bytes(chunk, position)
      writeAll(this.#kernel, fd, chunk, position)
      position += read
    }
  }
}

interface Range {
  readonly start: number
  readonly size: number
  readonly entry: string
}
