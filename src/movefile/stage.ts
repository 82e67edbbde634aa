// A complete copy of one object that is not a directory, under a name of its own: contents and metadata, nothing
// visible under the final name yet.

import { type Copier, type CopyOptions, type CopyReport, SourceChangedError } from '../filecopy/index.ts'
import {
  displayName,
  type Fd,
  type Kernel,
  type Name,
  O_CREAT,
  O_EXCL,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_WRONLY,
  type Stat,
} from '../sys/index.ts'
import { lockStaged } from './abandoned.ts'
import { applyAttributes, type Inherited } from './applyAttributes.ts'
import { type Attributes, readAttributes } from './attributes.ts'
import { quietly, withDescriptor, withWrittenDescriptor } from './descriptors.ts'
import { SourceReplacedError } from './errors.ts'
import { finalFlagsOf } from './finalFlags.ts'
import { isSameObject } from './identity.ts'
import { beforeContents, setInodeFlags } from './inodeFlags.ts'
import { type Loss, Losses, MetadataLostError } from './losses.ts'
import { describePlace, type Place } from './place.ts'
import { accessAcl, type MetadataPolicy } from './policy.ts'

/** What staging needs to know beside the two places. */
export interface StageOptions {
  /** What the caller knows of the source: saves a call, and a source that is another object by now is refused. */
  readonly stat?: Stat
  /** Shared by all objects that are staged in one directory, so that the first one saves calls to the others. */
  readonly inheritance?: Inheritance | undefined
  /** The time that the copy gets instead of the source's. */
  readonly mtimeNs?: bigint | undefined
  /** Whether the copy is on disk (fsync) when staging returns; else that is the caller's. */
  readonly durable?: boolean
  /** Whether a lock marks the copy as being made, so that nobody takes it for abandoned. */
  readonly locked?: boolean
}

/** What files made in one directory inherit; empty until the first one has been looked at. */
export class Inheritance {
  known: Made | undefined
}

/** What a new file was given. */
interface Made extends Inherited {
  readonly dev: number
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
  return known.type === 'file' ? stageFile(stager, request) : stageNode(stager, request)
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
const createStaging = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW

function stageFile(stager: Stager, request: Request): StagedObject {
  const { kernel } = stager
  const { source, staging } = request
  return withDescriptor(kernel, kernel.openat(source.directory, source.name, readSource), (from) => {
    const stat = unswapped(kernel, source, { now: kernel.fstat(from), known: request.known })
    const to = kernel.openat(staging.directory, staging.name, createStaging, 0o600)
    return discardingOnFailure(kernel, staging, () =>
      withWrittenDescriptor(kernel, to, () => fillFile(stager, { from, to, stat }, request)),
    )
  })
}

/** Contents and metadata of a regular file, descriptor to descriptor. */
function fillFile(stager: Stager, open: { from: Fd; to: Fd; stat: Stat }, request: Request): StagedObject {
  const { kernel, copier, policy } = stager
  const { from, to, stat } = open
  const { options, source } = request
  if (options.locked) lockStaged(kernel, to)
  const flagsLost = new Losses()
  const inodeFlags = policy.inodeFlags ? readAttributes(kernel, from, stat, policy).inodeFlags : undefined
  if (inodeFlags !== undefined) setInodeFlags(kernel, to, { flags: inodeFlags, mask: beforeContents }, flagsLost)
  const inherited = whatWasMade(kernel, to, options.inheritance)
  const copy = copier.copyContents(from, to, { ...stager.copyOptions, stat, freshOn: inherited.dev })
  if (copy.changed) throw new SourceChangedError(copy.bytes, kernel.fstat(from).size, describePlace(kernel, source))
  const attributes = attributesToApply(stager, from, stat, options)
  const applied = applyAttributes(kernel, { fd: to, type: 'file', inherited }, attributes, policy)
  if (options.durable) kernel.fsync(to)
  const lost = [...flagsLost.list, ...applied]
  settle(stager, source, lost)
  const [final] = finalFlagsOf('', inodeFlags)
  const staged = { stat, attributes, copy, lost }
  return final === undefined ? staged : { ...staged, finalFlags: final.flags }
}

/** Symlinks, fifos, sockets and devices: made by name, then held by O_PATH and looked at before anything is set. */
function stageNode(stager: Stager, request: Request): StagedObject {
  const { kernel, policy } = stager
  const { source, staging } = request
  return withDescriptor(kernel, kernel.openat(source.directory, source.name, O_PATH | O_NOFOLLOW), (from) => {
    const stat = unswapped(kernel, source, { now: kernel.fstat(from), known: request.known })
    const attributes = attributesToApply(stager, from, stat, request.options)
    makeNode(stager, from, stat, staging)
    return discardingOnFailure(kernel, staging, () =>
      withDescriptor(kernel, kernel.openat(staging.directory, staging.name, O_PATH | O_NOFOLLOW), (to) => {
        if (isPlanted(kernel.fstat(to), stat)) throw changed(kernel, staging, 'was replaced while it was being made')
        const lost = applyAttributes(kernel, { fd: to, type: stat.type }, attributes, policy)
        settle(stager, source, lost)
        return { stat, attributes, lost }
      }),
    )
  })
}

function makeNode(stager: Stager, from: Fd, stat: Stat, staging: Place): void {
  const { kernel } = stager
  const { directory, name } = staging
  if (stat.type === 'symlink') kernel.symlinkat(stager.rewriteLink(kernel.readlinkat(from, '')), directory, name)
  else kernel.mknodat(directory, name, stat.type, 0o600, stat.rdev)
}

function attributesToApply(stager: Stager, from: Fd, stat: Stat, { mtimeNs }: StageOptions): Attributes {
  const attributes = readAttributes(stager.kernel, from, stat, stager.policy)
  return mtimeNs === undefined ? attributes : { ...attributes, mtimeNs }
}

/** Losses are the caller's to read, unless everything had to be kept. */
export function settle({ kernel, policy }: Stager, source: Place, lost: readonly Loss[]): void {
  if (lost.length === 0 || policy.metadata === 'best-effort') return
  throw new MetadataLostError(displayName(describePlace(kernel, source)), lost)
}

/** What a new file was given; asked once a directory. */
function whatWasMade(kernel: Kernel, fd: Fd, inheritance: Inheritance | undefined): Made {
  if (inheritance?.known !== undefined) return inheritance.known
  const { uid, gid, dev } = kernel.fstat(fd)
  const made = { uid, gid, dev, acl: kernel.listXattrs(fd).includes(accessAcl) }
  if (inheritance !== undefined) inheritance.known = made
  return made
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

/** Removes what was staged when finishing it fails. */
export function discardingOnFailure<T>(kernel: Kernel, staging: Place, work: () => T): T {
  try {
    return work()
  } catch (error) {
    quietly(() => kernel.unlinkat(staging.directory, staging.name))
    throw error
  }
}
