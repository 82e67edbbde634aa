// What a copy is asked, and what it answers.

import type { ErrnoName, Stat } from '../sys/index.ts'

/** A way of moving bytes, by the kernel's own word for it. */
export type Method = 'reflink' | 'copy_file_range' | 'sendfile' | 'read_write'

/** The chain: the cheapest first, and the last one declines nothing. */
export const chain: readonly Method[] = ['reflink', 'copy_file_range', 'sendfile', 'read_write']

/** Half-open: from `start` up to, not including, `end`; bytes. */
export interface Extent {
  readonly start: number
  readonly end: number
}

/** What a caller can ask of any copy. */
export interface CopyOptions {
  /**
   * The order of the methods. The chain by default, where a file of at most 64 KiB goes straight to read and write.
   * A list is taken literally. `fastest` is what was measured: reflink where it works, else read and write in large
   * pieces, into space that is allocated first where that helps.
   */
  readonly methods?: readonly Method[] | 'fastest'
  /** `auto` shares extents where it can; `always` fails where it cannot; `never` makes a copy of its own. */
  readonly reflink?: 'auto' | 'always' | 'never'
  /** `auto` keeps holes; `always` also turns runs of zeros into holes; `never` writes every byte. */
  readonly sparse?: 'auto' | 'always' | 'never'
  /** What happens when the source changed meanwhile: `report` it, `fail`, or `ignore` it, which saves a call. */
  readonly onChange?: 'report' | 'fail' | 'ignore'
  /** The source's, when the caller has just asked for it: saves a call. */
  readonly stat?: Stat
  /** The device of the target, when the caller has just created it (regular, empty, not O_APPEND): saves two calls. */
  readonly freshOn?: number
  /** Given all of the contents where they pass through memory in one piece (small files): valid during the call. */
  readonly onContents?: ((bytes: Uint8Array) => void) | undefined
}

/** Which part goes where. All numbers are bytes. */
export interface CopyRange {
  /** Where reading starts; 0 by default. A source without a position (pipe, socket) is read from where it is. */
  readonly sourceOffset?: number
  /** Where writing starts; 0 by default. */
  readonly targetOffset?: number
  /** How much at most; to the end of the source by default. */
  readonly length?: number
  /** The end of the part of the target that may be written; the size of a block device, else none, by default. */
  readonly window?: number
}

/** Why a method did not take (all of) a copy. */
export interface Decline {
  readonly method: Method | 'seek' | 'preallocate' | 'punch' | 'zero_range'
  /** The errno; `NOTHING` when the call moved nothing although there was more; `OLD_KERNEL` below 5.3. */
  readonly code: ErrnoName | 'NOTHING' | 'OLD_KERNEL'
}

/** What a copy did. */
export interface CopyReport {
  /** Bytes that the target got, holes included. */
  readonly bytes: number
  /** How many of them each method moved. */
  readonly bytesByMethod: Readonly<Partial<Record<Method, number>>>
  /** Bytes of the target that are holes, as far as this copy made or shared them. */
  readonly holes: number
  /** How holes were looked for: not at all, by the source's own map (SEEK_DATA), by runs of zeros. */
  readonly detection: 'none' | 'map' | 'zeros'
  /** Whether the target shares extents with the source. */
  readonly reflinked: boolean
  /** Whether the source's size, mtime or ctime is another than before; false when that was not asked. */
  readonly changed: boolean
  /** The methods that were tried and declined, in that order, each reason once. */
  readonly declined: readonly Decline[]
}
