// Planning one image: gathers the facts of each entry and asks the decision table.

import type { Place } from '../movefile/index.ts'
import {
  baseName,
  displayName,
  joinName,
  type Name,
  parentName,
  STATX_ATTR_MOUNT_ROOT,
  type Stat,
} from '../sys/index.ts'
import { reservedPrefix } from './archive/memberName.ts'
import { claimOf, remedies } from './claims.ts'
import { isEditedByAdmin } from './config/edited.ts'
import { isAside } from './config/settle.ts'
import { type Action, decide, type Situation } from './decide.ts'
import { EscapesRootError, UnsafeEntryError } from './errors.ts'
import { LinkGroups } from './hardLinks.ts'
import { type Comparison, hasMetadata } from './live.ts'
import type { LookAhead } from './lookAhead.ts'
import type { Fate, PackageImage, PlannedEntry } from './plan.ts'
import { type EntryList, PlannedEntries } from './plannedEntries.ts'
import { placeGroupsWhole } from './plannedGroups.ts'
import { directoryBehind, isOwnLink } from './plannedLinks.ts'
import type { Planning } from './planning.ts'
import { factsOf, type TreeEntry } from './treeImage.ts'

/** Where a directory of the image leads, and whether the plan makes it. */
interface DirectoryTarget {
  readonly liveName: Name
  readonly isNew: boolean
  /** Whether Name and name are one in it. */
  readonly isFolding: boolean
}

/** Decides every entry of one image. */
export class ImagePlanner {
  readonly #planning: Planning
  readonly #from: PackageImage
  readonly #ahead: LookAhead
  readonly #entries: PlannedEntries
  /** Live names of entries that have several names, by the first of them. */
  readonly #firstNames = new Map<Name, Name>()
  readonly #links = new LinkGroups()
  readonly #directories = new Map<Name, DirectoryTarget>()

  constructor(planning: Planning, from: PackageImage, ahead: LookAhead) {
    this.#planning = planning
    this.#from = from
    this.#ahead = ahead
    this.#directories.set('', { liveName: '', isNew: false, isFolding: planning.folding.in('') })
    this.#entries = new PlannedEntries(planning.names.packed)
  }

  plan(): EntryList {
    for (const entry of this.#ahead.over(this.#from.image.entries())) {
      this.#planning.beforeEntry()
      this.#add(entry)
    }
    placeGroupsWhole(this.#entries)
    return this.#entries
  }

  #add(entry: TreeEntry): void {
    const { names, settler } = this.#planning
    const directory = parentName(entry.name)
    const parent = this.#directories.get(directory)
    if (parent === undefined) return // below something that was refused
    // Most names lead to themselves: then one string is both.
    const liveName = parent.liveName === directory ? entry.name : joinName(parent.liveName, baseName(entry.name))
    const decided = this.#decideSafe(this.#links.relinked(entry), { ...parent, liveName })
    if (decided === undefined) return
    const planned = settler.settle(decided)
    this.#links.add(entry, isAside(planned))
    // What is offered beside a directory of the old version leaves that to be removed.
    if (planned.liveName !== decided.liveName && decided.live?.type !== 'directory')
      names.add(decided, parent.isFolding)
    const packed = parent.isFolding ? undefined : names.packed.add(planned)
    if (packed === undefined) names.add(planned, parent.isFolding)
    this.#entries.push(packed ?? planned)
    if (entry.type === 'directory') this.#directories.set(entry.name, this.#targetOf(planned, parent))
    else if (entry.stat.nlink > 1 && planned.entry.linkTo === undefined && !isAside(planned))
      this.#firstNames.set(entry.name, planned.liveName)
  }

  /** Where members of a planned directory go; what is new folds case as what it is in. */
  #targetOf({ liveName }: PlannedEntry, parent: DirectoryTarget): DirectoryTarget {
    const { names, folding } = this.#planning
    const isNew = names.find(liveName)?.fate === 'newDirectory'
    return { liveName, isNew, isFolding: isNew ? parent.isFolding : folding.in(liveName) }
  }

  /** An entry that no root may receive, or that leads out of this one, is a problem. */
  #decideSafe(entry: TreeEntry, target: DirectoryTarget): PlannedEntry | undefined {
    const { problems, isState, root, selfMerge } = this.#planning
    try {
      if (baseName(entry.name).startsWith(reservedPrefix))
        throw new UnsafeEntryError(entry.name, `names that begin with ${reservedPrefix} are rootmerge's own`)
      if (entry.type !== 'directory' && isState(target.liveName))
        throw new UnsafeEntryError(entry.name, 'lies in the state directory')
      selfMerge.checkEntry(entry)
      const planned = this.#decideFirst(entry, target)
      selfMerge.checkTaken(entry, this.#from.image, () => root.find(planned.liveName))
      return planned
    } catch (error) {
      if (!(error instanceof UnsafeEntryError || error instanceof EscapesRootError)) throw error
      problems.add(error)
      return undefined
    }
  }

  /** A name that another entry has already is decided with it, any other by what is there. */
  #decideFirst(entry: TreeEntry, { liveName, isNew, isFolding }: DirectoryTarget): PlannedEntry {
    const { names } = this.#planning
    const first = names.find(liveName, isFolding)
    if (first !== undefined) return this.#meet(entry, first, isNew)
    if (isNew) return this.#insideNew(entry, liveName)
    if (entry.type !== 'directory') return this.#object(entry, liveName)
    const planned = this.#directory(entry, liveName)
    const behindLink = planned.liveName === liveName ? undefined : names.find(planned.liveName)
    return behindLink === undefined ? planned : this.#meet(entry, behindLink, isNew)
  }

  /** Two names of an image, or two images, bring one live name: they must agree. */
  #meet(entry: TreeEntry, twin: PlannedEntry, isInNewDirectory: boolean): PlannedEntry {
    const behind = this.#behindPlannedLink(entry, twin)
    if (behind !== undefined) return behind
    const { from: first, liveName, live } = twin
    const planned = { isInNewDirectory, ...(live && { live }) }
    const isSame = entry.type === 'directory' ? twin.entry.type === 'directory' : this.#isIdentical(entry, twin)
    const isShared = entry.type === 'directory' || first === this.#from || this.#planning.shareIdentical
    if (isSame && isShared) return this.#planned(entry, liveName, { ...planned, fate: 'twin' })
    const other = `'${displayName(twin.entry.name)}' of ${first === this.#from ? 'the same image' : first.packageName}`
    const remedy = `is one name with ${other}, ${isSame ? remedies.share : 'and not the same: leave one of them out'}`
    const claimed = { name: entry.name, live: twin.entry.type, image: entry.type, isTwin: true } as const
    this.#planning.claims.collide(claimed, remedy, [])
    return this.#planned(entry, liveName, { ...planned, fate: 'refuse' })
  }

  /** A directory whose name another image gives to a symlink: what is in it goes where that will lead. */
  #behindPlannedLink(entry: TreeEntry, link: PlannedEntry): PlannedEntry | undefined {
    const { names, root } = this.#planning
    if (entry.type !== 'directory' || link.entry.type !== 'symlink' || link.from === this.#from) return undefined
    const liveName = directoryBehind(link, names, root)
    if (liveName === undefined || liveName === '') return undefined
    const planned = names.find(liveName)
    if (planned !== undefined) return this.#meet(entry, planned, planned.isInNewDirectory)
    const live = root.find(liveName)
    return live && this.#planned(entry, liveName, { fate: 'keepDirectory', live })
  }

  /** One object in the image, or two with the same contents, metadata and place in their hard-link groups. */
  #isIdentical(entry: TreeEntry, { entry: other, from: { image }, linkedTo }: PlannedEntry): boolean {
    if (entry.stat.ino === other.stat.ino && entry.stat.dev === other.stat.dev) return true
    if (this.#linkedTo(entry) !== linkedTo) return false
    const source = this.#from.image.place(entry.name)
    return this.#planning.comparer.compare(factsOf(entry), source, image.place(other.name), other.stat).live === 'same'
  }

  /** The live name of the first name of an entry's hard-link group, where that is another entry. */
  #linkedTo({ linkTo }: TreeEntry): Name | undefined {
    return linkTo === undefined ? undefined : this.#firstNames.get(linkTo)
  }

  #planned(entry: TreeEntry, liveName: Name, rest: Pick<PlannedEntry, 'fate'> & Partial<PlannedEntry>): PlannedEntry {
    const linkedTo = this.#linkedTo(entry)
    const planned = { from: this.#from, entry, liveName, isInNewDirectory: false, ...rest }
    return linkedTo === undefined ? planned : { ...planned, linkedTo }
  }

  /** Nothing can be there, but what somebody removed may still be in another package's record. */
  #insideNew(entry: TreeEntry, liveName: Name): PlannedEntry {
    if (entry.type === 'directory') return { ...this.#newDirectory(entry, liveName), isInNewDirectory: true }
    return this.#decide(entry, liveName, undefined, { live: 'absent' }, true)
  }

  #directory(entry: TreeEntry, liveName: Name): PlannedEntry {
    const { root } = this.#planning
    const live = root.find(liveName)
    if (live === undefined) return this.#newDirectory(entry, liveName)
    if (live.type === 'directory')
      return this.#planned(entry, liveName, { fate: this.#directoryFate(entry, liveName, live), live })
    const leads = live.type === 'symlink' && !isOwnLink(this.#planning, liveName)
    const behindLink = leads ? root.findDirectory(liveName) : undefined
    if (behindLink !== undefined) {
      this.#planning.names.keep(liveName)
      return this.#planned(entry, behindLink.name, { fate: 'keepDirectory', live })
    }
    return this.#newDirectory(entry, liveName, live)
  }

  /** In place of nothing, which another package's record may still have as something else, or of what is no directory. */
  #newDirectory(entry: TreeEntry, liveName: Name, live?: Stat): PlannedEntry {
    if (live === undefined && !this.#planning.claims.isOthersLeaf(entry.name, liveName))
      return this.#planned(entry, liveName, { fate: 'newDirectory' })
    const decided = this.#decide(entry, liveName, live, { live: live === undefined ? 'absent' : 'different' })
    return { ...decided, fate: decided.fate === 'place' ? 'newDirectory' : decided.fate }
  }

  /** A live one keeps its metadata, unless it is only ours, or was made for the state, unedited, and the new one differs. */
  #directoryFate(entry: TreeEntry, liveName: Name, live: Stat): Fate {
    const { claims, recorded, ownDirectories } = this.#planning
    const before = recorded.get(entry.name)?.entry ?? ownDirectories.get(liveName)
    if (before === undefined || before.isKept === true || !claims.isOursAlone(entry.name, liveName))
      return 'keepDirectory'
    return hasMetadata(before, live) && !hasMetadata(factsOf(entry), live) ? 'changeDirectory' : 'keepDirectory'
  }

  #object(entry: TreeEntry, liveName: Name): PlannedEntry {
    const { root, comparer, claims } = this.#planning
    const seen = this.#ahead.of(entry, liveName)
    if (seen !== undefined) return this.#decide(entry, liveName, seen.live, seen.comparison)
    const live = root.find(liveName)
    if (live === undefined) return this.#decide(entry, liveName, undefined, { live: 'absent' })
    const members = new Set<Name>()
    const owners = claims.ownersOf(entry.name, liveName)
    const goesWithUs = () => claims.ownerOf(owners) === 'self' && this.#becomesEmpty(liveName, members)
    if (live.type === 'directory' && !goesWithUs()) {
      claims.collide(claimOf(entry, live), remedies.notEmpty, owners)
      return this.#planned(entry, liveName, { fate: 'refuse', live })
    }
    const target: Place = { directory: root.directory(parentName(liveName)).fd, name: baseName(liveName) }
    const comparison = comparer.compare(factsOf(entry), this.#from.image.place(entry.name), target, live)
    const decided = this.#decide(entry, liveName, live, comparison)
    return live.type === 'directory' ? { ...decided, members } : decided
  }

  #decide(
    entry: TreeEntry,
    liveName: Name,
    live: Stat | undefined,
    comparison: Comparison,
    isInNewDirectory = false,
  ): PlannedEntry {
    const { claims, shareIdentical, spellings } = this.#planning
    const owners = claims.ownersOf(entry.name, liveName)
    const spelled = live !== undefined && owners.length === 0 ? spellings.of(liveName, live) : undefined
    if (spelled !== undefined) return this.#decide(entry, spelled, live, comparison)
    const action = decide(this.#situation(entry, comparison, owners, { liveName, live }))
    const fate = this.#fateOf(action, entry.name, comparison)
    if (fate === 'refuse' || fate === 'replaceUnowned') claims.refuse(claimOf(entry, live), action, owners)
    else if (action !== 'share' || !shareIdentical) claims.take([entry.name, liveName], owners)
    if (live === undefined) return this.#planned(entry, liveName, { fate, isInNewDirectory })
    const { sha256, xattrs } = comparison
    return this.#planned(entry, liveName, {
      fate,
      live,
      ...(action === 'replaceUnowned' && fate === 'place' && this.#planning.replaceUnowned && { isUnowned: true }),
      ...(sha256 && { sha256 }),
      ...(xattrs && { xattrs }),
    })
  }

  /** What the caller allows beyond the table: sharing what is identical, taking names over. */
  #fateOf(action: Action, name: Name, { live }: Comparison): Fate {
    const { replaceUnowned, shareIdentical, mayTake } = this.#planning
    if (action === 'share' && shareIdentical) return 'adopt'
    const isCollision = action === 'share' || action === 'refuse' || action === 'replaceUnowned'
    if (isCollision && mayTake(name)) return live === 'same' ? 'adopt' : 'place'
    if (action === 'replaceUnowned' && replaceUnowned) return 'place'
    return action === 'share' ? 'refuse' : action
  }

  #situation(
    { name, type }: TreeEntry,
    { live }: Comparison,
    owners: readonly string[],
    at: { liveName: Name; live: Stat | undefined },
  ): Situation {
    const { claims, recorded } = this.#planning
    const before = (recorded.get(name) ?? recorded.get(at.liveName))?.entry
    const isProtected = this.#from.protection.covers(name, at.liveName, before)
    const isEdited =
      before !== undefined &&
      at.live !== undefined &&
      (isProtected
        ? (at.live.type === 'directory' && type !== 'directory') ||
          isEditedByAdmin(this.#planning, before, at.liveName, at.live)
        : !hasMetadata(before, at.live))
    return { live, owner: claims.ownerOf(owners), isProtected, isEdited }
  }

  /** Whether everything in a live directory is the old version's and goes with it. */
  #becomesEmpty(liveName: Name, members: Set<Name>): boolean {
    const { root, claims, recorded } = this.#planning
    const directory = root.findDirectory(liveName)
    if (directory === undefined || directory.name !== liveName) return false
    return root.kernel.readDirectory(directory.fd).every((entry) => {
      const name = joinName(liveName, entry.name)
      if (!recorded.has(name) || !claims.isOursAlone(name, name)) return false
      members.add(name)
      const live = root.find(name)
      const isMountPoint = ((live?.attributes ?? 0) & STATX_ATTR_MOUNT_ROOT) !== 0
      return !isMountPoint && (live?.type !== 'directory' || this.#becomesEmpty(name, members))
    })
  }
}
