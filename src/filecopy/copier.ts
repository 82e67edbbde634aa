// The engine's surface on descriptors.

import type { Fd, Kernel } from '../sys/index.ts'
import { Copying, type Ends } from './copying.ts'
import { boundsOf, copyBounded, copyBoundedStream, mustNotOverlap } from './copyRange.ts'
import { copySmall, isSmall } from './copySmall.ts'
import { copyWhole, copyWholeStream } from './copyWhole.ts'
import { emptied, isSameFile, type SourceEnd, sourceEnd, type TargetEnd, targetEnd } from './ends.ts'
import { AppendOnlyError, OutOfBoundsError } from './errors.ts'
import { clear, extendByHole } from './holes.ts'
import { writeAll } from './methods.ts'
import type { CopyOptions, CopyRange, CopyReport, Extent } from './report.ts'
import { cutBack } from './settle.ts'
import { type Watchers, Workspace } from './workspace.ts'

/**
 * Copies contents between descriptors. One a thread: it remembers which calls decline between which devices, and owns
 * the buffers (at most 1.3 MiB, made when needed).
 *
 * The kernel must be one that makes interrupted calls again (see `retryInterrupted`). The positions of both
 * descriptors stay where they were, but for those of pipes, sockets and terminals.
 */
export class Copier {
  readonly #work: Workspace

  constructor(kernel: Kernel, watchers: Watchers = {}) {
    this.#work = new Workspace(kernel, watchers)
  }

  /**
   * Makes the contents of `target` those of `source`, from its first byte to its last.
   *
   * A target that holds something is emptied first, but not when it is the source itself. After an error a regular
   * target is empty. A block device keeps what is behind the copy, and refuses one that it has no room for.
   *
   * @throws {SameFileError} before anything is written
   * @throws {SourceChangedError} with `onChange: 'fail'`
   * @throws {NoMethodError} when the allowed methods do not suffice
   * @throws {NotCopyableError} for a directory
   * @throws {SyscallError} naming the call that was refused and the file
   */
  copyContents(source: Fd, target: Fd, options: CopyOptions = {}): CopyReport {
    const { kernel } = this.#work
    const from = sourceEnd(kernel, source, options.stat)
    const end = targetEnd(kernel, target, options)
    if (end.deviceSize !== undefined) return this.copyRange(source, target, {}, options)
    const empty = emptied(kernel, end, from.sourceStat)
    return this.#copySmall(from, empty, options) ?? this.#copyWhole(from, empty, options)
  }

  #copySmall({ source, sourceStat }: SourceEnd, end: TargetEnd, options: CopyOptions): CopyReport | undefined {
    if (!isSmall(sourceStat, end, options)) return undefined
    try {
      return copySmall(this.#work, { fd: source, stat: sourceStat }, end.target, options)
    } catch (error) {
      cutBack(this.#work.kernel, end)
      throw error
    }
  }

  #copyWhole(from: SourceEnd, end: TargetEnd, options: CopyOptions): CopyReport {
    const copy = this.#copying(from, end, 0, options)
    return from.streams ? copyWholeStream(copy) : copyWhole(copy)
  }

  /**
   * Copies a range of `source` to an offset of `target`, within a window; the target keeps everything else.
   *
   * What does not fit is an error, but what fits is written. Holes of the source read as zeros in the target, over old
   * data too. After any other error a regular target is not longer than before.
   *
   * @throws {OutOfBoundsError} with the bytes written: none when it starts out of bounds
   * @throws {SameFileError} when the ranges are of one file and overlap; nothing was written
   * @throws {AppendOnlyError} when the target was opened with O_APPEND
   */
  copyRange(source: Fd, target: Fd, range: CopyRange, options: CopyOptions = {}): CopyReport {
    const { kernel } = this.#work
    const from = sourceEnd(kernel, source, options.stat)
    const end = targetEnd(kernel, target, options)
    const bounds = boundsOf(range, end.deviceSize)
    if (end.appends) throw new AppendOnlyError()
    if (end.stat !== undefined && isSameFile(end.stat, from.sourceStat)) mustNotOverlap(bounds, from.sourceStat.size)
    const copy = this.#copying(from, end, bounds.targetOffset - (from.streams ? 0 : bounds.sourceOffset), options)
    return from.streams ? copyBoundedStream(copy, bounds) : copyBounded(copy, bounds)
  }

  /** Looks at the cancel flag. @throws {Cancelled} once it is raised */
  check(): void {
    this.#work.check()
  }

  /**
   * Writes bytes at an offset of the target, those that fit into the window.
   *
   * @throws {OutOfBoundsError} with the bytes written, when not all do
   */
  write(target: Fd, bytes: Uint8Array, offset: number, window: number = Number.MAX_SAFE_INTEGER): void {
    const fitting = Math.max(0, Math.min(bytes.length, window - offset))
    writeAll(this.#writing(target), bytes.subarray(0, fitting), offset)
    if (fitting < bytes.length) throw new OutOfBoundsError(fitting, offset, window)
  }

  /** Makes an extent of the target read as zeros, and the target long enough for it: written, or left as a hole. */
  writeZeros(target: Fd, extent: Extent, as: 'bytes' | 'hole'): void {
    const copy = this.#writing(target)
    clear(copy, extent, as)
    const { oldEnd, resizable } = copy.ends
    if (as === 'bytes' || !resizable || extent.end <= oldEnd) return
    extendByHole(copy, { start: Math.max(extent.start, oldEnd), end: extent.end })
  }

  #writing(target: Fd): Copying {
    const { kernel } = this.#work
    const { stat, ...end } = targetEnd(kernel, target, {})
    if (end.appends) throw new AppendOnlyError()
    const sourceStat = stat ?? kernel.fstat(target)
    return this.#copying({ source: target, sourceStat, streams: false }, end, 0, {})
  }

  #copying({ source, sourceStat }: SourceEnd, end: TargetEnd, shift: number, options: CopyOptions): Copying {
    const ends: Ends = { ...end, source, sourceStat, shift }
    return new Copying(this.#work, ends, options)
  }
}
