// What the caller knows of the source, compared with what is there.

import { displayName, type Kernel, O_NOFOLLOW, O_PATH, type Stat } from '../sys/index.ts'
import { withDescriptor } from './descriptors.ts'
import { SourceReplacedError } from './errors.ts'
import { isSameObject } from './identity.ts'
import type { Move } from './mover.ts'
import { describePlace } from './place.ts'
import { unswapped } from './stage.ts'

const compared = ['type', 'ino', 'dev', 'size', 'mode', 'uid', 'gid', 'mtimeNs', 'ctimeNs'] as const

/** What a source must be; what is left out may be anything. */
export type ExpectedSource = Partial<Pick<Stat, (typeof compared)[number]>>

/** @throws {SourceReplacedError} when the source is not what the caller looked at, naming what differs */
export function refuseUnexpected(stat: Stat, expected: ExpectedSource | undefined, path: () => string): void {
  if (expected === undefined) return
  const different = compared.filter((key) => expected[key] !== undefined && expected[key] !== stat[key])
  if (different.length === 0) return
  throw new SourceReplacedError(path(), `is not the expected object: it differs in ${different.join(', ')}`)
}

/**
 * Does `rename`, of what the caller expects. rename(2) takes a name, so between the look and the rename another object
 * could be put under it: then that one is at the target now, and the caller hears of it.
 *
 * The object is held meanwhile: overlayfs may give it another inode number when it is renamed (copy-up).
 *
 * @param rename  undefined when nothing was renamed
 */
export function renamingExpected<T>(kernel: Kernel, { source, target, stat, options }: Move, rename: () => T): T {
  if (options.expected === undefined) return rename()
  return withDescriptor(kernel, kernel.openat(source.directory, source.name, O_PATH | O_NOFOLLOW), (held) => {
    unswapped(kernel, source, { now: kernel.fstat(held), known: stat })
    const result = rename()
    if (result === undefined || isSameObject(kernel.statat(target.directory, target.name), kernel.fstat(held)))
      return result
    const path = displayName(describePlace(kernel, target))
    throw new SourceReplacedError(path, 'holds another object than the expected one: it was swapped during the move')
  })
}
