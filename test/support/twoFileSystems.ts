// A directory on each of two file systems, open, with a mover between them.

import { type Mover, type MoverOptions, type Place, Mover as TheMover } from '../../src/movefile/index.ts'
import { type Fd, type Kernel, O_DIRECTORY, O_RDONLY, openKernel, openPath, toName } from '../../src/sys/index.ts'
import { fileSystems } from './filesystems.ts'
import { withDirectory } from './scratch.ts'
import { writeTree } from './tree.ts'

/** What a test of moves works with. `from` and `to` are paths; `to` is on another file system unless asked otherwise. */
export interface Scene {
  readonly kernel: Kernel
  readonly from: string
  readonly to: string
  readonly source: (name: string) => Place
  readonly target: (name: string) => Place
  readonly mover: (options?: MoverOptions, through?: (kernel: Kernel) => Kernel) => Mover
}

/** How a scene begins. */
export interface Setting {
  readonly source: string
  readonly target?: string
  readonly sameFileSystem?: boolean
}

/** Runs `body` with two new directories that hold what `setting` describes; both are gone afterwards. */
export async function withScene(setting: Setting, body: (scene: Scene) => void | Promise<void>): Promise<void> {
  const kernel = await openKernel()
  const all = fileSystems()
  const first = all[0]
  const second = setting.sameFileSystem
    ? first
    : all.find((each) => each.name === 'tmpfs' || each.name === 'shared memory')
  if (first === undefined || second === undefined) throw new Error('no file systems to test on')
  await withDirectory(
    (from) =>
      withDirectory(async (to) => {
        writeTree(from, setting.source)
        writeTree(to, setting.target ?? '')
        const open = (path: string): Fd => openPath(kernel, toName(path), O_RDONLY | O_DIRECTORY)
        const [sourceFd, targetFd] = [open(from), open(to)]
        try {
          await body({
            kernel,
            from,
            to,
            source: (name) => ({ directory: sourceFd, name: toName(name) }),
            target: (name) => ({ directory: targetFd, name: toName(name) }),
            mover: (options, through = (same) => same) => new TheMover(through(kernel), options),
          })
        } finally {
          kernel.close(sourceFd)
          kernel.close(targetFd)
        }
      }, second.directory()),
    first.directory(),
  )
}
