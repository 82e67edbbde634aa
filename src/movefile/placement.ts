// A complete copy, put in place: renamed over the target, or made without a name where the target's is free.

import { smallSize } from '../filecopy/index.ts'
import { displayName, isSyscallError, type Kernel } from '../sys/index.ts'
import { quietly } from './descriptors.ts'
import { StagingTakenError } from './errors.ts'
import { type FinalFlags, setFinalFlags } from './finalFlags.ts'
import { refuseHopeless, refuseStaging } from './hopeless.ts'
import type { Loss } from './losses.ts'
import type { Move, MoveReport, Mover } from './mover.ts'
import { describePlace, newStagingName, type Place } from './place.ts'
import { removeTree } from './removeTree.ts'
import { renameInto } from './rename.ts'
import type { CopiedObject } from './sourceRemoval.ts'
import { copyToFreeName, type StagedObject } from './stage.ts'
import { type StagedTree, stageTree, type TreeOptions, type TreeReport } from './tree.ts'

/** A copy that is in place. */
export interface Placed {
  readonly report: MoveReport
  readonly copied: CopiedObject
}

/** A staging name can be taken away by a process that cleans up: then the object is staged again, so often. */
const attempts = 3

/** Puts a complete copy of the source in place; after an error nothing of it is left. */
export function placeCopy(mover: Mover, move: Move, tree: TreeOptions): Placed {
  const { kernel } = mover
  const { stat, route, target } = move
  const mayBeUnnamed = stat.type === 'file' && route.makesUnnamed
  const isTakenForFree = mayBeUnnamed && route.findsFree && stat.size <= smallSize
  const replaced = isTakenForFree ? undefined : refuseHopeless(kernel, move)
  if (mayBeUnnamed && replaced === undefined) {
    const placed = placeAtFreeName(mover, move)
    route.findsFree = placed !== undefined
    if (placed !== undefined) return placed
    if (refuseHopeless(kernel, move) === undefined) route.makesUnnamed = false
  }
  refuseStaging(kernel, move)
  for (let attempt = 1; attempt <= attempts; attempt++) {
    const placed = placeStaged(mover, move, tree)
    if (placed !== undefined) return placed
  }
  throw new StagingTakenError(displayName(describePlace(kernel, target)))
}

/**
 * Stages a copy of the source beside the target and renames it over; after an error nothing of it is left.
 *
 * Undefined when somebody removed the staging name before it could be renamed.
 */
function placeStaged(mover: Mover, move: Move, tree: TreeOptions): Placed | undefined {
  const { kernel } = mover
  const { target, options } = move
  const staging = { directory: target.directory, name: newStagingName('move') }
  const staged = stage(mover, move, staging, tree)
  try {
    renameInto(kernel, staging, target, options.noReplace ?? false)
  } catch (error) {
    if (isSyscallError(error, 'ENOENT') && isGone(kernel, staging)) return undefined
    quietly(() => removeTree(kernel, staging))
    throw error
  }
  return settled(mover, move, staged)
}

/**
 * Copies a regular file to a name that is free, under which it appears when it is complete.
 *
 * Undefined, with nothing changed, where it cannot be done or the name is not free.
 */
function placeAtFreeName(mover: Mover, move: Move): Placed | undefined {
  const { source, target, stat, options } = move
  const staged = copyToFreeName(mover, source, target, {
    stat,
    mustBeUnchanged: move.isUntouched,
    inheritance: options.route?.inheritance,
    mtimeNs: options.newMtimeNs,
    durable: options.durability === 'file',
    isUnnamed: true,
  })
  return staged && settled(mover, move, treeOfOne(mover, move, staged))
}

/** What is left to do, and to say, when a copy has its final name. */
function settled(mover: Mover, { target, stat, options, unlinked, sync }: Move, staged: StagedTree): Placed {
  const lost: Loss[] = [...unlinked, ...staged.lost, ...setFinalFlags(mover.kernel, target, staged.finalFlags)]
  sync.target()
  const report = { method: 'copy', mtimeNs: options.newMtimeNs ?? stat.mtimeNs, copy: staged.copy, lost } as const
  return { report, copied: staged.copied }
}

/** Any object becomes a staged tree: one that is not a directory is a tree of one. */
function stage(mover: Mover, move: Move, staging: Place, tree: TreeOptions): StagedTree {
  const { source, stat, options } = move
  const durable = options.durability === 'file'
  const watchers = { cancel: mover.cancel, onEntry: mover.onEntry }
  const common = { stat, mtimeNs: options.newMtimeNs, durable, locked: true }
  if (stat.type === 'directory') return stageTree(mover, source, staging, { ...tree, ...common, ...watchers })
  return treeOfOne(mover, move, mover.stageCopy(source, staging, common))
}

function treeOfOne(mover: Mover, { stat }: Move, staged: StagedObject): StagedTree {
  mover.onEntry?.({ name: '', stat })
  const finalFlags: FinalFlags[] = staged.finalFlags === undefined ? [] : [{ name: '', flags: staged.finalFlags }]
  return { copied: { stat: staged.stat }, copy: reportOfOne(staged.copy), lost: staged.lost, finalFlags }
}

function reportOfOne(copy: Pick<TreeReport, 'bytes' | 'holes' | 'bytesByMethod'> | undefined): TreeReport {
  const { bytes, holes, bytesByMethod } = copy ?? { bytes: 0, holes: 0, bytesByMethod: {} }
  return { entries: 1, bytes, holes, bytesByMethod }
}

function isGone(kernel: Kernel, { directory, name }: Place): boolean {
  return kernel.findat(directory, name) === undefined
}
