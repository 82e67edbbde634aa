// What callers give to the operations on a root, and what they get back.

import type { MetadataOptions } from '../movefile/index.ts'
import type { FileType } from '../sys/index.ts'
import type { ArchiveOptions } from './archive/unpack.ts'
import type { ProtectionOptions } from './config/protection.ts'
import type { Difference } from './differences.ts'
import type { LostMetadata } from './lostMetadata.ts'
import type { KeptName } from './obsolete.ts'
import type { PlanSteps } from './planSteps.ts'
import type { RecoveryReport } from './recover.ts'
import type { SelectionOptions } from './selection.ts'
import type { RootOptions } from './session.ts'
import type { LeftOver, MergeDurability, TransactionPhase } from './transaction.ts'

/** Where an operation is. */
export interface MergeProgress {
  readonly phase: 'wait' | 'unpack' | 'plan' | 'verify' | TransactionPhase
  readonly entries: number
  readonly bytes: number
  /** Absent until it is known. */
  readonly totalEntries?: number
  /** In the phase `wait`: who is changing the root. */
  readonly holder?: string
}

/** What becomes of an image. */
export interface MoveOptions {
  /**
   * `copy` (default) leaves the image as it is. `move` takes its objects by rename where the kernel allows it and
   * copies the others; once the merge is final nothing of what was merged is in the image any more, and a merge that
   * is undone leaves it as it was. An archive always stays.
   */
  readonly mode?: 'copy' | 'move'
}

/** Names of triggers, and glob patterns of the names whose change touches each. */
export type Triggers = Readonly<Record<string, readonly string[]>>

/** An image, and the package that it becomes. */
export interface ImageOptions extends SelectionOptions, ArchiveOptions, MoveOptions, ProtectionOptions {
  /** A directory tree, or an archive: tar (plain, gzip, xz, lzma, zstd, bzip2), .deb, npm's .tgz; `-` is one on standard input. */
  readonly image: string | Uint8Array
  /** The name to record it under; an older version of the same name is replaced. */
  readonly package: string
}

/** Options of a merge as a whole. What ImageOptions has too counts for every image that does not say otherwise. */
export interface TransactionOptions extends RootOptions, MetadataOptions, Omit<ImageOptions, 'image' | 'package'> {
  /**
   * Packages that the new ones replace; their obsolete names go with the same transaction. One that the root does not
   * have is no error, as in dpkg's and pacman's fields of that name: the report tells (`notReplaced`).
   */
  readonly replaces?: readonly string[]
  /** Glob patterns of names whose collisions are allowed: ownership passes to the package that brings them. */
  readonly collisionIgnore?: readonly string[]
  /**
   * What happens to objects that no package owns: `refuse` (default), or `replace-unowned`: they are kept in the state's
   * backups, and have their names again when these are free.
   */
  readonly collisions?: 'refuse' | 'replace-unowned'
  /** As of UnmergeOptions. */
  readonly triggers?: Triggers
  /** Whether the report lists every name that was changed. */
  readonly listChanged?: boolean
  /** Own objects together with other packages where they are identical, instead of refusing. */
  readonly shareIdentical?: boolean
  /** `transaction` (default) and `file` survive power cuts, `none` kills only; MergeDurability says how they differ. */
  readonly durability?: MergeDurability
  /** How many of the last transactions, this one included, can be undone afterwards: what they displaced is kept. */
  readonly keepUndo?: number
  /** Whether names may lie in another root that bears a mark of its own, and so does not know of them. */
  readonly intoOtherRoots?: boolean
  /** Whether payloads are digested for the record; `sha256` by default. */
  readonly digest?: 'sha256' | 'none'
  /** Refuse names that Portage's CONTENTS cannot have, so that readContents() can write it afterwards. */
  readonly contents?: boolean
  /** Threads that stage, 256 at most; as many as cores, and not more than four, by default. */
  readonly jobs?: number
  /** Offer updates of protected files that were offered before, too. */
  readonly noConfigMemory?: boolean
}

/** Options of merge(): one image, or several that are merged as one transaction. */
export type MergeOptions = TransactionOptions &
  ((ImageOptions & { readonly images?: undefined }) | { readonly images: readonly ImageOptions[] })

/** What a merge did, or will do, for one of its packages. */
export interface PackageReport {
  readonly package: string
  readonly entries: number
  /** How many entries had each fate; `remove` are names that only its older version had. */
  readonly counts: Readonly<Record<string, number>>
}

/** A protected name, and the update that waits beside it; escaped for reading. */
export interface OfferedUpdate {
  readonly package: string
  readonly name: string
  readonly update: string
}

/** A live file that goes to another name; escaped for reading. */
export interface SavedFile {
  readonly name: string
  readonly saved: string
}

/** What a merge did. */
export interface MergeReport {
  /** As of MergePlan. */
  readonly notReplaced?: readonly string[]
  /** One for each image, in their order. */
  readonly packages: readonly PackageReport[]
  /** Of all packages. */
  readonly entries: number
  /**
   * How many entries had each fate: place, replace, adopt, refresh, newDirectory, keepDirectory, changeDirectory,
   * remove, twin (the very object that another name or image of the same call brings), setAside (offered beside the live
   * object), keepLive (the live object stays, and nothing new is offered), keepMetadata.
   */
  readonly counts: Readonly<Record<string, number>>
  /** Bytes of payload by the method that copied them. */
  readonly bytesByMethod: Readonly<Record<string, number>>
  /** Bytes of holes that were kept. */
  readonly holes: number
  /** Those of the given triggers that this touched: running them is the caller's work. */
  readonly triggered: readonly string[]
  /** Objects of nobody that were replaced, and are kept until their names are free; escaped for reading. */
  readonly backedUp: readonly string[]
  /** Such objects that have their names again. */
  readonly restored: readonly string[]
  /** Names of old versions, and of packages that are replaced, that stayed, and why. */
  readonly kept: readonly KeptName[]
  /** Protected names that stay as they are, and where the new version is beside each. */
  readonly updates: readonly OfferedUpdate[]
  /** Protected files that went to another name, and which. */
  readonly saved: readonly SavedFile[]
  readonly leftOvers: readonly LeftOver[]
  /** What had to be done in another way than the best one, such as names that could not be exchanged. */
  readonly notes?: readonly string[]
  /** What of the metadata could not be kept; nothing with `metadata: 'require'`. */
  readonly lost: readonly LostMetadata[]
  /** Every name that got, lost or changed its object, save names among them, each ended by a NUL; only where asked for. */
  readonly changed?: Uint8Array
  readonly transaction: string
  /** What became of an earlier transaction that had been left behind. */
  readonly recovered?: RecoveryReport
}

/** Everything that a transaction will do; nothing of it has been done. */
export interface MergePlan {
  /** One for each image, or for each package that goes, in their order. */
  readonly packages: readonly PackageReport[]
  /** As of MergeReport. */
  readonly entries: number
  /** As of MergeReport. */
  readonly counts: Readonly<Record<string, number>>
  /** As of MergeReport. */
  readonly triggered: readonly string[]
  /** Packages in `replaces` that the root does not have, so that nothing of them can go; absent where there is none. */
  readonly notReplaced?: readonly string[]
  readonly steps: PlanSteps
}

/** Options of unmerge(). */
export interface UnmergeOptions extends RootOptions {
  readonly packages: readonly string[]
  /** Which of the caller's triggers the report shall answer for. */
  readonly triggers?: Triggers
  /** As of MergeOptions. */
  readonly listChanged?: boolean
  readonly durability?: MergeDurability
  /** As of MergeOptions. */
  readonly keepUndo?: number
  /** Configuration files go too, edited ones as well, and what is remembered of them. */
  readonly purge?: boolean
}

/** What an unmerge did. */
export interface UnmergeReport {
  readonly packages: readonly string[]
  /** How many names went. */
  readonly removed: number
  /** As of MergeReport. */
  readonly restored: readonly string[]
  /** As of MergeReport. */
  readonly triggered: readonly string[]
  /** Names that stayed, and why. */
  readonly kept: readonly KeptName[]
  /** Edited files that went to another name, and which. */
  readonly saved: readonly SavedFile[]
  readonly leftOvers: readonly LeftOver[]
  /** As of MergeReport. */
  readonly notes?: readonly string[]
  /** As of MergeReport. */
  readonly changed?: Uint8Array
  readonly transaction: string
}

/** Options of verify(). */
export interface VerifyOptions extends RootOptions {
  /** All packages by default. */
  readonly packages?: readonly string[]
  /** Whether payloads are read and digested; true by default. */
  readonly digests?: boolean
  /** Threads, 256 at most; as many as cores, and not more than four, by default. */
  readonly jobs?: number
}

/** An entry that is not what its record says. */
export interface VerifiedEntry {
  readonly package: string
  /** Escaped for reading. */
  readonly name: string
  readonly differences: readonly Difference[]
  /** A configuration file: its package's own installer calls it one, or it was protected when it was merged. */
  readonly isConfig?: true
}

/** A transaction that can be undone. */
export interface HistoryEntry {
  readonly id: string
  /** When it began, as ISO 8601 has it. */
  readonly time: string
  readonly packages: readonly string[]
  /** Names that it changed, one by one or as whole directories; those of records among them. */
  readonly steps: number
}

/** Options of undo(). */
export interface UndoOptions extends RootOptions {
  /** The last one by default. */
  readonly id?: string
  readonly durability?: MergeDurability
}

/** What an undo did. */
export interface UndoReport {
  readonly undone: HistoryEntry
  /** The undoing transaction's own id. */
  readonly transaction: string
  readonly leftOvers: readonly LeftOver[]
  readonly notes: readonly string[]
}

/** Options of recover(). */
export interface RecoverOptions extends RootOptions {
  /** Undo a committed transaction instead of finishing it. */
  readonly undo?: boolean
  /**
   * Afterwards look for staging names that no journal knows, in the whole root or in some of its directories, and
   * remove those with which nothing is lost.
   */
  readonly scan?: boolean | readonly (string | Uint8Array)[]
}

/** An entry of a record. */
export interface ListedEntry {
  /** Escaped for reading. */
  readonly name: string
  /** The name's bytes in base64. */
  readonly bytes: string
  readonly type: FileType
  readonly size: number
}

/** A name and the packages that own it. */
export interface OwnedName {
  readonly name: string
  readonly packages: readonly string[]
}
