// Updates that wait beside their files, found by their names, whichever style or installer made them.

import { baseName, joinName, type Name, parentName } from '../../sys/index.ts'
import type { Root } from '../root.ts'
import { parseUpdateName, stemsOf } from './updateNames.ts'

/** An update that waits. */
export interface PendingUpdate {
  /** From the root, without symlinks. */
  readonly liveName: Name
  /** Absent where its form has no numbers. */
  readonly number?: number
}

/** Looks into each directory once, unless it is told that something changed there. */
export class PendingUpdates {
  readonly #root: Root
  /** By directory: the updates in it, by the stem of the file that they are for. */
  readonly #byDirectory = new Map<Name, ReadonlyMap<Name, readonly PendingUpdate[]>>()

  constructor(root: Root) {
    this.#root = root
  }

  /** The updates for a name (without symlinks), the oldest first: those without numbers, then by their numbers. */
  of(liveName: Name): readonly PendingUpdate[] {
    const found = this.#in(parentName(liveName))
    if (found.size === 0) return []
    const updates = stemsOf(baseName(liveName)).flatMap((stem) => found.get(stem) ?? [])
    return updates.sort((one, other) => (one.number ?? -1) - (other.number ?? -1))
  }

  #in(directory: Name): ReadonlyMap<Name, readonly PendingUpdate[]> {
    const known = this.#byDirectory.get(directory)
    if (known !== undefined) return known
    const found = new Map<Name, PendingUpdate[]>()
    const opened = this.#root.findDirectory(directory)
    for (const { name, type } of opened === undefined ? [] : this.#root.kernel.readDirectory(opened.fd)) {
      const parsed = type === 'directory' ? undefined : parseUpdateName(name)
      if (parsed === undefined) continue
      const { stem, number } = parsed
      const update = { liveName: joinName(directory, name), ...(number === undefined ? {} : { number }) }
      found.set(stem, [...(found.get(stem) ?? []), update])
    }
    this.#byDirectory.set(directory, found)
    return found
  }
}
