// What becomes of protected names that go with their package, and of the updates that wait beside them.

import type { Place } from '../../movefile/index.ts'
import { baseName, type Name, parentName } from '../../sys/index.ts'
import type { RecordedEntry } from '../entry.ts'
import type { Kept, MissingName, Obsolete, Removal } from '../obsolete.ts'
import type { Session } from '../session.ts'
import { isEditedByAdmin } from './edited.ts'
import { forgetOffers } from './memory.ts'
import { PendingUpdates } from './pendingUpdates.ts'
import { type IsTaken, planSaves, type Save } from './saves.ts'
import { type RemovalOutcome, type Style, styles } from './styles.ts'
import type { Version } from './versions.ts'

/** What removals come to. */
export interface SettledRemovals {
  readonly removals: readonly Removal[]
  readonly kept: readonly Kept[]
  readonly saves: readonly Save[]
  /** Entries of files that stay, to be remembered. */
  readonly left: readonly RecordedEntry[]
}

/** What settling removals works with. */
export interface RemovalInput extends Pick<Session, 'root' | 'comparer'> {
  /** The style of a name that goes; undefined where it is not protected. */
  styleOf(removal: Removal): Style | undefined
  /** Whether protected files go whatever their style says, edited ones too. */
  readonly purge?: boolean
  readonly isTaken: IsTaken
}

/** The style that a name was recorded with. */
export function recordedStyle({ entry }: Pick<Removal, 'entry'>): Style | undefined {
  return entry.protection && styles[entry.protection.style]
}

/** Settles names that go. Those that are not protected come back as they are. */
export function settleRemovals(input: RemovalInput, obsolete: Omit<Obsolete, 'kept'>): SettledRemovals {
  const settled = {
    removals: [] as Removal[],
    kept: [] as Kept[],
    saves: [] as Save[],
    left: [] as RecordedEntry[],
  }
  const pending = new PendingUpdates(input.root)
  for (const removal of obsolete.removals) {
    const { entry, liveName, live, packageName } = removal
    const style = entry.type === 'directory' ? undefined : input.styleOf(removal)
    if (style === undefined) {
      settled.removals.push(removal)
      continue
    }
    const isEdited = isEditedByAdmin(input, entry, liveName, live)
    const updates = ownUpdates(input, pending, removal)
    const outcome: RemovalOutcome = input.purge === true ? 'remove' : style.removal[isEdited ? 'edited' : 'unedited']
    if (outcome === 'keep') {
      const reason = isEdited ? 'edited' : 'configuration'
      settled.kept.push({ packageName, entry, reason })
      settled.left.push(withoutOffers(entry, updates))
    } else settled.removals.push(removal)
    if (outcome === 'save') for (const save of planSaves(input, removal, style.save.edited)) settled.saves.push(save)
    for (const { removal: update } of updates) settled.removals.push(update)
  }
  for (const missing of obsolete.missing)
    for (const { removal: update } of ownUpdates(input, pending, missing)) settled.removals.push(update)
  return settled
}

/** Who still has the update before him has not said no. */
function withoutOffers(entry: RecordedEntry, updates: readonly OwnUpdate[]): RecordedEntry {
  const { protection } = entry
  if (protection === undefined || updates.length === 0) return entry
  return { ...entry, protection: forgetOffers(protection, new Set(updates.map(({ version }) => version))) }
}

interface OwnUpdate {
  readonly removal: Removal
  readonly version: Version
}

/** Updates that are what was offered, byte by byte: they have nothing to be offered for any more. */
function ownUpdates({ root, comparer }: RemovalInput, pending: PendingUpdates, removal: MissingName): OwnUpdate[] {
  const { entry, packageName, liveName } = removal
  const { present = [], absent = [] } = entry.protection?.offered ?? {}
  const known = new Set<string | undefined>([...present, ...absent])
  if (known.size === 0) return []
  return pending.of(liveName).flatMap((update) => {
    const live = root.find(update.liveName)
    const version = live?.type === 'file' ? comparer.digest(placeOf(root, update.liveName)) : ''
    if (live === undefined || !known.has(version)) return []
    const named = { ...entry, name: update.liveName }
    return [{ removal: { packageName, entry: named, liveName: update.liveName, live }, version }]
  })
}

function placeOf(root: Session['root'], liveName: Name): Place {
  return { directory: root.directory(parentName(liveName)).fd, name: baseName(liveName) }
}
