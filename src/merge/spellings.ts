// Recorded names in another spelling, where a directory folds case: Name is there, and an image brings name.

import { baseName, joinName, type Name, nameBytes, parentName, type Stat } from '../sys/index.ts'
import type { RecordedName } from './obsolete.ts'
import type { Owners } from './owners.ts'
import type { Root } from './root.ts'

/** Finds the name by which a record has a live object that nobody owns by the name it was asked for. */
export class Spellings {
  readonly #root: Root
  readonly #owners: Owners
  readonly #recorded: ReadonlyMap<Name, RecordedName>
  /** Made when they are first asked for: most plans never ask. */
  #own: ReadonlyMap<string, readonly Name[]> | undefined
  #all: ReadonlyMap<string, readonly Name[]> | undefined
  /** Whether names in a directory are folded, there or on the way to it. */
  readonly #folding = new Map<Name, boolean>()

  /** @param recorded  of old versions, which are asked first */
  constructor(root: Root, owners: Owners, recorded: ReadonlyMap<Name, RecordedName> = new Map()) {
    this.#root = root
    this.#owners = owners
    this.#recorded = recorded
  }

  /** The recorded name that differs from a name in its case alone, and is the very same object. */
  of(liveName: Name, live: Stat): Name | undefined {
    if (this.#recorded.size > 0) this.#own ??= byFolded(this.#recorded.keys())
    const [own] = this.#own === undefined ? [] : this.#among(this.#own, liveName, live)
    return own ?? this.ofAll(liveName, live)[0]
  }

  /** As `of`, every such name of every package. All records are read, but only where the disk folds case. */
  ofAll(liveName: Name, live: Stat): readonly Name[] {
    if (!this.#isFolded(liveName, live)) return []
    this.#all ??= byFolded(namesOf(this.#owners))
    return this.#among(this.#all, liveName, live)
  }

  /** As ofAll, of what has a name, if anything has: nothing is looked at where the directory is known not to fold. */
  ofName(liveName: Name): readonly Name[] {
    if (this.#folding.get(parentName(liveName)) === false) return []
    const live = this.#root.find(liveName)
    return live === undefined ? [] : this.ofAll(liveName, live)
  }

  #among(names: ReadonlyMap<string, readonly Name[]>, liveName: Name, live: Stat): readonly Name[] {
    const others = names.get(folded(liveName)) ?? []
    return others.filter(
      (other) => other !== liveName && this.#isAlso(live, other) && isOneName(this.#root, live, [liveName, other]),
    )
  }

  /** Whether a directory on the way to a live object folds case: the disk is asked once for each. */
  #isFolded(liveName: Name, live: Stat): boolean {
    const directory = parentName(liveName)
    const known = this.#folding.get(directory)
    if (known !== undefined) return known
    const name = baseName(liveName)
    const other = otherCase(name)
    const isHere = other !== name && this.#isAlso(live, joinName(directory, other))
    const isFolded = isHere || this.#isAboveFolded(directory)
    if (other !== name || isFolded) this.#folding.set(directory, isFolded)
    return isFolded
  }

  #isAboveFolded(directory: Name): boolean {
    const live = directory === '' ? undefined : this.#root.find(directory)
    return live !== undefined && this.#isFolded(directory, live)
  }

  #isAlso(live: Stat, name: Name): boolean {
    const found = this.#root.find(name)
    return found !== undefined && found.ino === live.ino && found.dev === live.dev
  }
}

/** Whether two names of one inode are one name of it in two spellings: a case-sensitive directory can have both. */
export function isOneName(root: Root, { type, nlink }: Stat, names: readonly Name[]): boolean {
  return type === 'directory' || nlink === 1 || names.some((name) => !isListed(root, name))
}

/** Whether a directory lists a name in this very spelling. */
function isListed(root: Root, liveName: Name): boolean {
  const { fd } = root.directory(parentName(liveName))
  return root.kernel.readDirectory(fd).some(({ name }) => name === baseName(liveName))
}

function namesOf(owners: Owners): ReadonlySet<Name> {
  const names = new Set<Name>()
  owners.eachName((name) => names.add(name))
  return names
}

function byFolded(names: Iterable<Name>): ReadonlyMap<string, readonly Name[]> {
  const found = new Map<string, Name[]>()
  for (const name of names) {
    const spelled = found.get(folded(name))
    if (spelled === undefined) found.set(folded(name), [name])
    else spelled.push(name)
  }
  return found
}

/** What file systems that fold case take for the same, of most scripts; what is missed is refused as a collision. */
export function folded(name: Name): string {
  return textOf(name).normalize('NFC').toLowerCase()
}

/** The name in capitals, or in small letters where it is in capitals; the same where it has no letters. */
export function otherCase(name: Name): Name {
  const text = textOf(name)
  const other = [text.toUpperCase(), text.toLowerCase()].find((each) => each !== text)
  return other === undefined ? name : Buffer.from(other).toString('latin1')
}

function textOf(name: Name): string {
  return nameBytes(name).toString('utf8')
}
