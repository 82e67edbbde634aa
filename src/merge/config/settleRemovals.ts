// What becomes of protected names that go with their package, and of the updates that wait beside them.

import type { Place } from '../../movefile/index.ts'
import { baseName, type Name, parentName } from '../../sys/index.ts'
import type { RecordedEntry } from '../entry.ts'
import type { Kept, MissingName, Obsolete, Removal } from '../obsolete.ts'
import type { Session } from '../session.ts'
import { isEditedByAdmin } from './edited.ts'
import { PendingUpdates } from './pendingUpdates.ts'
import { type IsTaken, planSaves, type Save } from './saves.ts'
import { type RemovalOutcome, type Style, styles } from './styles.ts'

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
    const outcome: RemovalOutcome = input.purge === true ? 'remove' : style.removal[isEdited ? 'edited' : 'unedited']
    if (outcome === 'keep') {
      const reason = isEdited ? 'edited' : 'configuration'
      settled.kept.push({ packageName, entry, reason })
      settled.left.push(entry)
    } else settled.removals.push(removal)
    if (outcome === 'save') settled.saves.push(...planSaves(input, removal, style.save.edited))
    settled.removals.push(...ownUpdates(input, pending, removal))
  }
  for (const missing of obsolete.missing) settled.removals.push(...ownUpdates(input, pending, missing))
  return settled
}

/** Updates that are what was offered, byte by byte: they have nothing to be offered for any more. */
function ownUpdates({ root, comparer }: RemovalInput, pending: PendingUpdates, removal: MissingName): Removal[] {
  const { entry, packageName, liveName } = removal
  const { present = [], absent = [] } = entry.protection?.offered ?? {}
  const known = new Set<string | undefined>([...present, ...absent])
  if (known.size === 0) return []
  return pending.of(liveName).flatMap((update) => {
    const live = root.find(update.liveName)
    if (live?.type !== 'file' || !known.has(comparer.digest(placeOf(root, update.liveName)))) return []
    return [{ packageName, entry: { ...entry, name: update.liveName }, liveName: update.liveName, live }]
  })
}

function placeOf(root: Session['root'], liveName: Name): Place {
  return { directory: root.directory(parentName(liveName)).fd, name: baseName(liveName) }
}
