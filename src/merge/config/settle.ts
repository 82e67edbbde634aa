// What becomes of the protected entries of a plan: the decision table says that the administrator's word stands, the
// style says how.

import type { Place } from '../../movefile/index.ts'
import { baseName, joinName, type Name, parentName, type Stat } from '../../sys/index.ts'
import type { RecordedEntry, RecordedProtection } from '../entry.ts'
import { withoutLink } from '../hardLinks.ts'
import type { Comparer } from '../live.ts'
import type { PlannedEntry } from '../plan.ts'
import type { Root } from '../root.ts'
import { factsOf, sizeOf } from '../treeImage.ts'
import { offerOf, rememberOffer } from './memory.ts'
import { type PendingUpdate, PendingUpdates } from './pendingUpdates.ts'
import { isPlaceholder } from './protection.ts'
import { type IsTaken, planSaves, type Save } from './saves.ts'
import { type ConfigCase, type Style, styles } from './styles.ts'
import { isOfForm, updateNameOf } from './updateNames.ts'
import { isSameVersion, type Version, versionOf } from './versions.ts'

/** Whether an entry does not get its own name: it is no part of its hard-link group then. */
export function isAside({ fate }: PlannedEntry): boolean {
  return fate === 'setAside' || fate === 'keepLive'
}

/** What settling works with. */
export interface SettleInput {
  readonly root: Root
  readonly comparer: Comparer
  /** Whether what was offered before is not offered again. */
  readonly configMemory: boolean
  readonly isTaken: IsTaken
  /** The version that a planned name has now: the old one's, or of a package that it is taken from. */
  replacedOf(planned: PlannedEntry): RecordedEntry | undefined
  /** What is recorded of a planned name, by its old version or by what an unmerged package left. */
  recordedOf(planned: PlannedEntry): RecordedEntry | undefined
  /** Whether a live object is not what its record says. */
  isEdited(recorded: RecordedEntry, liveName: Name, live: Stat): boolean
  /** Refuses to offer an entry under an update name that something else has. */
  refuse(planned: PlannedEntry, update: Name, live: Stat | undefined): PlannedEntry
}

/** An entry that is protected, and what is known of it. */
interface Case {
  readonly planned: PlannedEntry
  readonly recorded: RecordedEntry | undefined
  readonly version: Version
  readonly sha256: string
  /** The protection that is recorded when the live object stays. */
  readonly kept: RecordedProtection
}

/** Settles entries one by one; saves, and updates that get another number, come together in it. */
export class Settler {
  readonly saves: Save[] = []
  /** Updates that go, since the same one gets the highest number. */
  readonly renumbered: { readonly planned: PlannedEntry; readonly liveName: Name; readonly live: Stat }[] = []
  readonly #input: SettleInput
  readonly #pending: PendingUpdates
  /** What became of the entries that are offered beside a live name, for further entries with that name. */
  readonly #settled = new Map<Name, PlannedEntry>()

  constructor(input: SettleInput) {
    this.#input = input
    this.#pending = new PendingUpdates(input.root)
  }

  /** The entry as it is carried out. */
  settle(planned: PlannedEntry): PlannedEntry {
    const { entry, fate, from, liveName } = planned
    if (fate === 'refuse') return planned
    if (!from.protection.covers(entry.name, liveName, this.#input.replacedOf(planned))) return planned
    if (fate === 'twin') return this.#likeFirst(planned)
    const recorded = this.#input.recordedOf(planned)
    const settled = this.#needsStyle(planned, recorded) ? this.#byStyle(planned, recorded) : undefined
    if (settled === undefined) return entry.type === 'directory' ? planned : placed(planned, recorded)
    if (!isAside(settled)) return settled
    const alone = withoutLinks(settled)
    this.#settled.set(liveName, alone)
    return alone
  }

  #likeFirst(planned: PlannedEntry): PlannedEntry {
    const first = this.#settled.get(planned.liveName)
    if (first?.protection === undefined) return planned
    const fate = first.fate === 'keepLive' ? first.fate : planned.fate
    return { ...planned, fate, liveName: first.liveName, protection: first.protection }
  }

  /** Where the table says so; and where a name is taken from another package, whose file somebody edited. */
  #needsStyle({ fate, live, liveName, entry }: PlannedEntry, recorded: RecordedEntry | undefined): boolean {
    if (fate === 'setAside') return live !== undefined || !isPlaceholder(baseName(entry.name), sizeOf(entry))
    const isTaken = fate === 'place' && live !== undefined && recorded !== undefined
    return isTaken && this.#input.isEdited(recorded, liveName, live)
  }

  #byStyle(planned: PlannedEntry, recorded: RecordedEntry | undefined): PlannedEntry | undefined {
    const { from, live, liveName } = planned
    const isEdited = live === undefined || recorded === undefined || this.#input.isEdited(recorded, liveName, live)
    if (!isEdited && live?.type !== 'directory') return placed(takingItsName(planned), recorded)
    const found = this.#caseOf(planned, recorded)
    const what = nameOfCase(planned, recorded, () => this.#isSameVersion(found))
    const style = styles[found.kept.style]
    const outcome = style.outcomes[what]
    if (outcome === 'setAside') return this.#offer(found)
    if (outcome === 'keep') return this.#keep(found)
    if (outcome === 'save' && live !== undefined) {
      const ending = recorded === undefined ? style.save.unowned : style.save.edited
      this.#save({ packageName: from.packageName, liveName, live }, ending)
    }
    return placed(takingItsName(planned), recorded)
  }

  #caseOf(planned: PlannedEntry, recorded: RecordedEntry | undefined): Case {
    const { entry, from, live } = planned
    const sha256 = entry.type === 'file' ? (planned.sha256 ?? this.#input.comparer.digest(this.#source(planned))) : ''
    const comesFrom = recorded?.protection?.base ?? (recorded?.type === 'file' ? recorded.sha256 : undefined)
    const offered = recorded?.protection?.offered
    const isOther = live !== undefined && comesFrom !== undefined && comesFrom !== sha256
    const kept = {
      style: from.protection.styleOf(recorded),
      ...(isOther ? { base: comesFrom } : {}),
      ...(offered === undefined ? {} : { offered }),
    }
    return { planned, recorded, version: versionOf(entry, sha256), sha256, kept }
  }

  #source({ from, entry }: PlannedEntry): Place {
    return from.image.place(entry.name)
  }

  #isSameVersion({ planned, recorded, version }: Case): boolean {
    const { comparer } = this.#input
    const brought = { entry: factsOf(planned.entry), version, source: this.#source(planned) }
    return recorded !== undefined && isSameVersion(comparer, recorded, brought)
  }

  #keep({ planned, sha256, kept }: Case, update?: Name): PlannedEntry {
    const { entry } = planned
    const digested = entry.type === 'file' ? { sha256 } : {}
    return { ...planned, ...digested, fate: 'keepLive', protection: kept, ...(update === undefined ? {} : { update }) }
  }

  /** Beside the live object, unless the same is waiting there already, or was offered before. */
  #offer(found: Case): PlannedEntry {
    const { planned, version, sha256, kept } = found
    const style = styles[kept.style]
    const waiting = this.#waiting(planned).filter(({ liveName }) => isOfForm(baseName(liveName), style))
    const newest = waiting.at(-1)
    const newestIs = newest === undefined ? 'different' : this.#compare(planned, newest)
    const protection = rememberOffer(kept, version, offerOf(planned.live))
    if (newest !== undefined && newestIs === 'same') return { ...this.#keep(found, newest.liveName), protection }
    const earlier = waiting.slice(0, -1).find((update) => this.#compare(planned, update) !== 'different')
    if (newestIs === 'different' && earlier === undefined && this.#wasOffered(found)) return this.#keep(found)
    if (earlier !== undefined) this.renumbered.push({ planned, liveName: earlier.liveName, live: earlier.live })
    const update =
      newest !== undefined && newestIs === 'sameContent' ? newest.liveName : this.#newName(planned, style, newest)
    const replaced = this.#input.root.find(update)
    if (this.#isBlocked(update, replaced)) return this.#input.refuse(planned, update, replaced)
    if (replaced !== undefined && newestIs === 'different') this.#saveUnknown(found, update, replaced)
    const { live: _, ...rest } = planned
    return {
      ...rest,
      fate: 'setAside',
      liveName: update,
      ...(replaced === undefined ? {} : { live: replaced }),
      ...(planned.entry.type === 'file' ? { sha256 } : {}),
      protection,
      update,
    }
  }

  #waiting({ liveName }: PlannedEntry): (PendingUpdate & { readonly live: Stat })[] {
    return this.#pending.of(liveName).flatMap((update) => {
      const live = this.#input.root.find(update.liveName)
      return live === undefined ? [] : [{ ...update, live }]
    })
  }

  #compare(planned: PlannedEntry, { liveName, live }: { liveName: Name; live: Stat }): string {
    return this.#input.comparer.compare(factsOf(planned.entry), this.#source(planned), this.#place(liveName), live).live
  }

  #place(liveName: Name): Place {
    return { directory: this.#input.root.directory(parentName(liveName)).fd, name: baseName(liveName) }
  }

  #wasOffered({ recorded, version, planned }: Case): boolean {
    const offered: readonly Version[] | undefined = recorded?.protection?.offered?.[offerOf(planned.live)]
    return this.#input.configMemory && offered?.includes(version) === true
  }

  /** Past every number that is there, or that something else has. */
  #newName({ liveName }: PlannedEntry, { update: form }: Style, newest: PendingUpdate | undefined): Name {
    for (let number = (newest?.number ?? -1) + 1; ; number++) {
      const name = joinName(parentName(liveName), updateNameOf(baseName(liveName), form, number))
      if ('ending' in form || !this.#isBlocked(name, this.#input.root.find(name))) return name
    }
  }

  #isBlocked(update: Name, live: Stat | undefined): boolean {
    return live?.type === 'directory' || this.#input.isTaken(update)
  }

  /** An update under the one name that a style has for it, and that nobody offered as it is now, may be somebody's work. */
  #saveUnknown({ recorded, planned }: Case, update: Name, live: Stat): void {
    const { comparer, root } = this.#input
    const target = live.type === 'symlink' ? root.kernel.readlinkat(...placePair(this.#place(update))) : undefined
    const sha256 = live.type === 'file' ? comparer.digest(this.#place(update)) : ''
    const version = versionOf({ type: live.type, rdev: live.rdev, ...(target === undefined ? {} : { target }) }, sha256)
    const { present = [], absent = [] } = recorded?.protection?.offered ?? {}
    if ([...present, ...absent, recorded?.sha256].includes(version)) return
    this.#save({ packageName: planned.from.packageName, liveName: update, live }, '.old')
  }

  #save(what: Parameters<typeof planSaves>[1], ending: string): void {
    for (const save of planSaves(this.#input, what, ending)) this.saves.push(save)
  }
}

function withoutLinks({ linkedTo: _, ...planned }: PlannedEntry): PlannedEntry {
  return { ...planned, entry: withoutLink(planned.entry) }
}

function placePair({ directory, name }: Place): [Place['directory'], Name] {
  return [directory, name]
}

function nameOfCase(
  { entry, live }: PlannedEntry,
  recorded: RecordedEntry | undefined,
  isSame: () => boolean,
): ConfigCase {
  if (live === undefined) return isSame() ? 'deletedSameVersion' : 'deletedNewVersion'
  if (entry.type === 'directory') return 'blocksDirectory'
  if (live.type === 'directory') return 'directory'
  if (recorded === undefined) return 'unowned'
  return isSame() ? 'editedSameVersion' : 'editedNewVersion'
}

function takingItsName(planned: PlannedEntry): PlannedEntry {
  return { ...planned, fate: planned.entry.type === 'directory' ? 'newDirectory' : 'place' }
}

/** An entry that gets its name: what was offered before is still remembered. */
function placed(planned: PlannedEntry, recorded: RecordedEntry | undefined): PlannedEntry {
  const offered = recorded?.protection?.offered
  const style = planned.from.protection.styleOf(recorded)
  const protection = { style, ...(offered === undefined ? {} : { offered }) }
  return planned.entry.type === 'directory' ? planned : { ...planned, protection }
}
