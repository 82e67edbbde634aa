// Hard links: the target of a move becomes a further name of an object that an earlier move has put in place.

import { isSyscallError, type Kernel, type Stat } from '../sys/index.ts'
import { quietly } from './descriptors.ts'
import { isSameObject } from './identity.ts'
import { Losses } from './losses.ts'
import type { Move, MoveReport } from './mover.ts'
import { newStagingName, type Place } from './place.ts'
import { renameInto } from './rename.ts'
import { removeSource } from './sourceRemoval.ts'

/**
 * Makes the target a name of `candidate` and removes the source.
 *
 * Undefined when the candidate has gone, is not what the source is, or cannot be linked (another file system, EMLINK,
 * a file system without links); the reason is then among the move's `unlinked`.
 */
export function linkToCandidate(kernel: Kernel, move: Move, candidate: Place): MoveReport | undefined {
  const { source, target, stat, options, sync } = move
  const existing = kernel.findat(candidate.directory, candidate.name)
  if (existing === undefined || !isAlike(existing, stat)) return undefined
  const staging = { directory: target.directory, name: newStagingName('move') }
  if (!tryLink(kernel, move, candidate, staging)) return undefined
  try {
    const { newMtimeNs } = options
    if (newMtimeNs !== undefined) kernel.utimensat(staging.directory, staging.name, existing.atimeNs, newMtimeNs)
    placeLink(kernel, move, staging, existing)
  } catch (error) {
    quietly(() => kernel.unlinkat(staging.directory, staging.name))
    throw error
  }
  sync.target()
  removeSource(kernel, source, target, { stat })
  sync.source()
  return { method: 'link', mtimeNs: options.newMtimeNs ?? existing.mtimeNs, lost: [] }
}

/** Renaming a name over another name of the same inode does nothing, so the staging name would stay. */
function placeLink(kernel: Kernel, { target, options }: Move, staging: Place, linked: Stat): void {
  const noReplace = options.noReplace ?? false
  const existing = noReplace ? undefined : kernel.findat(target.directory, target.name)
  if (existing !== undefined && isSameObject(existing, linked)) kernel.unlinkat(staging.directory, staging.name)
  else renameInto(kernel, staging, target, noReplace)
}

function tryLink(kernel: Kernel, move: Move, candidate: Place, staging: Place): boolean {
  const lost = new Losses()
  try {
    const link = () => kernel.linkat(candidate.directory, candidate.name, staging.directory, staging.name)
    const linked = lost.attempt('links', link)
    for (const loss of lost.list) move.unlinked.push(loss)
    return linked
  } catch (error) {
    // Gone since it was looked at; and overlayfs answers ENOENT where others say EXDEV.
    if (isSyscallError(error, 'ENOENT')) return false
    throw error
  }
}

/** Whether an object can be another name of what is being moved. */
function isAlike(existing: Stat, stat: Stat): boolean {
  return existing.type === stat.type && stat.type !== 'directory' && existing.size === stat.size
}
