// The public surface: paths in, a report out, the engine in a worker thread.

import { type CopyOptions, NoMethodError, SameFileError, SourceChangedError } from '../filecopy/index.ts'
import { callEngine, type EngineContext, type FileType, type Name, SyscallError, toName } from '../sys/index.ts'
import type { Durability } from './durability.ts'
import {
  MountPointError,
  NotDurableError,
  SourceNotRemovedError,
  SourceReplacedError,
  StagingTakenError,
} from './errors.ts'
import type { ExpectedSource } from './expected.ts'
import { answeringFilter, answerMemory, askingFilter, type Filter, type FilterQuestion } from './filterQuestions.ts'
import { MetadataLostError } from './losses.ts'
import { type MoveReport, Mover, type PlacementOptions } from './mover.ts'
import { withPlaces } from './paths.ts'
import { type MetadataOptions, metadataPolicy } from './policy.ts'
import { Progress } from './progress.ts'

/** How far a move or a copy is. */
export interface MoveProgress {
  /** Objects finished. */
  readonly entries: number
  /** Bytes copied. */
  readonly bytes: number
}

/** What moving and copying have in common. */
export interface PlaceOptions extends MetadataOptions, Pick<CopyOptions, 'methods' | 'reflink' | 'sparse'> {
  /** Whether a target that exists is left alone: EEXIST. */
  readonly noReplace?: boolean
  /** The modification time of the target, in nanoseconds since the epoch, instead of the source's. */
  readonly newMtime?: bigint
  /** The source as it was looked at (a result of `fs.lstat(path, { bigint: true })` fits): another one is refused. */
  readonly expected?: ExpectedStat
  /** `file` (default): survives a power cut once it is done. `none`: survives a killed process. */
  readonly durability?: Durability
  /** The directory of an image: a symlink to a path in it becomes one to the same path without it. */
  readonly imagePrefix?: string | Uint8Array
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: MoveProgress) => void
}

/** The parts of a stat that are compared; others may be there. */
export interface ExpectedStat {
  readonly ino?: bigint | number
  readonly size?: bigint | number
  readonly mode?: bigint | number
  readonly uid?: bigint | number
  readonly gid?: bigint | number
  readonly mtimeNs?: bigint
  readonly ctimeNs?: bigint
}

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

/** Classes that keep their class on the way from the thread. */
const errors = [
  MountPointError,
  NotDurableError,
  SourceNotRemovedError,
  SourceReplacedError,
  StagingTakenError,
  MetadataLostError,
  NoMethodError,
  SameFileError,
  SourceChangedError,
]

/**
 * Moves one object of any type, a directory with everything below it, from one path to another.
 *
 * By rename where the kernel allows it; else a complete copy, metadata included, is staged beside the target and
 * renamed over it, and then the source goes. At every instant `target` is the old object or the new one; what may
 * replace what is as in rename(2), and symlinks are moved, not followed. Directories are not merged.
 *
 * @throws {SyscallError} the kernel's answer: EISDIR, ENOTDIR, ENOTEMPTY, EEXIST, EACCES, EROFS, ENOSPC …
 * @throws {MetadataLostError} when something of the metadata cannot be kept; see `metadata`
 * @throws {SourceNotRemovedError} when the target is in place and the source could not be removed
 * @throws {NotDurableError} when the target is in place and the disk refuses to write it down
 * @throws {Error} SameFileError, MountPointError, SourceChangedError, SourceReplacedError; the reason of the signal
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
    return await callEngine<MoveReport>(
      new URL(import.meta.url),
      'copyInThread',
      requestOf(source, target, options, { memory }),
      {
        ...threadOptions(options),
        onProgress: (message) => {
          if (isQuestion(message)) void answer?.(message)
          else options.onProgress?.(message as MoveProgress)
        },
      },
    )
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
  return callEngine(new URL(import.meta.url), 'moveInThread', request, threadOptions(options))
}

function threadOptions({ signal, onProgress }: PlaceOptions): Parameters<typeof callEngine>[3] {
  return {
    errors,
    ...(signal === undefined ? {} : { signal }),
    ...(onProgress === undefined ? {} : { onProgress: (progress) => onProgress(progress as MoveProgress) }),
  }
}

/** What the thread is asked for. */
interface Request extends MetadataOptions, Pick<CopyOptions, 'methods' | 'reflink' | 'sparse'> {
  readonly source: Name
  readonly target: Name
  readonly candidates: readonly Name[]
  readonly placement: PlacementOptions
  readonly imagePrefix: Name | undefined
  readonly only?: FileType
  /** Where the answers of the filter come. */
  readonly memory?: SharedArrayBuffer | undefined
}

function requestOf(
  source: string | Uint8Array,
  target: string | Uint8Array,
  options: PlaceOptions,
  more: Partial<Request>,
): Request {
  const { metadata, excludeXattrs, selinux, inodeFlags, methods, reflink, sparse } = options
  const given = { metadata, excludeXattrs, selinux, inodeFlags, methods, reflink, sparse }
  return {
    ...definedOf(given),
    source: toName(source),
    target: toName(target),
    candidates: [],
    placement: definedOf({
      noReplace: options.noReplace,
      newMtimeNs: options.newMtime,
      expected: options.expected && expectedOf(options.expected),
      durability: options.durability ?? 'file',
    }),
    imagePrefix: options.imagePrefix === undefined ? undefined : toName(options.imagePrefix),
    ...more,
  }
}

/** An object without its undefined members. */
function definedOf<T extends object>(members: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as never
}

/** Node's stat in the engine's terms: there the mode holds the type too. */
function expectedOf({ ino, size, mode, uid, gid, mtimeNs, ctimeNs }: ExpectedStat): ExpectedSource {
  const number = (value: bigint | number | undefined) => (value === undefined ? undefined : Number(value))
  return definedOf({
    ino: ino === undefined ? undefined : BigInt(ino),
    size: number(size),
    mode: mode === undefined ? undefined : Number(mode) & 0o7777,
    uid: number(uid),
    gid: number(gid),
    mtimeNs,
    ctimeNs,
  })
}

/** In the thread: moves. */
export function moveInThread(context: EngineContext, request: Request): MoveReport {
  const { source, target, candidates, placement, only } = request
  return withPlaces(context.kernel, [source, target, ...candidates], ([from, to, ...hardlinkCandidates]) => {
    if (from === undefined || to === undefined) throw new TypeError('a move needs a source and a target')
    if (only !== undefined && context.kernel.statat(from.directory, from.name).type !== only) {
      throw new SyscallError('ENOTDIR', 'renameat2', source, target)
    }
    return withMover(context, request, (mover) => mover.move(from, to, { ...placement, hardlinkCandidates }))
  })
}

/** In the thread: copies. */
export function copyInThread(context: EngineContext, request: Request): MoveReport {
  const { source, target, placement, memory } = request
  const { kernel, cancel } = context
  return withPlaces(kernel, [source, target], ([from, to]) => {
    if (from === undefined || to === undefined) throw new TypeError('a copy needs a source and a target')
    const filter = memory && askingFilter(memory, (question) => context.report(question), cancel)
    return withMover(context, request, (mover) => mover.copy(from, to, { ...placement, filter }))
  })
}

function withMover(context: EngineContext, request: Request, work: (mover: Mover) => MoveReport): MoveReport {
  const { methods, reflink, sparse, imagePrefix } = request
  const progress = new Progress(context)
  const mover = new Mover(context.kernel, {
    policy: metadataPolicy(request),
    copy: definedOf({ methods, reflink, sparse }),
    cancel: context.cancel,
    onProgress: (bytes) => progress.addBytes(bytes),
    onEntry: () => progress.addEntry(),
    ...(imagePrefix === undefined ? {} : { imagePrefix }),
  })
  const report = work(mover)
  progress.finish()
  return report
}
