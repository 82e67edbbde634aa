// The names of records that are being written, kept for the owners index, which then need not read them again.

import type { RecordedEntry } from './entry.ts'
import { NameHashes } from './ownersIndex.ts'
import type { PlannedPackage } from './plan.ts'
import { some } from './plannedEntries.ts'

/** By package; those of a transaction that failed are never used. */
export type WrittenNames = Map<string, NameHashes>

/**
 * Passes what is recorded of a package on, and leaves its names in `written`: all that liveNames.ts would find.
 *
 * It leaves none where a directory of the image is reached through a symlink: its names are known when they are there.
 */
export function* noteNames(
  written: WrittenNames,
  { packageName, entries, ghosts }: Pick<PlannedPackage, 'packageName' | 'entries' | 'ghosts'>,
  recorded: Iterable<RecordedEntry>,
): Generator<RecordedEntry> {
  const names = new NameHashes(entries.length + ghosts.length)
  for (const entry of recorded) {
    names.add(entry.name)
    yield entry
  }
  const isStraight =
    ghosts.length === 0 && // whose directories may be anybody's, behind any symlink
    !some(entries, (planned) => planned.entry.type === 'directory' && planned.liveName !== planned.entry.name)
  if (isStraight) written.set(packageName, names)
}
