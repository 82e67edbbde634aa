// The public surface for one object: paths in, a report out, the engine in a worker thread.

import { callEngine, displayName, type EngineContext, type Kernel, SyscallError, toName } from '../sys/index.ts'
import { answeringFilter, answerMemory, askingFilter, type Filter, type FilterQuestion } from './filterQuestions.ts'
import type { MoveReport, Mover } from './mover.ts'
import { meansDirectory, withPlaces } from './paths.ts'
import type { Place } from './place.ts'
import { type MoveProgress, type PlaceOptions, type Request, requestOf, threadOptions, withMover } from './request.ts'

/** What a move can be asked for. */
export interface MoveFileOptions extends PlaceOptions {
  /** Paths that other names of the same file were already moved to: the target becomes a link to the first that can. */
  readonly hardlinkCandidates?: readonly (string | Uint8Array)[]
}

/** What copying a tree can be asked for. */
export interface CopyTreeOptions extends PlaceOptions {
  /** Asked about each member; false leaves it out, with everything below it. */
  readonly filter?: Filter
}

/**
 * Moves one object of any type, a directory with everything below it, from one path to another.
 *
 * By rename where the kernel allows it; else a complete copy, metadata included, is staged beside the target and
 * renamed over it, and then the source goes. At every instant `target` is the old object or the new one; what may
 * replace what is as in rename(2), and symlinks are moved, not followed. Directories are not merged. A path that ends in
 * a slash means a directory.
 *
 * @throws {SyscallError} the kernel's answer: EISDIR, ENOTDIR, ENOTEMPTY, EEXIST, EACCES, EROFS, ENOSPC …
 * @throws {MetadataLostError} when something of the metadata cannot be kept; see `metadata`
 * @throws {SourceNotRemovedError} when the target is in place and the source could not be removed
 * @throws {NotDurableError} when the target is in place and the disk refuses to write it down
 * @throws {Error} SameFileError, IntoItselfError, MountPointError, SourceChangedError, SourceReplacedError; the reason of the signal
 */
export function moveFile(
  source: string | Uint8Array,
  target: string | Uint8Array,
  options: MoveFileOptions = {},
): Promise<MoveReport> {
  return callMove(source, target, options, {})
}

/** As moveFile, of a directory alone: ENOTDIR for anything else. */
export function moveTree(
  source: string | Uint8Array,
  target: string | Uint8Array,
  options: MoveFileOptions = {},
): Promise<MoveReport> {
  return callMove(source, target, options, { only: 'directory' })
}

/**
 * Copies one object, a directory with everything below it, with all its metadata: owner, mode, times in nanoseconds,
 * attributes, ACLs, capabilities, hard links among its members, holes.
 *
 * The copy is staged beside the target and renamed over it, so it appears at once and complete, or not at all. The
 * target may be absent or what rename(2) replaces; a directory that has members is not merged into (ENOTEMPTY).
 *
 * @throws as moveFile; what `filter` throws
 */
export async function copyTree(
  source: string | Uint8Array,
  target: string | Uint8Array,
  options: CopyTreeOptions = {},
): Promise<MoveReport> {
  const { filter } = options
  const memory = filter === undefined ? undefined : answerMemory()
  let filterError: { reason: unknown } | undefined
  const answer =
    filter === undefined || memory === undefined
      ? undefined
      : answeringFilter(memory, filter, (reason) => {
          filterError = { reason }
        })
  try {
    return await callEngine<MoveReport>('copyInThread', requestOf(source, target, options, { memory }), {
      ...threadOptions(options),
      onProgress: (message) => {
        if (isQuestion(message)) void answer?.(message)
        else options.onProgress?.(message as MoveProgress)
      },
    })
  } catch (error) {
    throw filterError === undefined ? error : filterError.reason
  }
}

function isQuestion(message: unknown): message is FilterQuestion {
  return (message as Partial<FilterQuestion>).kind === 'filter'
}

function callMove(
  source: string | Uint8Array,
  target: string | Uint8Array,
  options: MoveFileOptions,
  more: Pick<Request, 'only'>,
): Promise<MoveReport> {
  const candidates = options.hardlinkCandidates?.map(toName) ?? []
  const request = requestOf(source, target, options, { candidates, ...more })
  return callEngine('moveInThread', request, threadOptions(options))
}

/** In the thread: moves. */
export function moveInThread(context: EngineContext, request: Request): MoveReport {
  const { source, target, candidates, placement } = request
  return withPlaces(context.kernel, [source, target, ...candidates], ([from, to, ...hardlinkCandidates]) => {
    if (from === undefined || to === undefined) throw new TypeError('a move needs a source and a target')
    refuseOtherTypes(context.kernel, from, request)
    return tellingCopy(context, request, (mover) => mover.move(from, to, { ...placement, hardlinkCandidates }))
  })
}

/** In the thread: copies. */
export function copyInThread(context: EngineContext, request: Request): MoveReport {
  const { source, target, placement, memory } = request
  const { kernel, cancel } = context
  return withPlaces(kernel, [source, target], ([from, to]) => {
    if (from === undefined || to === undefined) throw new TypeError('a copy needs a source and a target')
    refuseOtherTypes(kernel, from, request)
    const filter = memory && askingFilter(memory, (question) => context.report(question), cancel)
    return tellingCopy(context, request, (mover) => mover.copy(from, to, { ...placement, filter }))
  })
}

/** What the caller asked for by its name, or by a slash at the end of a path, is the only type that it can be. */
function refuseOtherTypes(kernel: Kernel, { directory, name }: Place, { source, target, only }: Request): void {
  const wanted = meansDirectory(source) || meansDirectory(target) ? 'directory' : only
  if (wanted === undefined || kernel.statat(directory, name).type === wanted) return
  throw new SyscallError('ENOTDIR', 'renameat2', source, target)
}

/** As withMover; whoever listens hears how the contents came over. */
function tellingCopy(context: EngineContext, request: Request, work: (mover: Mover) => MoveReport): MoveReport {
  const report = withMover(context, request, work)
  if (report.copy !== undefined) context.tellCopy?.(displayName(request.source), report.copy)
  return report
}
