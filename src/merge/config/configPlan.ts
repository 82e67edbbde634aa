// Configuration files as part of a plan: what is known of each protected name, and what becomes of those that go.

import { displayName, type Name, type Stat } from '../../sys/index.ts'
import { type Claims, claimOf } from '../claims.ts'
import type { RecordedEntry } from '../entry.ts'
import type { Kept, Obsolete, RecordedName, Removal } from '../obsolete.ts'
import type { Owners } from '../owners.ts'
import { entriesOf, type PlanInput, type PlannedEntry, type PlannedPackage } from '../plan.ts'
import { factsOf } from '../treeImage.ts'
import { isEditedByAdmin } from './edited.ts'
import { leftAfter, readLeft } from './left.ts'
import type { IsTaken, Save } from './saves.ts'
import { Settler } from './settle.ts'
import { recordedStyle, settleRemovals } from './settleRemovals.ts'
import { type Style, styles } from './styles.ts'

/** What a plan does beside placing and removing. */
export interface ConfigPlan {
  readonly saves: readonly Save[]
  /** What unmerged packages have left, after this; undefined where that does not change. */
  readonly left?: readonly RecordedEntry[]
}

/** What a settler is made from. */
export interface SettlerInput extends PlanInput {
  readonly claims: Claims
  readonly recorded: ReadonlyMap<Name, RecordedName>
}

/** The settler of a plan; what was left is read only when somebody asks for it. */
export function settlerOf(input: SettlerInput): Settler {
  const { claims, owners, recorded, state } = input
  let left: ReadonlyMap<Name, RecordedEntry> | undefined
  const ownOf = ({ entry: { name }, liveName }: PlannedEntry) => (recorded.get(name) ?? recorded.get(liveName))?.entry
  const othersOf = ({ entry: { name }, liveName }: PlannedEntry) =>
    entryOf(owners, claims.othersOf(claims.ownersOf(name, liveName)), name, liveName)
  const leftOf = ({ entry: { name }, liveName }: PlannedEntry) => {
    left ??= readLeft(state)
    return left.get(name) ?? left.get(liveName)
  }
  const replacedOf = (planned: PlannedEntry) =>
    ownOf(planned) ?? (planned.fate === 'place' && planned.live !== undefined ? othersOf(planned) : undefined)
  const recordedOf = (planned: PlannedEntry) => ownOf(planned) ?? othersOf(planned) ?? leftOf(planned)
  const isEdited = (entry: RecordedEntry, liveName: Name, live: Stat) => isEditedByAdmin(input, entry, liveName, live)
  const refuse = (planned: PlannedEntry, update: Name, live: Stat | undefined): PlannedEntry => {
    const remedy = `the new version of '${displayName(planned.liveName)}' goes there: move it away, or merge with another --style`
    const claimed = { ...claimOf(planned.entry, live), name: update }
    claims.collide(claimed, remedy, claims.ownersOf(update, update))
    return { ...planned, fate: 'refuse' }
  }
  return new Settler({ ...input, replacedOf, recordedOf, isEdited, isTaken: takenIn(input), refuse })
}

/** Names of no update and no save: images bring them, or packages own them. */
function takenIn({ images, owners }: Pick<PlanInput, 'images' | 'owners'>): IsTaken {
  return (name) => owners.of(name).length > 0 || images.some(({ image }) => image.brings(name))
}

/** What other packages, from which a name is taken, recorded of it. */
function entryOf(owners: Owners, packages: readonly string[], ...names: readonly Name[]): RecordedEntry | undefined {
  for (const packageName of packages) {
    const found = owners.record(packageName)?.entries.find((entry) => names.includes(entry.name))
    if (found !== undefined) return found
  }
  return undefined
}

/** The parts of a plan that names which go, and are protected, have a say in. */
export function configPlan(
  input: PlanInput,
  settler: Settler,
  found: Obsolete & { readonly packages: readonly PlannedPackage[] },
): { removals: readonly Removal[]; kept: readonly Kept[]; config: ConfigPlan } {
  const { packages } = found
  const styleOf = (removal: Removal): Style | undefined => {
    const { entry, liveName } = removal
    const covering = packages.find(({ protection }) => protection.covers(entry.name, liveName, entry))
    return recordedStyle(removal) ?? (covering && styles[covering.protection.styleOf()])
  }
  const settled = settleRemovals({ ...input, styleOf, isTaken: takenIn(input) }, found)
  const renumbered = settler.renumbered.map(({ planned, liveName, live }) => ({
    packageName: planned.from.packageName,
    entry: { ...factsOf(planned.entry), name: liveName, xattrs: [] },
    liveName,
    live,
  }))
  const brings = namesIn(packages)
  const left = leftAfter(readLeft(input.state), settled.left, (name) => brings().has(name))
  return {
    removals: [...settled.removals, ...renumbered],
    kept: [...found.kept, ...settled.kept],
    config: { saves: [...settler.saves, ...settled.saves], ...(left === undefined ? {} : { left }) },
  }
}

/** The names of all entries, collected when they are first asked for: mostly nothing is left of earlier packages. */
function namesIn(packages: readonly PlannedPackage[]): () => ReadonlySet<Name> {
  let names: Set<Name> | undefined
  return () => {
    if (names !== undefined) return names
    names = new Set()
    for (const { entry } of entriesOf({ packages })) names.add(entry.name)
    return names
  }
}
