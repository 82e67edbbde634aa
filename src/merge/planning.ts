// What images are planned with.

import type { Name } from '../sys/index.ts'
import type { Claims } from './claims.ts'
import type { Settler } from './config/settle.ts'
import type { RecordedEntry } from './entry.ts'
import type { Folding } from './folding.ts'
import type { Comparer } from './live.ts'
import type { RecordedName } from './obsolete.ts'
import type { PlannedNames } from './plannedNames.ts'
import type { Problems } from './problems.ts'
import type { Root } from './root.ts'
import type { SelfMerge } from './selfMerge.ts'
import type { Spellings } from './spellings.ts'
import type { State } from './state.ts'

/** What a caller decides, and where. */
export interface PlanningRules {
  readonly root: Root
  readonly state: State
  readonly comparer: Comparer
  /** Identical objects of several packages are owned together instead of refused. */
  readonly shareIdentical: boolean
  /** Objects of nobody are replaced and kept, instead of refused. */
  readonly replaceUnowned: boolean
  /** Whether a collision of this name is allowed: ownership then passes. */
  readonly mayTake: (name: Name) => boolean
  readonly beforeEntry: () => void
}

/** What the images of one call are planned with. */
export interface Planning extends PlanningRules {
  readonly claims: Claims
  readonly names: PlannedNames
  readonly problems: Problems
  /** Of older versions and of packages that are replaced, by name. */
  readonly recorded: ReadonlyMap<Name, RecordedName>
  /** Recorded names in another spelling, first of `recorded`. */
  readonly spellings: Spellings
  /** Where names that differ in case alone are one. */
  readonly folding: Folding
  /** Directories that were made for the state, by live name. */
  readonly ownDirectories: ReadonlyMap<Name, RecordedEntry>
  /** Whether a live name is the state directory or inside it. */
  readonly isState: (liveName: Name) => boolean
  /** Refuses images that are a part of the root. */
  readonly selfMerge: SelfMerge
  /** Says how protected names are carried out. */
  readonly settler: Settler
}
