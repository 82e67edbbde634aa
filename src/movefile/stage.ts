// A complete copy of one object that is not a directory, under a name of its own: contents and metadata, nothing
// visible under the final name yet.

import { type Copier, type CopyOptions, type CopyReport, SourceChangedError, smallSize } from '../filecopy/index.ts'
import {
  displayName,
  type Fd,
  isSyscallError,
  type Kernel,
  type Name,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  type Stat,
} from '../sys/index.ts'
import { lockStaged } from './abandoned.ts'
import { applyAttributes } from './applyAttributes.ts'
import { type Attributes, readAttributes } from './attributes.ts'
import { withDescriptor } from './descriptors.ts'
import { SourceReplacedError } from './errors.ts'
import { finalFlagsOf } from './finalFlags.ts'
import { isSameObject } from './identity.ts'
import { creationMode, type Inheritance, whatWasMade } from './inheritance.ts'
import { beforeContents, setInodeFlags } from './inodeFlags.ts'
import { type Loss, Losses, MetadataLostError } from './losses.ts'
import { discardingOnFailure, withNamedFile, withUnnamedFile } from './newFile.ts'
import { describePlace, type Place } from './place.ts'
import { accessAcl, type MetadataPolicy } from './policy.ts'

/** What staging needs to know beside the two places. */
export interface StageOptions {
  /** What the caller knows of the source: saves a call, and a source that is another object by now is refused. */
  readonly stat?: Stat
  /** Whether `stat` is of a moment since which the source may not have changed at all: saves another call. */
  readonly mustBeUnchanged?: boolean
  /** Shared by all objects that are staged in one directory, so that the first one saves calls to the others. */
  readonly inheritance?: Inheritance | undefined
  /** Given the payload of a regular file, as cheaply as it can be had. */
  readonly payload?: PayloadReader | undefined
  /** Nobody else can enter the directory, so a copy may have its permission bits before it is complete. */
  readonly isPrivate?: boolean
  /** The copy has no name until it is complete. */
  readonly isUnnamed?: boolean
  /** Fills the copy of a regular file, which gets no contents of the source's then. */
  readonly fill?: (to: Fd) => void
  /** The time that the copy gets instead of the source's. */
  readonly mtimeNs?: bigint | undefined
  /** Whether the copy is on disk (fsync) when staging returns; else that is the caller's. */
  readonly durable?: boolean
  /** Whether a lock marks the copy as being made, so that nobody takes it for abandoned. */
  readonly locked?: boolean
}

/** Reads payloads that are copied, to digest them for instance. */
export interface PayloadReader {
  /** All of it, when it passed through memory in one piece; valid during the call. */
  readonly ofBytes: (bytes: Uint8Array) => void
  /** All of it, when it did not: the source is open, and what is read of it is in the page cache mostly. */
  readonly ofFile: (fd: Fd) => void
}

/** A complete copy that waits under its staging name. */
export interface StagedObject {
  /** The source's, as it was copied. */
  readonly stat: Stat
  /** What was applied to the copy, as far as nothing of it was lost. */
  readonly attributes: Attributes
  /** How the contents of a regular file came over. */
  readonly copy?: CopyReport
  /** What of the metadata could not be kept; empty when all of it had to be. */
  readonly lost: readonly Loss[]
  /** The append and immutable flags: they are set when the object is in place, as they forbid renaming it. */
  readonly finalFlags?: number
}

/** What makes copies: the kernel, the copier of contents, and what is to be kept. */
export interface Stager {
  readonly kernel: Kernel
  readonly copier: Copier
  readonly copyOptions: CopyOptions
  readonly policy: MetadataPolicy
  /** What a symlink's target becomes. */
  rewriteLink(target: Name): Name
}

/** Stages a copy of `source`, of any type but directory; after an error nothing is left under the staging name. */
export function stageCopy(stager: Stager, source: Place, staging: Place, options: StageOptions = {}): StagedObject {
  const known = options.stat ?? stager.kernel.statat(source.directory, source.name)
  const request = { source, staging, known, options }
  return known.type === 'file' ? stageFile(stager, request, withNamedFile) : stageNode(stager, request)
}

/**
 * As stageCopy, of a regular file to its final name, which must be free: it has no name until it is complete.
 *
 * @returns undefined, with nothing changed, when the name is taken or the file system cannot do this
 * @throws {NotDurableError} as withUnnamedFile
 */
export function copyToFreeName(
  stager: Stager,
  source: Place,
  target: Place,
  options: StageOptions & { readonly stat: Stat; readonly isUnnamed: true },
): StagedObject | undefined {
  return stageFile(stager, { source, staging: target, known: options.stat, options }, withUnnamedFile)
}

interface Request {
  readonly source: Place
  readonly staging: Place
  /** What the source was when it was last looked at. */
  readonly known: Stat
  readonly options: StageOptions
}

/** O_NONBLOCK: the name may have become a fifo since it was looked at, and opening that would wait for a writer. */
const readSource = O_RDONLY | O_NOFOLLOW | O_NONBLOCK

/** How a new file is made and filled. */
type Maker<Made> = (kernel: Kernel, place: Place, mode: number, fill: (fd: Fd) => StagedObject) => Made

function stageFile<Made>(stager: Stager, request: Request, withNewFile: Maker<Made>): Made {
  const { kernel } = stager
  const { source, staging } = request
  return withDescriptor(kernel, kernel.openat(source.directory, source.name, readSource), (from) => {
    const look = () => unswapped(kernel, source, { now: kernel.fstat(from), known: request.known })
    const stat = isLookedAtAfterwards(stager, request) ? request.known : look()
    const mode = creationMode(request.options, stat)
    return withNewFile(kernel, staging, mode, (to) => {
      try {
        return fillFile(stager, { from, to, stat, mode }, request)
      } catch (error) {
        if (error instanceof SourceChangedError || isSyscallError(error, 'ESPIPE', 'EISDIR', 'ENXIO')) look()
        throw error
      }
    })
  })
}

/** A small file may be compared with what the caller knows when it has been read: one look instead of two. */
function isLookedAtAfterwards({ copyOptions }: Stager, { known, options }: Request): boolean {
  const { stat, mustBeUnchanged } = options
  return stat !== undefined && mustBeUnchanged === true && known.size <= smallSize && copyOptions.onChange !== 'ignore'
}

interface OpenFiles {
  readonly from: Fd
  readonly to: Fd
  /** The source's. */
  readonly stat: Stat
  /** What the copy was made with. */
  readonly mode: number
}

/** Contents and metadata of a regular file, descriptor to descriptor. */
function fillFile(stager: Stager, open: OpenFiles, request: Request): StagedObject {
  const { kernel, copier, policy } = stager
  const { from, to, stat } = open
  const { options, source } = request
  if (options.locked) lockStaged(kernel, to)
  const flagsLost = new Losses()
  const inodeFlags = policy.inodeFlags ? readAttributes(kernel, from, stat, policy).inodeFlags : undefined
  if (inodeFlags !== undefined) setInodeFlags(kernel, to, { flags: inodeFlags, mask: beforeContents }, flagsLost)
  const inherited = whatWasMade(kernel, to, options.inheritance, open.mode)
  const { payload } = options
  let isRead = false
  const onContents =
    payload &&
    ((bytes: Uint8Array) => {
      isRead = true
      payload.ofBytes(bytes)
    })
  // The known members first: V8 adds those behind a spread one by one, slowly.
  const copyOptions = { stat, freshOn: inherited.dev, onContents, ...stager.copyOptions }
  const copy = options.fill === undefined ? copier.copyContents(from, to, copyOptions) : options.fill(to)
  if (copy?.changed) throw new SourceChangedError(copy.bytes, kernel.fstat(from).size, describePlace(kernel, source))
  if (!isRead) payload?.ofFile(from)
  const attributes = attributesToApply(stager, { fd: from, stat }, options)
  const applied = applyAttributes(kernel, { fd: to, type: 'file', inherited }, attributes, policy)
  if (options.durable) kernel.fsync(to)
  const lost = [...flagsLost.list, ...applied]
  settle(stager, source, lost)
  const [final] = finalFlagsOf('', inodeFlags)
  const staged = copy ? { stat, attributes, copy, lost } : { stat, attributes, lost }
  return final === undefined ? staged : { ...staged, finalFlags: final.flags }
}

/** Symlinks, fifos, sockets and devices: made by name, then held by O_PATH and looked at before anything is set. */
function stageNode(stager: Stager, request: Request): StagedObject {
  const { kernel, policy } = stager
  const { source, staging } = request
  return withDescriptor(kernel, kernel.openat(source.directory, source.name, O_PATH | O_NOFOLLOW), (from) => {
    const stat = unswapped(kernel, source, { now: kernel.fstat(from), known: request.known })
    const names = namesOfNode(kernel, from, source)
    const attributes = attributesToApply(stager, { fd: from, stat, names }, request.options)
    makeNode(stager, from, stat, staging)
    return discardingOnFailure(kernel, staging, () =>
      withDescriptor(kernel, kernel.openat(staging.directory, staging.name, O_PATH | O_NOFOLLOW), (to) => {
        const made = kernel.fstat(to)
        if (isPlanted(made, stat)) throw changed(kernel, staging, 'was replaced while it was being made')
        // A symlink has no ACL.
        const acl = stat.type !== 'symlink' && namesOfNode(kernel, to, staging)?.includes(accessAcl) !== false
        const inherited = { uid: made.uid, gid: made.gid, acl }
        const lost = applyAttributes(kernel, { fd: to, type: stat.type, inherited }, attributes, policy)
        settle(stager, source, lost)
        return { stat, attributes, lost }
      }),
    )
  })
}

/**
 * Which attributes a node has. Only /proc can tell that of a descriptor, and a root that is being made has none: there its
 * name is asked (Linux 6.13), so one who swaps the object away and back meanwhile makes it lose them.
 */
function namesOfNode(kernel: Kernel, node: Fd, { directory, name }: Place): readonly Name[] | undefined {
  return kernel.listXattrsAt(node, '') ?? kernel.listXattrsAt(directory, name)
}

function makeNode(stager: Stager, from: Fd, stat: Stat, staging: Place): void {
  const { kernel } = stager
  const { directory, name } = staging
  if (stat.type === 'symlink') kernel.symlinkat(stager.rewriteLink(kernel.readlinkat(from, '')), directory, name)
  else kernel.mknodat(directory, name, stat.type, 0o600, stat.rdev)
}

function attributesToApply(
  { kernel, policy }: Stager,
  { fd, stat, names }: { fd: Fd; stat: Stat; names?: readonly Name[] | undefined },
  { mtimeNs }: StageOptions,
): Attributes {
  const attributes = readAttributes(kernel, fd, stat, policy, names)
  return mtimeNs === undefined ? attributes : { ...attributes, mtimeNs }
}

/** Losses are the caller's to read, unless everything had to be kept. */
export function settle({ kernel, policy }: Stager, source: Place, lost: readonly Loss[]): void {
  if (lost.length === 0 || policy.metadata === 'best-effort') return
  throw new MetadataLostError(displayName(describePlace(kernel, source)), lost)
}

/** The source as it is now, unless it is another object than the one that was looked at. */
export function unswapped(kernel: Kernel, source: Place, { now, known }: { now: Stat; known: Stat }): Stat {
  if (isSameObject(now, known) && now.type === known.type) return now
  throw changed(kernel, source, 'was replaced by another object')
}

function changed(kernel: Kernel, place: Place, how: string): SourceReplacedError {
  return new SourceReplacedError(displayName(describePlace(kernel, place)), how)
}

/**
 * Between making a node and opening it somebody who may write the directory could have put another object there;
 * a link to somebody's device or fifo has more than one name.
 */
function isPlanted(made: Stat, stat: Stat): boolean {
  const sameDevice = made.rdev.major === stat.rdev.major && made.rdev.minor === stat.rdev.minor
  return made.type !== stat.type || !sameDevice || made.nlink !== 1
}
