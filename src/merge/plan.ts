// The plan: what becomes of each entry of an image, and of each name that the old version had. Nothing is written here.

import type { Place } from '../movefile/index.ts'
import { baseName, displayName, joinName, type Name, parentName, type Stat } from '../sys/index.ts'
import { type Action, decide, type Owner, type Situation } from './decide.ts'
import type { RecordedEntry, Xattrs } from './entry.ts'
import { type Collision, UnsafeEntryError } from './errors.ts'
import { type Comparer, type Comparison, hasMetadata } from './live.ts'
import { findObsolete, type KeptName, type Removal } from './obsolete.ts'
import type { Owners } from './owners.ts'
import type { Root } from './root.ts'
import type { State } from './state.ts'
import type { TreeEntry, TreeImage } from './treeImage.ts'

/** What happens to an entry: an action of the table, or one of a directory's own. */
export type Fate = Action | 'newDirectory' | 'keepDirectory' | 'changeDirectory'

/** One entry, decided. */
export interface PlannedEntry {
  readonly entry: TreeEntry
  readonly fate: Fate
  /** Its name without symlinks, relative to the root: where it will be. */
  readonly liveName: Name
  /** What is there now. */
  readonly live?: Stat
  /** Whether it lies in a directory that the plan makes. */
  readonly isInNewDirectory: boolean
  readonly sha256?: string
  readonly xattrs?: Xattrs
}

/** Everything that a merge will do, and everything that speaks against it. */
export interface Plan {
  readonly packageName: string
  readonly entries: readonly PlannedEntry[]
  readonly removals: readonly Removal[]
  readonly kept: readonly KeptName[]
  readonly collisions: readonly Collision[]
  /** Names whose ownership passes, by the package that had them. */
  readonly taken: ReadonlyMap<string, ReadonlySet<Name>>
}

/** What a plan is made from. */
export interface PlanInput {
  readonly root: Root
  readonly state: State
  readonly image: TreeImage
  readonly owners: Owners
  readonly comparer: Comparer
  readonly packageName: string
  /** Packages that go with this merge, beside an older version of the same name. */
  readonly replaces: readonly string[]
  /** Identical objects of other packages are owned together instead of refused. */
  readonly shareIdentical: boolean
  /** Whether a collision of this name is allowed: ownership then passes. */
  readonly mayTake: (name: Name) => boolean
  /** Whether configuration protection covers a name. */
  readonly isProtected: (name: Name) => boolean
  readonly beforeEntry: () => void
}

/** Decides every entry of an image and every obsolete name. */
export function makePlan(input: PlanInput): Plan {
  const planner = new Planner(input)
  for (const entry of input.image.entries()) {
    input.beforeEntry()
    planner.add(entry)
  }
  return planner.finish()
}

class Planner {
  readonly #input: PlanInput
  /** Of the package itself and of those that it replaces. */
  readonly #own: ReadonlySet<string>
  readonly #recorded: Map<Name, RecordedEntry>
  readonly #entries: PlannedEntry[] = []
  readonly #collisions: Collision[] = []
  readonly #taken = new Map<string, Set<Name>>()
  /** Image directory to live directory, and whether the plan makes it. */
  readonly #directories = new Map<Name, { liveName: Name; isNew: boolean }>([['', { liveName: '', isNew: false }]])
  readonly #byLiveName = new Map<Name, PlannedEntry>()

  constructor(input: PlanInput) {
    this.#input = input
    this.#own = new Set([input.packageName, ...input.replaces])
    this.#recorded = new Map()
    for (const name of this.#own) {
      for (const entry of input.owners.record(name)?.entries ?? []) this.#recorded.set(entry.name, entry)
    }
  }

  add(entry: TreeEntry): void {
    const parent = this.#directories.get(parentName(entry.name))
    if (parent === undefined) throw new UnsafeEntryError(entry.name, 'lies below something that is not a directory')
    const liveName = joinName(parent.liveName, baseName(entry.name))
    if (this.#input.state.holds(liveName) && entry.type !== 'directory') {
      throw new UnsafeEntryError(entry.name, 'lies in the state directory')
    }
    const planned = parent.isNew
      ? this.#insideNew(entry, liveName)
      : entry.type === 'directory'
        ? this.#directory(entry, liveName)
        : this.#object(entry, liveName)
    this.#accept(planned)
  }

  #accept(planned: PlannedEntry): void {
    const { entry, liveName, fate } = planned
    const twin = this.#byLiveName.get(liveName)
    const areDirectories = entry.type === 'directory' && twin?.entry.type === 'directory'
    if (twin !== undefined && !areDirectories) {
      this.#collide(planned, `is one name with '${displayName(twin.entry.name)}' of the same image`, [])
    }
    if (entry.type === 'directory') {
      this.#directories.set(entry.name, { liveName: planned.liveName, isNew: fate === 'newDirectory' })
    }
    this.#byLiveName.set(liveName, planned)
    this.#entries.push(planned)
  }

  /** Nothing can be there, but a directory that somebody removed may still be in another package's record. */
  #insideNew(entry: TreeEntry, liveName: Name): PlannedEntry {
    const planned = { entry, liveName, isInNewDirectory: true }
    if (entry.type === 'directory') return { ...planned, fate: 'newDirectory' }
    const { fate } = this.#decide(entry, liveName, undefined, { live: 'absent' })
    return { ...planned, fate }
  }

  #directory(entry: TreeEntry, liveName: Name): PlannedEntry {
    const live = this.#input.root.find(liveName)
    const planned = { entry, liveName, isInNewDirectory: false }
    if (live === undefined) return { ...planned, fate: 'newDirectory' }
    if (live.type === 'directory') return { ...planned, fate: this.#directoryFate(entry, liveName, live), live }
    const behindLink = live.type === 'symlink' ? this.#input.root.findDirectory(liveName) : undefined
    if (behindLink !== undefined) return { ...planned, fate: 'keepDirectory', live, liveName: behindLink.name }
    const decided = this.#decide(entry, liveName, live, { live: 'different' })
    return { ...decided, fate: decided.fate === 'place' ? 'newDirectory' : decided.fate }
  }

  /** A live directory keeps its owner and mode, unless it is only ours, nobody edited it, and the new version differs. */
  #directoryFate(entry: TreeEntry, liveName: Name, live: Stat): Fate {
    const recorded = this.#recorded.get(entry.name)
    const isOursAlone =
      recorded !== undefined && this.#owners(entry.name, liveName).every((owner) => this.#own.has(owner))
    if (!isOursAlone || !hasMetadata(recorded, live) || hasMetadata(entry, live)) return 'keepDirectory'
    return 'changeDirectory'
  }

  #object(entry: TreeEntry, liveName: Name): PlannedEntry {
    const { root, image, comparer } = this.#input
    const live = root.find(liveName)
    if (live === undefined) return this.#decide(entry, liveName, undefined, { live: 'absent' })
    if (live.type === 'directory' && !this.#becomesEmpty(liveName)) {
      const planned: PlannedEntry = { entry, liveName, live, fate: 'refuse', isInNewDirectory: false }
      this.#collide(
        planned,
        'a directory that does not become empty is never replaced',
        this.#owners(entry.name, liveName),
      )
      return planned
    }
    const target: Place = { directory: root.directory(parentName(liveName)).fd, name: baseName(liveName) }
    return this.#decide(entry, liveName, live, comparer.compare(entry, image.place(entry.name), target, live))
  }

  #decide(entry: TreeEntry, liveName: Name, live: Stat | undefined, comparison: Comparison): PlannedEntry {
    const owners = this.#owners(entry.name, liveName)
    const action = decide(this.#situation(entry, comparison, owners, live))
    const fate = this.#fateOf(action, entry.name, comparison)
    const { sha256, xattrs } = comparison
    const planned: PlannedEntry = {
      entry,
      fate,
      liveName,
      isInNewDirectory: false,
      ...(live === undefined ? {} : { live }),
      ...(sha256 === undefined ? {} : { sha256 }),
      ...(xattrs === undefined ? {} : { xattrs }),
    }
    if (fate === 'refuse' || fate === 'replaceUnowned') this.#collide(planned, remedyOf(action, owners), owners)
    else if (action !== 'share' || !this.#input.shareIdentical) this.#take([entry.name, liveName], owners)
    return planned
  }

  /** What the caller allows beyond the table: sharing what is identical, taking names over. */
  #fateOf(action: Action, name: Name, { live }: Comparison): Fate {
    if (action === 'share' && this.#input.shareIdentical) return 'adopt'
    const isCollision = action === 'share' || action === 'refuse' || action === 'replaceUnowned'
    if (isCollision && this.#input.mayTake(name)) return live === 'same' ? 'adopt' : 'place'
    return action === 'share' ? 'refuse' : action
  }

  /** Names that others own, and that are this package's from now on. */
  #take(names: readonly Name[], owners: readonly string[]): void {
    for (const owner of owners) {
      if (this.#own.has(owner)) continue
      const taken = this.#taken.get(owner) ?? new Set()
      for (const name of names) taken.add(name)
      this.#taken.set(owner, taken)
    }
  }

  #situation({ name }: TreeEntry, { live }: Comparison, owners: readonly string[], stat: Stat | undefined): Situation {
    const others = owners.filter((owner) => !this.#own.has(owner))
    const owner: Owner = others.length > 0 ? 'another' : owners.length > 0 ? 'self' : 'nobody'
    const recorded = this.#recorded.get(name)
    const isEdited = recorded !== undefined && stat !== undefined && !hasMetadata(recorded, stat)
    return { live, owner, isProtected: this.#input.isProtected(name), isEdited }
  }

  /** By the name as the image has it, and by where it leads: either may be what another record says. */
  #owners(name: Name, liveName: Name): readonly string[] {
    const { owners } = this.#input
    return name === liveName ? owners.of(name) : [...new Set([...owners.of(name), ...owners.of(liveName)])]
  }

  #collide({ entry, live }: PlannedEntry, remedy: string, owners: readonly string[]): void {
    const others = owners.filter((owner) => !this.#own.has(owner))
    this.#collisions.push({
      name: displayName(entry.name),
      live: live?.type ?? 'nothing',
      image: entry.type,
      owners: others,
      remedy,
    })
  }

  /** Whether everything in a live directory is the old version's and goes with it. */
  #becomesEmpty(liveName: Name): boolean {
    const { root, owners } = this.#input
    const directory = root.findDirectory(liveName)
    if (directory === undefined || directory.name !== liveName) return false
    return root.kernel.readDirectory(directory.fd).every((entry) => {
      const name = joinName(liveName, entry.name)
      const isOurs = this.#recorded.has(name) && owners.of(name).every((owner) => this.#own.has(owner))
      return isOurs && (root.find(name)?.type !== 'directory' || this.#becomesEmpty(name))
    })
  }

  finish(): Plan {
    const entries = placeGroupsWhole(this.#entries)
    const obsolete = findObsolete(this.#input, this.#own, [...this.#recorded.values()], (liveName) =>
      this.#covers(liveName),
    )
    return {
      packageName: this.#input.packageName,
      entries,
      collisions: this.#collisions,
      taken: this.#taken,
      ...obsolete,
    }
  }

  /** Whether the new version has a name, or replaces a directory above it. */
  #covers(liveName: Name): boolean {
    if (this.#byLiveName.has(liveName)) return true
    for (let above = parentName(liveName); above !== ''; above = parentName(above)) {
      const planned = this.#byLiveName.get(above)
      if (planned !== undefined && planned.entry.type !== 'directory') return true
    }
    return false
  }
}

function remedyOf(action: Action, owners: readonly string[]): string {
  if (action === 'share') return 'the same object: share it with --share-identical'
  if (owners.length > 0)
    return `unmerge ${owners.join(', ')}, name it in --replaces, or take it with --collision-ignore`
  return 'move it away, or overwrite it with --collision-ignore: no package owns it'
}

/** Hard-link groups are adopted whole or placed whole: else one name would stay behind on the old inode. */
function placeGroupsWhole(entries: readonly PlannedEntry[]): PlannedEntry[] {
  const inodes = new Map<Name, bigint | undefined>()
  const broken = new Set<Name>()
  for (const { entry, fate, live } of entries) {
    const first = entry.linkTo ?? entry.name
    if (entry.linkTo === undefined) inodes.set(first, live?.ino)
    if (fate !== 'adopt' || inodes.get(first) !== live?.ino) broken.add(first)
  }
  return entries.map((planned) => {
    const first = planned.entry.linkTo ?? planned.entry.name
    return planned.fate === 'adopt' && broken.has(first) ? { ...planned, fate: 'refresh' } : planned
  })
}
