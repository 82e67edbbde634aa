// What moves and copies are asked for, on their way to the engine's thread: options in, a mover out.

import { type CopyOptions, NoMethodError, SameFileError, SourceChangedError } from '../filecopy/index.ts'
import {
  type EngineContext,
  type EngineOptions,
  type ErrorClass,
  type FileType,
  type Name,
  toName,
} from '../sys/index.ts'
import type { Durability } from './durability.ts'
import {
  IntoItselfError,
  MountPointError,
  NotDurableError,
  SourceNotRemovedError,
  SourceReplacedError,
  StagingTakenError,
} from './errors.ts'
import type { ExpectedSource } from './expected.ts'
import { MetadataLostError } from './losses.ts'
import { Mover, type PlacementOptions } from './mover.ts'
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

/** Classes that keep their class on the way from the thread. */
export const errors: readonly ErrorClass[] = [
  IntoItselfError,
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

/** What a call of the engine takes from the options of a move. */
export function threadOptions({ signal, onProgress }: PlaceOptions): EngineOptions {
  return {
    errors,
    ...(signal === undefined ? {} : { signal }),
    ...(onProgress === undefined ? {} : { onProgress: (progress) => onProgress(progress as MoveProgress) }),
  }
}

/** What the thread is asked for. */
export interface Request extends MetadataOptions, Pick<CopyOptions, 'methods' | 'reflink' | 'sparse'> {
  readonly source: Name
  readonly target: Name
  readonly candidates: readonly Name[]
  readonly placement: PlacementOptions
  readonly imagePrefix: Name | undefined
  readonly only?: FileType
  /** Where the answers of the filter come. */
  readonly memory?: SharedArrayBuffer | undefined
}

/** The options of a move or a copy, as they go to the thread. */
export function requestOf(
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

/** Does `work` with a mover that keeps what a request asks for and tells the caller how far it is. */
export function withMover<T>(context: EngineContext, request: Request, work: (mover: Mover) => T): T {
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
