// The public functions: the same engine, called in place or in a worker thread.

import {
  callEngine,
  displayName,
  type EngineContext,
  type EngineOptions,
  engineContext,
  type Fd,
  type Kernel,
  linuxKernel,
  type Name,
  toName,
} from '../sys/index.ts'
import { Copier } from './copier.ts'
import { copyNamed, type NamedCopyOptions } from './copyFile.ts'
import { errorClasses } from './errors.ts'
import type { CopyOptions, CopyRange, CopyReport } from './report.ts'

/** Options of a copy by name. */
export interface CopyFileSyncOptions extends NamedCopyOptions {
  /** Told how many bytes are done so far, holes included. */
  readonly onProgress?: (bytes: number) => void
}

/** Options of a copy in a worker thread. */
export interface CopyFileOptions extends CopyFileSyncOptions {
  /** Aborting ends the copy within one round, removes what it made, and rejects with the signal's reason. */
  readonly signal?: AbortSignal
}

/** Options of a copy between descriptors in a worker thread. */
export interface CopyDescriptorsOptions extends Omit<CopyOptions, 'stat' | 'freshOn'> {
  readonly signal?: AbortSignal
  readonly onProgress?: (bytes: number) => void
}

/**
 * Copies the contents of one file to another, in a worker thread: see copyFileSync.
 *
 * @throws the signal's reason once it is aborted
 */
export function copyFile(
  source: string | Buffer | Fd,
  target: string | Buffer,
  options: CopyFileOptions = {},
): Promise<CopyReport> {
  const { signal, onProgress, ...rest } = options
  const argument: NamesArgument = { names: [sourceOf(source), toName(target)], options: rest }
  return callEngine<CopyReport>('copyNamedEngine', argument, engineOptions(signal, onProgress))
}

/**
 * Copies the contents of the file `source` to the file `target`, which is made if it is not there.
 *
 * Contents only: a new target gets the permission bits of the source (no set-id bits, less the umask) and no other
 * metadata. A large file on a file system that can share extents always shares them, unless that is forbidden.
 * Symlinks are followed; pipes and devices can be source and target. After an error a target that was made is gone
 * again, and one that was there is empty, or, with `range`, not longer than before.
 *
 * @param source  a path, a Buffer where it is not UTF-8; or a descriptor, which stays open
 * @throws {SyscallError} naming the call that was refused and the file
 * @throws {SameFileError} when source and target are one file, before anything is written
 * @throws {OutOfBoundsError} with `range`, when not all fits into the window
 * @throws {NoMethodError} when `methods` or `reflink` leave none that can do it
 */
export function copyFileSync(
  source: string | Buffer | Fd,
  target: string | Buffer,
  options: CopyFileSyncOptions = {},
): CopyReport {
  const { onProgress, ...rest } = options
  const report = (bytes: unknown) => onProgress?.(bytes as number)
  const context = engineContext(kernelHere(), undefined, report)
  return copyNamedEngine(context, { names: [sourceOf(source), toName(target)], options: rest })
}

/** As Copier.copyContents, in a worker thread. Both descriptors must stay open until the promise is settled. */
export function copyContents(source: Fd, target: Fd, options: CopyDescriptorsOptions = {}): Promise<CopyReport> {
  return copyDescriptors({ source, target }, options)
}

/** As Copier.copyRange, in a worker thread. Both descriptors must stay open until the promise is settled. */
export function copyRange(
  source: Fd,
  target: Fd,
  range: CopyRange,
  options: CopyDescriptorsOptions = {},
): Promise<CopyReport> {
  return copyDescriptors({ source, target, range }, options)
}

interface NamesArgument {
  readonly names: readonly [Name | Fd, Name]
  readonly options: NamedCopyOptions
}

interface DescriptorsArgument {
  readonly source: Fd
  readonly target: Fd
  readonly range?: CopyRange
  readonly options: CopyOptions
}

function copyDescriptors(
  ends: Omit<DescriptorsArgument, 'options'>,
  { signal, onProgress, ...options }: CopyDescriptorsOptions,
): Promise<CopyReport> {
  const argument: DescriptorsArgument = { ...ends, options }
  return callEngine<CopyReport>('copyDescriptorsEngine', argument, engineOptions(signal, onProgress))
}

/** For callEngine only. */
export function copyNamedEngine(context: EngineContext, { names, options }: NamesArgument): CopyReport {
  const report = copyNamed(watchedCopier(context), context.kernel, names, options)
  const [source] = names
  context.tellCopy?.(typeof source === 'number' ? `descriptor ${source}` : displayName(source), report)
  return report
}

/** For callEngine only. */
export function copyDescriptorsEngine(context: EngineContext, argument: DescriptorsArgument): CopyReport {
  const { source, target, range, options } = argument
  const copier = watchedCopier(context)
  return range === undefined
    ? copier.copyContents(source, target, options)
    : copier.copyRange(source, target, range, options)
}

/** Reports how far it is, but not for every extent of thousands. */
function watchedCopier({ kernel, cancel, report }: EngineContext): Copier {
  let done = 0
  let reported = Date.now()
  const onProgress = (bytes: number) => {
    done += bytes
    if (Date.now() - reported < 20) return
    reported = Date.now()
    report(done)
  }
  return new Copier(kernel, { cancel, onProgress })
}

function engineOptions(
  signal: AbortSignal | undefined,
  onProgress: ((bytes: number) => void) | undefined,
): EngineOptions {
  return {
    errors: errorClasses,
    ...(signal && { signal }),
    ...(onProgress && { onProgress: (bytes) => onProgress(bytes as number) }),
  }
}

function sourceOf(source: string | Buffer | Fd): Name | Fd {
  return typeof source === 'number' ? source : toName(source)
}

let kernel: Kernel | undefined

/** The kernel of the calling thread, one for all calls. */
export function kernelHere(): Kernel {
  kernel ??= linuxKernel()
  return kernel
}
