// Makes an archive's files beside the thread that reads it: what is read is put into batches, which other threads take,
// and the reading thread itself where those are not fast enough.

import { type MetadataPolicy, quietly } from '../../movefile/index.ts'
import type { CancelFlag, EngineShares, Fd, Kernel, Name } from '../../sys/index.ts'
import type { LostOf } from '../lostMetadata.ts'
import type { Root } from '../root.ts'
import { BatchMaker } from './batchMaker.ts'
import type { ByteSource } from './byteSource.ts'
import type { MadeFiles } from './madeFiles.ts'
import { type Batch, BatchQueue, fitsBatch, makeBatches, mostPayloadBytes } from './makeBatches.ts'
import type { MakeShare } from './makeShare.ts'
import type { Member } from './member.ts'
import { readPayload } from './payload.ts'

/** What an archive's files are made with. */
export interface MakersInput {
  readonly kernel: Kernel
  readonly cancel: CancelFlag
  readonly tree: Root
  readonly policy: MetadataPolicy
  readonly digests: boolean
  /** What the archive is called in messages. */
  readonly image: Name
  /** The archive's file, where its payloads are stored in it as they are. */
  readonly file: Fd | undefined
  /** Threads beside the one that reads; they are the caller's. */
  readonly threads: EngineShares
  /** Told of each file when it is taken, and, in the order of the archive, when it is there. */
  readonly files: MadeFiles
}

/** The threads that make files, as the one that reads the archive sees them. */
export class Makers {
  readonly #input: MakersInput
  readonly #queue: BatchQueue
  readonly #maker: BatchMaker
  /** The first batch whose results were not read yet. */
  #unread = 0

  constructor(input: MakersInput) {
    const { cancel, tree, policy, threads } = input
    this.#input = input
    const batches = makeBatches(input.file === undefined)
    this.#queue = new BatchQueue(batches)
    this.#maker = new BatchMaker({ ...input, check: () => cancel.check() })
    const { digests, file, image } = input
    const share: MakeShare = {
      ...{ batches, tree: tree.fd, metadata: policy.options },
      ...{ digests, image, file },
    }
    threads.begin(share, 'makeShare')
  }

  /**
   * Takes a file, whose directory is there.
   *
   * @returns false for one that has to be made by who reads the archive: it is too large to hand over, or not plain
   */
  take(name: Name, member: Member): boolean {
    const { payload, path, size, xattrs, extents, digest } = member
    if (xattrs.length > 0 || extents !== undefined || !path.endsWith(name) || !fitsBatch(path, digest)) return false
    const start = this.#startOf(payload)
    if (start === undefined && (size > mostPayloadBytes || this.#input.file !== undefined)) return false
    const batch = this.#batchFor(start === undefined ? size : 0)
    const room = batch.add({ name, facts: member, start, place: this.#input.files.expect(name) })
    if (start === undefined) readPayload(member, { bytes: (chunk, position) => void chunk.copy(room, position) })
    return true
  }

  /** Where a payload begins in the archive's file, if it lies there. */
  #startOf(payload: ByteSource | undefined): number | undefined {
    return payload?.file !== undefined && payload.file === this.#input.file ? payload.offset : undefined
  }

  /** The batch that is being filled, or the next one. */
  #batchFor(copiedBytes: number): Batch {
    const batch = this.#queue.batch(this.#queue.put)
    if (batch.count > 0 && !batch.hasRoomFor(copiedBytes)) this.#putNext()
    return this.#queue.batch(this.#queue.put)
  }

  #putNext(): void {
    this.#queue.putNext()
    this.#workUntil(() => this.#queue.isDone(this.#queue.lastInNextSlot))
    this.#readResults()
    this.#queue.batch(this.#queue.put).clear()
  }

  /** Waits until every file that was taken is there. */
  settle(): void {
    if (this.#queue.batch(this.#queue.put).count > 0) this.#putNext()
    this.#workUntil(() => {
      this.#readResults()
      return this.#unread === this.#queue.put
    })
  }

  /** Makes files itself until something holds. */
  #workUntil(holds: () => boolean): void {
    for (;;) {
      const { shown } = this.#queue.bell
      if (this.#queue.hasFailed) this.#fail()
      if (holds()) return
      const number = this.#queue.take()
      if (number !== undefined) this.#maker.run(this.#queue, number)
      else if (!this.#queue.bell.wait(shown)) this.#input.threads.demandAll()
      this.#input.cancel.check()
    }
  }

  #readResults(): void {
    while (this.#unread < this.#queue.put && this.#queue.isDone(this.#unread)) this.#readBatch()
  }

  #readBatch(): void {
    const batch = this.#queue.batch(this.#unread++)
    for (let index = 0; index < batch.count; index++) this.#input.files.arrive(batch.placeOf(index), batch.made, index)
  }

  /** @throws the error of the thread that failed */
  #fail(): never {
    this.#input.threads.finish(() => {})
    throw new Error('a thread that makes files has failed without an error')
  }

  /** Lets the threads go when everything is there. @returns what could not be kept */
  finish(): readonly LostOf[] {
    this.settle()
    this.#queue.close()
    const others = this.#input.threads.finish<readonly LostOf[]>(() => {})
    return [...this.#maker.files.metadata.lost, ...others.flat()]
  }

  /** Stops the threads after an error: nothing is made any more when this returns. */
  abandon(): void {
    this.#queue.fail()
    quietly(() => this.#input.threads.finish(() => {}))
  }
}
