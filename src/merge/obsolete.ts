// Names that only the old version of a package has: which of them go, and which stay and why.

import { baseName, displayName, joinName, type Name, parentName, type Stat } from '../sys/index.ts'
import type { RecordedEntry } from './entry.ts'
import type { Owners } from './owners.ts'
import type { Root } from './root.ts'
import type { Spellings } from './spellings.ts'

/** A name that goes. */
export interface Removal {
  readonly packageName: string
  readonly entry: RecordedEntry
  readonly liveName: Name
  readonly live: Stat
  /** It belongs to nobody, and is kept until its name is free again. */
  readonly isUnowned?: boolean
  /** What is in a directory that goes as a whole, by live names; a directory without them goes when it is empty. */
  readonly members?: ReadonlySet<Name>
}

/** A name that stays although the package no longer has it. */
export interface Kept {
  readonly packageName: string
  readonly entry: RecordedEntry
  readonly reason: KeptName['reason']
}

/** A name that stays, as callers are told. */
export interface KeptName {
  /** Escaped for reading. */
  readonly name: string
  /** Whose it was. */
  readonly package: string
  readonly reason: 'missing' | 'edited' | 'owned by another package' | 'another type' | 'configuration' | 'not empty'
}

/** What a package recorded of a name. */
export interface RecordedName {
  readonly packageName: string
  readonly entry: RecordedEntry
}

/** A name that would go, but is not there. */
export type MissingName = Omit<Removal, 'live'>

/** What becomes of obsolete names. */
export interface Obsolete {
  readonly removals: readonly Removal[]
  readonly kept: readonly Kept[]
  /** Those of `kept` that are missing. */
  readonly missing: readonly MissingName[]
}

/** What new versions say of names that old ones had. */
export interface Staying {
  /** Whether they have a name. */
  covers(liveName: Name): boolean
  /** Whether they have an object under another spelling of its name. */
  respells(liveName: Name, live: Stat): boolean
}

const nothingStays: Staying = { covers: () => false, respells: () => false }

/** What becomes of names that only old versions have. */
export function findObsolete(
  { root, owners, spellings }: { readonly root: Root; readonly owners: Owners; readonly spellings: Spellings },
  own: ReadonlySet<string>,
  recorded: Iterable<RecordedName>,
  { covers, respells }: Staying = nothingStays,
): Obsolete {
  const removals: Removal[] = []
  const kept: Kept[] = []
  const missing: MissingName[] = []
  const seen = new Set<Name>() // several packages that go may have owned one name together
  for (const { packageName, entry } of recorded) {
    const { name, type } = entry
    const keep = (reason: KeptName['reason']) => void kept.push({ packageName, entry, reason })
    const parent = root.findDirectory(parentName(name))
    const liveName = joinName(parent?.name ?? parentName(name), baseName(name))
    if (covers(liveName) || seen.has(liveName)) continue
    seen.add(liveName)
    const live = parent && root.kernel.findat(parent.fd, baseName(name))
    if (live !== undefined && respells(liveName, live)) continue
    const names = live === undefined ? [name] : [name, ...spellings.ofAll(liveName, live)]
    const isShared = names.some((each) => owners.of(each).some((owner) => !own.has(owner)))
    if (isShared && type === 'directory') continue // directories are everybody's
    if (isShared) keep('owned by another package')
    else if (live === undefined && entry.unknown?.has('missing'))
      continue // nobody expects it
    else if (live === undefined) {
      keep('missing')
      missing.push({ packageName, entry, liveName })
    } else if (isBehindLink(root, entry, live))
      continue // the link is somebody else's
    else if (live.type !== type) keep('another type')
    else removals.push({ packageName, entry, liveName, live })
  }
  return { removals, kept, missing }
}

/** A directory that is a symlink in this root: what the package had in it lies behind that. */
function isBehindLink(root: Root, { name, type }: RecordedEntry, live: Stat): boolean {
  return type === 'directory' && live.type === 'symlink' && root.findDirectory(name) !== undefined
}

/** Names that stay, for a report. */
export function keptNames(kept: readonly Kept[]): KeptName[] {
  return kept.map(({ entry, packageName, reason }) => ({ name: displayName(entry.name), package: packageName, reason }))
}
