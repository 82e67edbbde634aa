// The live names that a plan has already decided on: which entry will have each.

import { type Name, parentName } from '../sys/index.ts'
import type { PlannedEntry } from './plan.ts'

/** Planned entries by where they will be. */
export class PlannedNames {
  readonly #byLiveName = new Map<Name, PlannedEntry>()
  readonly #kept = new Set<Name>()

  /** The entry that has a name already. */
  find(liveName: Name): PlannedEntry | undefined {
    return this.#byLiveName.get(liveName)
  }

  /** Gives a name to an entry; one that has it already keeps it. */
  add(planned: PlannedEntry): void {
    if (!this.#byLiveName.has(planned.liveName)) this.#byLiveName.set(planned.liveName, planned)
  }

  /** A symlink that an entry goes through stays. */
  keep(liveName: Name): void {
    this.#kept.add(liveName)
  }

  /** Whether a new version has a name, or replaces a directory above it. */
  covers(liveName: Name): boolean {
    if (this.#byLiveName.has(liveName) || this.#kept.has(liveName)) return true
    for (let above = parentName(liveName); above !== ''; above = parentName(above)) {
      const planned = this.#byLiveName.get(above)
      if (planned !== undefined && planned.entry.type !== 'directory') return true
    }
    return false
  }
}
