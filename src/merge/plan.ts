// The plan: what becomes of each entry of some images, and of each name that old versions had. Nothing is written here.

import type { Name, Stat } from '../sys/index.ts'
import type { Backup } from './backups.ts'
import { Claims } from './claims.ts'
import { type ConfigPlan, configPlan, settlerOf } from './config/configPlan.ts'
import type { Protection } from './config/protection.ts'
import type { Action } from './decide.ts'
import type { RecordedEntry, RecordedProtection, Xattrs } from './entry.ts'
import { type ErasedNames, rememberErased } from './erasedNames.ts'
import { Folding } from './folding.ts'
import type { Whiteouts } from './formats/ociWhiteouts.ts'
import { claimGhosts } from './ghosts.ts'
import { planningOrder } from './layers.ts'
import { LookAhead } from './lookAhead.ts'
import type { LostOf } from './lostMetadata.ts'
import { findObsolete, type Kept, type RecordedName, type Removal } from './obsolete.ts'
import type { Owners } from './owners.ts'
import type { EntryList } from './plannedEntries.ts'
import { PlannedNames } from './plannedNames.ts'
import { ImagePlanner } from './planner.ts'
import type { Planning, PlanningRules } from './planning.ts'
import type { Problems } from './problems.ts'
import { findRestorations } from './restorations.ts'
import { SelfMerge } from './selfMerge.ts'
import { Spellings } from './spellings.ts'
import type { StageThreads } from './stageThreads.ts'
import { readParents } from './stateParents.ts'
import type { TreeEntry, TreeImage } from './treeImage.ts'
import { planWhiteouts } from './whiteouts.ts'

/**
 * What happens to an entry: an action of the table, `keepLive` (set aside, but it was offered already or is not to be),
 * one of a directory's own, or `twin`: another name or image of the
 * same call brings the very same object, and what becomes of that becomes of this.
 */
export type Fate = Action | 'keepLive' | 'newDirectory' | 'keepDirectory' | 'changeDirectory' | 'twin'

/** An open image, and the package that it becomes. */
export interface PackageImage {
  readonly packageName: string
  readonly image: TreeImage
  readonly protection: Protection
  /** What of its archive's metadata could not be kept where it was unpacked. */
  readonly lost: readonly LostOf[]
  /** What it owns without bringing it. */
  readonly ghosts: readonly RecordedEntry[]
  /** What it takes away of the root, and of layers below it. */
  readonly whiteouts?: Whiteouts & { readonly selects: (name: Name) => boolean }
}

/** One entry, decided. */
export interface PlannedEntry {
  /** Where it comes from. */
  readonly from: PackageImage
  readonly entry: TreeEntry
  readonly fate: Fate
  /** Its name without symlinks, relative to the root: where it will be. */
  readonly liveName: Name
  /** What is there now. */
  readonly live?: Stat
  /** What is in a live directory that goes as a whole, by live names. */
  readonly members?: ReadonlySet<Name>
  /** Whether it lies in a directory that the plan makes. */
  readonly isInNewDirectory: boolean
  /** What is there belongs to nobody, and is kept until its name is free again. */
  readonly isUnowned?: boolean
  /** The live name of the entry whose inode this one is another name of. */
  readonly linkedTo?: Name
  readonly sha256?: string
  readonly xattrs?: Xattrs
  /** What is remembered of a protected name. */
  readonly protection?: RecordedProtection
  /** The live name of the update that is offered beside it, or waits there already. */
  readonly update?: Name
}

/** A package of a plan, with its entries in image order. */
export interface PlannedPackage extends PackageImage {
  readonly entries: EntryList
}

/** What a transaction will do to names. */
export interface Changes {
  readonly packages: readonly Pick<PlannedPackage, 'packageName' | 'entries'>[]
  readonly removals: readonly Removal[]
  readonly kept: readonly Kept[]
  /** Objects of nobody that have their names again when the removals are done. */
  readonly restorations: readonly Backup[]
  readonly config: ConfigPlan
  /** Packages that were to be replaced, and have no record. */
  readonly notReplaced?: readonly string[]
}

/** Everything that a merge will do. */
export interface Plan extends Changes {
  readonly packages: readonly PlannedPackage[]
  /** Names whose ownership passes, by the package that had them. */
  readonly taken: ReadonlyMap<string, ReadonlySet<Name>>
  /** By package, names of objects of nobody that it took away. */
  readonly erased: ErasedNames['recorded']
}

/** What a plan is made from. */
export interface PlanInput extends PlanningRules {
  readonly images: readonly PackageImage[]
  readonly owners: Owners
  /** Gets everything that speaks against the merge. */
  readonly problems: Problems
  /** Packages that go with this merge, beside older versions of the same names. */
  readonly replaces: readonly string[]
  /** Whether updates that were offered before are not offered again. */
  readonly configMemory: boolean
  /** Compare files while the plan is made. */
  readonly threads: StageThreads
}

/** Decides every entry of all images, then every obsolete name. */
export function makePlan(input: PlanInput): Plan {
  const { images, owners, problems, replaces, root } = input
  const own = new Set([...images.map(({ packageName }) => packageName), ...replaces])
  const recorded = recordedNames(owners, own)
  const claims = new Claims(owners, own, problems)
  const names = new PlannedNames()
  const settler = settlerOf({ ...input, claims, recorded })
  const ownDirectories = readParents(input.state)
  const spellings = new Spellings(root, owners, recorded)
  const folding = new Folding(root)
  const isState = input.state.membership()
  const selfMerge = new SelfMerge(root, input.state)
  for (const { image } of images) selfMerge.checkTop(image)
  const found = { claims, names, recorded, spellings, folding, ownDirectories }
  const planning: Planning = { ...input, ...found, isState, selfMerge, settler }
  const packages = planningOrder(images).map((from) => {
    const ahead = new LookAhead(root, input.threads, images.indexOf(from))
    return { ...from, entries: new ImagePlanner(planning, from, ahead).plan() }
  })
  const ghosts = claimGhosts(planning, packages)
  const obsolete = findObsolete({ root, owners, spellings }, own, recorded.values(), {
    covers: (liveName) => names.covers(liveName) || ghosts.has(liveName),
    respells: (liveName, live) => names.respells(root, liveName, live),
  })
  const configured = configPlan(input, settler, { packages, ...obsolete })
  const erased = planWhiteouts(planning, packages, configured)
  const before = [...own].flatMap((packageName) => owners.record(packageName)?.erased ?? [])
  const remembered = rememberErased(planning, packages, { ...erased, before })
  const removals = withErased(configured.removals, erased.removals)
  const kept = [...configured.kept, ...erased.kept]
  const restorations = findRestorations(input.state, { removals, kept, freed: remembered.freed })
  const changes = { ...configured, removals, kept, restorations, notReplaced: unknownOf(input) }
  return { packages, taken: claims.taken, ...changes, erased: remembered.recorded }
}

/** A directory before what is in it, whichever of both it is from: they go in the other order. */
function withErased(removals: readonly Removal[], erased: readonly Removal[]): readonly Removal[] {
  if (erased.length === 0) return removals
  return [...removals, ...erased].sort((one, other) => (one.liveName < other.liveName ? -1 : 1))
}

/** Whoever names a package beside its own older version expects it to be there. */
function unknownOf({ images, owners, replaces }: PlanInput): string[] {
  const merged = new Set(images.map(({ packageName }) => packageName))
  return [...new Set(replaces)].filter((name) => !merged.has(name) && owners.record(name) === undefined)
}

/** What the packages that are replaced recorded, by name. */
function recordedNames(owners: Owners, own: ReadonlySet<string>): Map<Name, RecordedName> {
  const recorded = new Map<Name, RecordedName>()
  for (const packageName of own) {
    const add = (entry: RecordedEntry) => recorded.set(entry.name, { packageName, entry })
    for (const entry of owners.record(packageName)?.entries ?? []) add(entry)
  }
  return recorded
}

/** The order of the commit: new names, then replacements, and symlinks after what they point to. */
export function commitRank({ entry, live }: Pick<PlannedEntry, 'entry' | 'live'>): number {
  if (entry.type === 'symlink') return 2
  return live === undefined ? 0 : 1
}

/** The live names of entries that others are further names of. */
export function firstNamesOf({ packages }: Pick<Plan, 'packages'>): ReadonlySet<Name> {
  const names = new Set<Name>()
  for (const { entries } of packages)
    for (const { linkedTo } of entries) if (linkedTo !== undefined) names.add(linkedTo)
  return names
}

/** All entries of a plan, package after package. */
export function* entriesOf({ packages }: Pick<Changes, 'packages'>): Generator<PlannedEntry> {
  for (const { entries } of packages) for (const planned of entries) yield planned
}
