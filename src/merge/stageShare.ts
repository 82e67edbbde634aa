// One thread's share of staging, beside the engine's own thread: the same runner on its own kernel, in the directories
// that the engine has open.

import { type MetadataOptions, Mover, metadataPolicy } from '../movefile/index.ts'
import type { EngineContext } from '../sys/engineThread.ts'
import type { Fd, Name } from '../sys/index.ts'
import { Comparer } from './live.ts'
import { Root } from './root.ts'
import { StageRunner } from './stageRunner.ts'
import { type SharedTasks, type TasksReport, TaskTable } from './stageTask.ts'

type CopyFacts = Parameters<NonNullable<EngineContext['tellCopy']>>[1]

/** What a thread is given. Descriptors belong to the process, so every thread can use the engine's. */
export interface StageShare {
  readonly tasks: SharedTasks
  readonly root: Fd
  /** The images' top directories, by number. */
  readonly images: readonly Fd[]
  readonly metadata: MetadataOptions
  /** Whether somebody listens to how files came over. */
  readonly isObserved: boolean
}

/** What a thread answers. */
export interface ShareReport extends TasksReport {
  /** How files came over, where somebody listens. */
  readonly copies: readonly (readonly [name: string, copy: CopyFacts])[]
}

/** Does tasks until no thread has any left. For EngineShares. */
export function stageShare({ kernel, cancel }: EngineContext, share: StageShare): ShareReport {
  const open = (fd: Fd): Root => Root.of(kernel, fd)
  const opened: Root[] = []
  try {
    const root = open(share.root)
    opened.push(root)
    const images = share.images.map((fd) => {
      const image = open(fd)
      opened.push(image)
      return image
    })
    const mover = new Mover(kernel, { policy: metadataPolicy(share.metadata), cancel })
    const copies: [string, CopyFacts][] = []
    const check = () => cancel.check()
    const runner = new StageRunner({
      mover,
      comparer: new Comparer(kernel, mover.policy, check),
      imageDirectory: (image: number, name: Name) => (images[image] as Root).directory(name).fd,
      rootDirectory: (name) => root.directory(name).fd,
      check,
      ...(share.isObserved ? { tellCopy: (name, copy) => void copies.push([name, copy]) } : {}),
    })
    return { ...runner.run(new TaskTable(share.tasks)), copies }
  } finally {
    for (const each of opened) each.close()
  }
}
