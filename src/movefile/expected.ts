// What the caller knows of the source, compared with what is there.

import { displayName, type Kernel, type Stat } from '../sys/index.ts'
import { SourceReplacedError } from './errors.ts'
import { isSameObject } from './identity.ts'
import { describePlace, type Place } from './place.ts'

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
 * rename(2) takes a name, so between the look and the rename another object could be put under it: then that one is
 * at the target now, and the caller hears of it.
 */
export function refuseSwapped(kernel: Kernel, target: Place, stat: Stat): void {
  if (isSameObject(kernel.statat(target.directory, target.name), stat)) return
  const path = displayName(describePlace(kernel, target))
  throw new SourceReplacedError(path, 'holds another object than the expected one: it was swapped during the move')
}
