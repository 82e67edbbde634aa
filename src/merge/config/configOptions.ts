// What callers give to, and get from, the operations on updates of configuration files.

import type { FileType } from '../../sys/index.ts'
import type { MergeDurability } from '../flush.ts'
import type { RootOptions } from '../session.ts'
import type { LeftOver } from '../transaction.ts'
import type { Favour } from './threeWay.ts'

/** Options of configUpdates(). */
export interface ConfigUpdatesOptions extends RootOptions {
  /** Files, updates, or directories above them; all by default. */
  readonly names?: readonly (string | Uint8Array)[]
  /** To resolve them: without those that a newer one for the same file makes pointless; each of `names` must have one. */
  readonly resolvable?: boolean
}

/** An update that waits beside a file. */
export interface ConfigUpdate {
  /** The file; escaped for reading. */
  readonly name: string
  /** The update; escaped for reading. */
  readonly update: string
  /** The update's name in base64: what the other operations take, decoded. */
  readonly bytes: string
  /** Whose file it is; none when an unmerged package left it. */
  readonly packages: readonly string[]
  /** What has the file's name now; absent when nothing does. */
  readonly live?: FileType
  readonly type: FileType
  /** Whether no later update waits for the same file. */
  readonly isNewest: boolean
}

/** Options of the operations on one update. */
export interface UpdateOptions extends RootOptions {
  /** The update's name; or the file's, which means its newest update. */
  readonly update: string | Uint8Array
}

/** For resolveUpdate(): what an answer is about. */
export interface SeenUpdate {
  /** Which live file it was. */
  readonly expectedLive: string
  /** Which version the update was. */
  readonly expectedUpdate: string
}

/** How an update differs from the live file. */
export interface UpdateDifference extends SeenUpdate {
  readonly name: string
  readonly update: string
  /** A unified diff, with lines about type, mode and owner; empty when there is no difference. */
  readonly text: Uint8Array
}

/** Options of mergeUpdate(). */
export interface MergeUpdateOptions extends UpdateOptions {
  /** Who is right where both changed the same lines; without it markers stand there. */
  readonly favour?: Favour
}

/** A live file and its update, merged; nothing is written. */
export interface MergedUpdate extends SeenUpdate {
  readonly name: string
  readonly update: string
  readonly contents: Uint8Array
  /** Places where both changed the same lines. */
  readonly conflicts: number
  /** Whether the version that the live file comes from was known; without it every difference is a conflict. */
  readonly hasBase: boolean
}

/** Options of resolveUpdate(); it refuses when the live file, or the update, is not the one that was seen. */
export interface ResolveUpdateOptions extends UpdateOptions, Partial<SeenUpdate> {
  /**
   * accept   the file becomes the update
   * reject   the update goes, and the same version is not offered again
   * replace  the file becomes `contents`, and the update goes
   * rework   the update becomes `contents`, and goes on waiting
   */
  readonly action: 'accept' | 'reject' | 'replace' | 'rework'
  readonly contents?: Uint8Array
  /** Accept an update in which conflict markers are left. */
  readonly force?: boolean
  readonly durability?: MergeDurability
}

/** What was done with an update. */
export interface ResolvedUpdate {
  readonly name: string
  readonly update: string
  readonly action: ResolveUpdateOptions['action']
  /** Older updates of the file that went with it. */
  readonly superseded: readonly string[]
  readonly transaction: string
  /** What should have gone, and stayed. */
  readonly leftOvers: readonly LeftOver[]
  readonly notes: readonly string[]
}

/** An update with its contents. */
export interface UpdateContents extends SeenUpdate {
  readonly name: string
  readonly update: string
  readonly contents: Uint8Array
}
