// One copy under way: its two ends, the methods it may use, and what it has done so far.

import { type Fd, type Kernel, SEEK_CUR, SEEK_SET, type Stat, SyscallError } from '../sys/index.ts'
import { answerTo, type DecliningCall } from './declines.ts'
import { type CopyOptions, type CopyReport, chain, type Decline, type Extent, type Method } from './report.ts'
import type { Workspace } from './workspace.ts'

/** A method that moves bytes from call to call; reflink takes all or nothing. */
export type ByteMethod = Exclude<Method, 'reflink'>

/** Where a copy goes from and to. */
export interface Ends {
  readonly source: Fd
  readonly sourceStat: Stat
  readonly target: Fd
  readonly targetDevice: number
  /** What is to be added to an offset in the source to get that in the target. */
  readonly shift: number
  /** Bytes of the target from here on are not there yet, so they read as zeros once it is longer. */
  readonly oldEnd: number
  /** Regular, so that its size can be set. */
  readonly resizable: boolean
  /** Opened with O_APPEND: writes go to its end, whatever offset they name. */
  readonly appends: boolean
  /** How a target without positions is written, undefined for all others. `waits`: its writes can block. */
  readonly sequential?: 'waits' | 'returns'
}

/** How often a call that says EAGAIN is made again, and how long is waited before. */
const patience = { attempts: 5, milliseconds: 10 }

/** See the head of this file. */
export class Copying {
  readonly work: Workspace
  readonly kernel: Kernel
  readonly ends: Ends
  readonly options: CopyOptions
  /** Whether reflink may be tried. */
  readonly mayReflink: boolean
  readonly byteMethods: readonly ByteMethod[]
  /** The size that the target has been given ahead of its bytes. */
  sized: number | undefined
  /** Whether the target shares every extent of the source. */
  sharesAll = false
  holes = 0
  detection: CopyReport['detection'] = 'none'
  readonly bytesByMethod: Partial<Record<Method, number>> = {}
  readonly declined: Decline[] = []
  readonly #declines = new Set<DecliningCall>()
  readonly #positions = new Map<Fd, number>()
  #impatience = 0

  constructor(work: Workspace, ends: Ends, options: CopyOptions) {
    this.work = work
    this.kernel = work.kernel
    this.ends = ends
    this.options = options
    const methods = allowedMethods(options)
    this.mayReflink = methods.includes('reflink')
    this.byteMethods = methods.filter((method): method is ByteMethod => method !== 'reflink' && suits(method, ends))
  }

  /** Before a descriptor's position is moved: remembers where it stood. */
  keepPosition(fd: Fd): void {
    if (!this.#positions.has(fd)) this.#positions.set(fd, this.kernel.lseek(fd, 0, SEEK_CUR))
  }

  /** Puts the descriptors back where they stood: their positions are the caller's. */
  restorePositions(): void {
    for (const [fd, position] of this.#positions) this.kernel.lseek(fd, position, SEEK_SET)
    this.#positions.clear()
  }

  /** Whether `call` is known to decline here. */
  declines(call: DecliningCall | ByteMethod): boolean {
    if (call === 'read_write') return false
    if (this.#declines.has(call)) return true
    const code = this.work.memory.reason(call, this.ends.sourceStat.dev, this.ends.targetDevice)
    if (code !== undefined) this.note({ method: call, code })
    return code !== undefined
  }

  /**
   * Takes an error of `call` as an answer, by the decline table.
   *
   * @returns whether to make the call again; else it has declined
   * @throws the error, when no other method could do better, or when it is not the kernel's
   */
  takesAnswer(call: DecliningCall | ByteMethod, error: unknown): 'again' | 'declined' {
    if (!(error instanceof SyscallError)) throw error
    const answer = answerOf(call, error)
    if (answer === 'fatal') throw error
    if (answer === 'again' && ++this.#impatience % patience.attempts !== 0) {
      this.kernel.poll([], patience.milliseconds)
      return 'again'
    }
    if (call === 'read_write') throw error
    if (answer !== 'extent') this.#declines.add(call)
    const { sourceStat, targetDevice } = this.ends
    if (answer === 'devices') this.work.memory.addDevices(call, sourceStat.dev, targetDevice, error.code)
    if (answer === 'process') this.work.memory.addProcessIfConfirmed(this.kernel, call)
    this.note({ method: call, code: error.code })
    return 'declined'
  }

  /** Writes a decline into the report, each reason once. */
  note(decline: Decline): void {
    const known = this.declined.some((each) => each.method === decline.method && each.code === decline.code)
    if (!known) this.declined.push(decline)
  }

  count(method: Method, bytes: number): void {
    this.bytesByMethod[method] = (this.bytesByMethod[method] ?? 0) + bytes
    this.work.moved(bytes)
  }

  /** Gives the target its size ahead of the bytes, so that no write extends it and what is not written is a hole. */
  presize(size: number): void {
    if (!this.ends.resizable || size <= this.ends.oldEnd) return
    this.sized = this.ends.appends ? 0 : size // what is appended goes behind the end, so that stays where it is
    if (!this.ends.appends) this.kernel.ftruncate(this.ends.target, size)
  }

  /** The same extent in the target. */
  inTarget(extent: Extent): Extent {
    return { start: extent.start + this.ends.shift, end: extent.end + this.ends.shift }
  }

  report(bytes: number, changed: boolean): CopyReport {
    return {
      bytes,
      bytesByMethod: this.bytesByMethod,
      holes: this.holes,
      detection: this.detection,
      reflinked: (this.bytesByMethod.reflink ?? 0) > 0,
      changed,
      declined: this.declined,
    }
  }
}

/** copy_file_range takes regular files only, and sendfile could wait for the reader of a pipe for ever. */
function suits(method: Method, ends: Ends): boolean {
  if (ends.sequential !== undefined) return method === 'read_write'
  return ends.resizable || method !== 'copy_file_range'
}

/** read and write decline nothing; only "not now" is asked again. */
function answerOf(call: DecliningCall | ByteMethod, error: SyscallError): ReturnType<typeof answerTo> {
  if (call !== 'read_write') return answerTo(call, error.code)
  return error.code === 'EAGAIN' ? 'again' : 'fatal'
}

/**
 * The methods that the options leave, in order.
 *
 * A copy of its own (`reflink: never`), or one whose every byte is written (`sparse: never`), cannot use
 * copy_file_range either: it shares extents on XFS and btrfs, holes included.
 */
export function allowedMethods(options: CopyOptions): readonly Method[] {
  const { methods = chain, reflink = 'auto', sparse = 'auto' } = options
  if (reflink === 'always') {
    if (sparse !== 'auto') throw new TypeError(`reflink: 'always' goes with sparse: 'auto' only`)
    return ['reflink']
  }
  const wanted = methods === 'fastest' ? (['reflink', 'read_write'] as const) : methods
  if (sparse === 'always') return wanted.filter((method) => method === 'read_write')
  const own = reflink === 'never' || sparse === 'never'
  return own ? wanted.filter((method) => method !== 'reflink' && method !== 'copy_file_range') : wanted
}
