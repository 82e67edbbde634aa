// One thread's share of making an archive's files, beside the thread that reads the archive.

import { type MetadataOptions, metadataPolicy } from '../../movefile/index.ts'
import type { EngineContext } from '../../sys/engineThread.ts'
import type { Fd, Name } from '../../sys/index.ts'
import type { LostOf } from '../lostMetadata.ts'
import { Root } from '../root.ts'
import { BatchMaker } from './batchMaker.ts'
import { BatchQueue, type SharedBatches } from './makeBatches.ts'

/** What the thread is given. Descriptors belong to the process, so every thread can use the engine's. */
export interface MakeShare {
  readonly batches: SharedBatches
  /** The hidden tree. */
  readonly tree: Fd
  /** The archive, where payloads are read from it. */
  readonly file: Fd | undefined
  readonly image: Name
  readonly metadata: MetadataOptions
  readonly digests: boolean
}

/** Takes batches until there will be no more. For EngineShares. @returns what could not be kept */
export function makeShare({ kernel, cancel }: EngineContext, share: MakeShare): readonly LostOf[] {
  const queue = new BatchQueue(share.batches)
  const tree = Root.of(kernel, share.tree)
  try {
    const maker = new BatchMaker({
      ...share,
      kernel,
      tree,
      policy: metadataPolicy(share.metadata),
      check: () => cancel.check(),
    })
    while (!queue.hasFailed) {
      const { shown } = queue.bell
      const number = queue.take()
      if (number !== undefined) maker.run(queue, number)
      else if (queue.isClosed) break
      else queue.bell.wait(shown)
      cancel.check()
    }
    return maker.files.metadata.lost
  } finally {
    tree.close()
  }
}
