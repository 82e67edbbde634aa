// The live names that a plan has already decided on: which entry will have each.

import { baseName, joinName, type Name, parentName, type Stat } from '../sys/index.ts'
import { PackedEntries } from './packedEntries.ts'
import type { PlannedEntry } from './plan.ts'
import type { Root } from './root.ts'
import { folded, isOneName } from './spellings.ts'

/** Planned entries by where they will be. */
export class PlannedNames {
  /** Most entries: those of which there is little to know. */
  readonly packed: PackedEntries = new PackedEntries()
  /** All others; those in directories that fold case among them. */
  readonly #byLiveName = new Map<Name, PlannedEntry>()
  /** Of directories that fold case, by the name in one case. */
  readonly #byFolded = new Map<string, PlannedEntry>()
  readonly #kept = new Set<Name>()
  /** Planned names by the object that has them now; made when all are planned. */
  #inodes: ReadonlyMap<string, readonly Name[]> | undefined

  /** The entry that has a name already; in any spelling where its directory folds case. */
  find(liveName: Name, isFolded = false): PlannedEntry | undefined {
    const planned = this.#byLiveName.get(liveName) ?? this.packed.find(liveName)
    return planned ?? (isFolded ? this.#byFolded.get(inOneCase(liveName)) : undefined)
  }

  /** Gives a name to an entry that is not packed; one that has it already keeps it. */
  add(planned: PlannedEntry, isFolded = false): void {
    if (this.find(planned.liveName) !== undefined) return
    this.#byLiveName.set(planned.liveName, planned)
    if (isFolded) this.#byFolded.set(inOneCase(planned.liveName), planned)
  }

  /** A symlink that an entry goes through stays. */
  keep(liveName: Name): void {
    this.#kept.add(liveName)
  }

  /** Whether a new version has a name, or replaces a directory above it. */
  covers(liveName: Name): boolean {
    if (this.find(liveName) !== undefined || this.#kept.has(liveName)) return true
    for (let above = parentName(liveName); above !== ''; above = parentName(above)) {
      const planned = this.find(above)
      if (planned !== undefined && planned.entry.type !== 'directory') return true
    }
    return false
  }

  /**
   * Whether a live object is one that the plan has under another spelling of its name, where a directory folds case:
   * what removes the one removes the other. Further names of its inode are not that.
   */
  respells(root: Root, liveName: Name, live: Stat): boolean {
    const others = this.#byInode().get(inodeOf(live)) ?? []
    if (others.includes(liveName) || others.length === 0) return false
    return isOneName(root, live, [liveName, ...others])
  }

  #byInode(): ReadonlyMap<string, readonly Name[]> {
    if (this.#inodes !== undefined) return this.#inodes
    const inodes = new Map<string, Name[]>()
    for (const { live, liveName } of this.#byLiveName.values()) {
      if (live === undefined) continue
      const names = inodes.get(inodeOf(live))
      if (names === undefined) inodes.set(inodeOf(live), [liveName])
      else names.push(liveName)
    }
    this.#inodes = inodes
    return inodes
  }
}

/** Directories have their spelling already, that of the first entry that brought them. */
function inOneCase(liveName: Name): string {
  return joinName(parentName(liveName), folded(baseName(liveName)))
}

function inodeOf({ dev, ino }: Stat): string {
  return `${dev} ${ino}`
}
