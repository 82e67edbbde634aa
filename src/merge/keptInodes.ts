// Set-id files with several names: an inode loses its bits when a name of it goes, so that a stashed hard link is
// harmless, unless a name that stays owned is the same inode (sudo and sudoedit are one).

import { baseName, joinName, type Name, parentName, type Stat } from '../sys/index.ts'
import type { RecordedEntry } from './entry.ts'
import type { Fate, PlannedEntry } from './plan.ts'
import type { Session } from './session.ts'

const setIdBits = 0o6000
const staying: ReadonlySet<Fate> = new Set(['adopt', 'keepMetadata', 'keepLive'])

/** Answers whether an inode that loses a name keeps its set-id bits and capabilities. */
export class KeptInodes {
  readonly #session: Pick<Session, 'root' | 'state'>
  /** Packages whose names go with this transaction. */
  readonly #going: ReadonlySet<string>
  readonly #staying: PlannedEntry[] = []
  #inodes: ReadonlySet<string> | undefined

  /** @param entries  of the plan; those that stay as they are keep their inodes */
  constructor(
    session: Pick<Session, 'root' | 'state'>,
    going: ReadonlySet<string>,
    entries: Iterable<PlannedEntry> = [],
  ) {
    this.#session = session
    this.#going = going
    for (const planned of entries) if (staying.has(planned.fate)) this.#staying.push(planned)
  }

  /** Whether a name that stays is the same inode as this object, which is displaced, or as one of its members. */
  has(displaced: Stat, members: Iterable<Name> = []): boolean {
    for (const name of members) {
      const member = this.#session.root.find(name)
      if (member !== undefined && this.has(member)) return true
    }
    if (displaced.type !== 'file' || displaced.nlink < 2) return false
    this.#inodes ??= this.#find()
    return this.#inodes.has(keyOf(displaced))
  }

  /** Looked for only when an object with several names is displaced: every other package's privileged files. */
  #find(): ReadonlySet<string> {
    const inodes = new Set<string>()
    for (const { live } of this.#staying) if (live !== undefined) inodes.add(keyOf(live))
    const { state } = this.#session
    for (const packageName of state.packageNames()) {
      if (this.#going.has(packageName)) continue
      for (const entry of state.record(packageName).entries) {
        const live = mayBePrivileged(entry) ? this.#live(entry) : undefined
        if (live !== undefined) inodes.add(keyOf(live))
      }
    }
    return inodes
  }

  #live({ name }: RecordedEntry): Stat | undefined {
    const { root } = this.#session
    const parent = root.findDirectory(parentName(name))
    return parent && root.find(joinName(parent.name, baseName(name)))
  }
}

/** Where the record does not know the mode, the file may be anything. */
function mayBePrivileged({ type, mode, xattrs, unknown }: RecordedEntry): boolean {
  if (unknown?.has('mode') === true) return true
  return type === 'file' && ((mode & setIdBits) !== 0 || xattrs.some(({ name }) => name === 'security.capability'))
}

function keyOf({ dev, ino }: Stat): string {
  return `${dev}:${ino}`
}
