// What callers give to an import, and what they get back.

import type { OwnedName } from '../options.ts'
import type { Manager } from '../packageName.ts'
import type { RecoveryReport } from '../recover.ts'
import type { RootOptions } from '../session.ts'
import type { LeftOver, MergeDurability } from '../transaction.ts'

/** Options of importPackages(): a database in the root, or a file. */
export type ImportOptions = RootOptions & {
  /** As of MergeOptions. */
  readonly durability?: MergeDurability
  /** Only say what would become known; nothing is written. */
  readonly dryRun?: boolean
} & (
    | {
        /** The installer whose database in the root is read. */
        readonly manager: Manager
      }
    | {
        /** A record, an mtree file or a Portage CONTENTS, outside the root. */
        readonly file: string | Uint8Array
        /** The package's name; a record has one of its own. */
        readonly package?: string
      }
  )

/** What an import did, or (dry run) would do. Names of imported packages begin with their installer's, `dpkg:bash`. */
export interface ImportReport {
  readonly packages: number
  readonly entries: number
  /** Packages that were not known before. */
  readonly added: readonly string[]
  /** Packages of which something else is known now. */
  readonly refreshed: readonly string[]
  /** Packages that the database no longer has. */
  readonly removed: readonly string[]
  /** Names, but for directories, that a package of ours has too. */
  readonly shared: readonly OwnedName[]
  readonly leftOvers: readonly LeftOver[]
  /** Absent when everything was known already, and for a dry run. */
  readonly transaction?: string
  readonly recovered?: RecoveryReport
}
