// What the database of another installer says, in this project's words.

import type { CancelFlag, Kernel } from '../../sys/index.ts'
import type { RecordedEntry, Unknown } from '../entry.ts'
import type { DatabaseFiles } from './databaseFiles.ts'

/** A package as another installer's database has it. */
export interface ForeignPackage {
  /** As that installer's own queries name it. */
  readonly name: string
  /** In the database's order. */
  readonly entries: readonly RecordedEntry[]
}

/** What a database is read with. */
export interface ForeignSource {
  readonly kernel: Kernel
  readonly cancel: CancelFlag
  /** The root's files: nothing outside it is looked at, and nothing is written. */
  readonly files: DatabaseFiles
}

/** A database that can be read. */
export interface ForeignDatabase {
  /** Names inside the root, one of which there is wherever this installer has worked. */
  readonly places: readonly string[]
  /** Reads all packages. @throws {CorruptDatabaseError} */
  read(source: ForeignSource): readonly ForeignPackage[] | Promise<readonly ForeignPackage[]>
}

/** An entry of which nothing is known but its name; more is laid over it. */
export function unknownEntry(
  name: string,
  type: RecordedEntry['type'],
  unknown: ReadonlySet<Unknown>,
): Readonly<RecordedEntry> {
  return { name, type, uid: 0, gid: 0, mode: 0, mtimeNs: 0n, size: 0, xattrs: [], unknown }
}
