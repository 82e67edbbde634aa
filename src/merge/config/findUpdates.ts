// Updates that wait beside protected files, with the packages whose files they are for.

import { baseName, joinName, type Name, parentName, type Stat } from '../../sys/index.ts'
import type { RecordedEntry } from '../entry.ts'
import { isWithin } from '../root.ts'
import type { Session } from '../session.ts'
import { readLeft } from './left.ts'
import { PendingUpdates } from './pendingUpdates.ts'
import { isRecordedConfiguration } from './protection.ts'

/** A package's record of a file. */
export interface Claim {
  /** Absent for what an unmerged package left. */
  readonly packageName?: string
  readonly entry: RecordedEntry
}

/** An update that waits. */
export interface FoundUpdate {
  /** The file that it is for, from the root, without symlinks. */
  readonly liveName: Name
  /** What that is now. */
  readonly live?: Stat
  readonly update: { readonly liveName: Name; readonly stat: Stat }
  /** Whether none with a higher number waits for the same file. */
  readonly isNewest: boolean
  /** One at least. */
  readonly claims: readonly Claim[]
}

/**
 * The updates that wait, in order of their packages and names, the oldest of a file first.
 *
 * @param names  files, updates, or directories above them; all updates when there are none
 */
export function findUpdates({ root, state }: Session, names: readonly Name[] = []): FoundUpdate[] {
  const found = new Map<Name, FoundUpdate>()
  const pending = new PendingUpdates(root)
  const add = (claim: Claim) => {
    const { name } = claim.entry
    const directory = root.findDirectory(parentName(name))
    if (directory === undefined) return
    const liveName = joinName(directory.name, baseName(name))
    const waiting = pending.of(liveName).flatMap(({ liveName: at }) => {
      const stat = root.find(at)
      return stat === undefined || stat.type === 'directory' ? [] : [{ liveName: at, stat }]
    })
    waiting.forEach((update, index) => {
      if (names.length > 0 && !isAskedFor({ liveName, update, claims: [claim] }, names)) return
      const live = root.find(liveName)
      const { claims } = found.get(update.liveName) ?? { claims: [] }
      found.set(update.liveName, {
        liveName,
        ...(live === undefined ? {} : { live }),
        update,
        isNewest: index === waiting.length - 1,
        claims: [...claims, claim],
      })
    })
  }
  for (const packageName of state.packageNames()) {
    for (const entry of state.record(packageName).entries)
      if (isRecordedConfiguration(entry)) add({ packageName, entry })
  }
  for (const entry of readLeft(state).values()) add({ entry })
  return [...found.values()]
}

/** Whether one of some names is an update's own, its file's, or of a directory above that. */
export function isAskedFor(
  { liveName, update, claims }: Pick<FoundUpdate, 'liveName' | 'update' | 'claims'>,
  names: readonly Name[],
): boolean {
  const files = [liveName, ...claims.map(({ entry }) => entry.name)]
  return names.some((asked) => asked === update.liveName || files.some((file) => isWithin(file, asked)))
}
