// Whether an administrator has edited a protected object: its contents, or who may do what with it.

import { baseName, type Name, parentName, type Stat } from '../../sys/index.ts'
import { compareRecorded, digestOf } from '../compareRecorded.ts'
import type { RecordedEntry } from '../entry.ts'
import type { Session } from '../session.ts'

/** A time that moved is no edit; it has to tell only where nothing was digested. */
export function isEditedByAdmin(
  { root, comparer }: Pick<Session, 'root' | 'comparer'>,
  recorded: RecordedEntry,
  liveName: Name,
  live: Stat,
): boolean {
  const place = { directory: root.directory(parentName(liveName)).fd, name: baseName(liveName) }
  const found = compareRecorded(comparer, recorded, { place, stat: live, root }, { digests: true })
  const isTold = recorded.type !== 'file' || digestOf(recorded) !== undefined
  return found.some((difference) => difference !== 'mtime' || !isTold)
}
