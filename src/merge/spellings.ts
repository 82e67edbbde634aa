// Names of old versions in another spelling, where a directory folds case: Name is there, and an image brings name.

import { type Name, nameBytes, type Stat } from '../sys/index.ts'
import type { RecordedName } from './obsolete.ts'
import type { Root } from './root.ts'

/** Finds an old version's name by another spelling of it. */
export class Spellings {
  readonly #root: Root
  readonly #recorded: ReadonlyMap<Name, RecordedName>
  /** Made when it is first asked for: most plans never are. */
  #folded: ReadonlyMap<string, Name> | undefined

  constructor(root: Root, recorded: ReadonlyMap<Name, RecordedName>) {
    this.#root = root
    this.#recorded = recorded
  }

  /** The recorded name that differs from one that nobody owns in its case alone, and is the very same object. */
  of(liveName: Name, live: Stat): Name | undefined {
    if (this.#recorded.size === 0) return undefined
    this.#folded ??= new Map([...this.#recorded.keys()].map((name) => [folded(name), name]))
    const spelled = this.#folded.get(folded(liveName))
    if (spelled === undefined || spelled === liveName) return undefined
    const other = this.#root.find(spelled)
    // A case-sensitive directory can have both, as two names of one inode.
    return other?.ino === live.ino && other.dev === live.dev && live.nlink === 1 ? spelled : undefined
  }
}

/** What file systems that fold case take for the same, of most scripts; what is missed is refused as a collision. */
function folded(name: Name): string {
  return nameBytes(name).toString('utf8').normalize('NFC').toLowerCase()
}
