// What container layers take away of a root: planned as every other name that goes, by whose it is.
//
// What the layer's package, or one that it replaces, owns goes. What another package owns is a collision, unless its
// name may be taken. What nobody owns goes only where the caller lets packages replace such objects, and is kept until its
// name is free again: a directory in which nobody owns anything as a whole. Protected names stay.

import { MountPointError } from '../movefile/index.ts'
import { baseName, joinName, magics, type Name, parentName, STATX_ATTR_MOUNT_ROOT, type Stat } from '../sys/index.ts'
import { reservedPrefix } from './archive/memberName.ts'
import type { RecordedEntry } from './entry.ts'
import { UnsafeEntryError } from './errors.ts'
import type { Kept, Removal } from './obsolete.ts'
import type { PackageImage } from './plan.ts'
import type { Planning } from './planning.ts'
import { describe, factsOf } from './treeImage.ts'

/** What layers take away, beside what goes with their older versions. */
export interface Erased {
  readonly removals: readonly Removal[]
  readonly kept: readonly Kept[]
}

/** What the plan has decided of names that go, before. */
export interface Decided {
  readonly removals: readonly Removal[]
  readonly kept: readonly Kept[]
}

/** Plans what the layers among some images take away; every image is planned by now. */
export function planWhiteouts(planning: Planning, images: readonly PackageImage[], decided: Decided): Erased {
  const eraser = new Eraser(planning, decided)
  for (const from of images) for (const name of topsOf(planning, from)) eraser.erase(from, name)
  return eraser
}

/** Single names, and those in opaque directories; what is above comes before what is below it. */
function topsOf({ root }: Planning, { whiteouts }: PackageImage): Name[] {
  if (whiteouts === undefined) return []
  const inside = [...whiteouts.opaque].flatMap((name) => {
    const directory = root.findDirectory(name)
    const entries = directory === undefined ? [] : root.kernel.readDirectory(directory.fd)
    return entries.map((entry) => joinName(name, entry.name))
  })
  return [...new Set([...whiteouts.names, ...inside])].sort()
}

/** What becomes of a live object, and of all that is in it. */
interface Fate {
  /** Nothing of it stays. */
  readonly goes: boolean
  /** The object first, then what is in it. */
  readonly removals: readonly Removal[]
}

const stays: Fate = { goes: false, removals: [] }

class Eraser implements Erased {
  readonly removals: Removal[] = []
  readonly kept: Kept[] = []
  readonly #planning: Planning
  /** Whether each live name that was decided on goes. */
  readonly #decided = new Map<Name, boolean>()

  constructor(planning: Planning, { removals, kept }: Decided) {
    this.#planning = planning
    for (const { entry, reason } of kept)
      if (reason !== 'owned by another package') this.#decided.set(entry.name, false)
    for (const { liveName } of removals) this.#decided.set(liveName, true)
  }

  /** Plans that what a root has under a name of the image goes. */
  erase(from: PackageImage, name: Name): void {
    const { problems, root, isState } = this.#planning
    problems.attempt(() => {
      const parent = root.findDirectory(parentName(name))
      const live = parent && root.kernel.findat(parent.fd, baseName(name))
      if (live === undefined) return
      const liveName = joinName(parent?.name ?? '', baseName(name))
      if (isState(liveName)) throw new UnsafeEntryError(name, 'would take the state directory away')
      for (const removal of this.#decide(from, { name, liveName, live }).removals) this.removals.push(removal)
    })
  }

  #decide(from: PackageImage, object: Erasable): Fate {
    const { liveName } = object
    const known = this.#decided.get(liveName)
    const fate = known === undefined ? this.#decideFirst(from, object) : { goes: known, removals: [] }
    this.#decided.set(liveName, fate.goes)
    return fate
  }

  #decideFirst(from: PackageImage, object: Erasable): Fate {
    const { names, problems, root, isState } = this.#planning
    const { name, liveName, live } = object
    if (isState(liveName) || baseName(liveName).startsWith(reservedPrefix)) return stays
    if (from.whiteouts?.selects(name) === false) return stays
    if ((live.attributes & STATX_ATTR_MOUNT_ROOT) !== 0) {
      problems.add(new MountPointError(root.pathOf(liveName)))
      return stays
    }
    const inside = live.type === 'directory' ? this.#inside(from, object) : []
    const isEmptied = inside.every(({ goes }) => goes)
    const below = inside.flatMap(({ removals }) => removals)
    if (names.covers(liveName) || !isEmptied) return { goes: false, removals: below }
    const own = this.#decideOwn(from, object)
    if (own === undefined) return { goes: false, removals: below }
    return { goes: true, removals: this.#asWhole(own, below) ?? [own, ...below] }
  }

  #inside(from: PackageImage, { name, liveName }: Erasable): Fate[] {
    const { root } = this.#planning
    const components = root.kernel.readDirectory(root.directory(liveName).fd).map((entry) => entry.name)
    return components.sort().flatMap((component) => {
      const inside = joinName(liveName, component)
      const live = root.find(inside)
      return live === undefined ? [] : [this.#decide(from, { name: joinName(name, component), liveName: inside, live })]
    })
  }

  /** The removal of one object, or why there is none. */
  #decideOwn(from: PackageImage, { name, liveName, live }: Erasable): Removal | undefined {
    const { claims, mayTake, replaceUnowned, spellings } = this.#planning
    const removal = { packageName: from.packageName, entry: this.#describe(liveName, live), liveName, live }
    if (from.protection.covers(name, liveName)) {
      this.kept.push({ ...removal, reason: 'configuration' })
      return undefined
    }
    const spelled = claims.ownersOf(name, liveName).length > 0 ? undefined : spellings.of(liveName, live)
    const owners = claims.ownersOf(name, spelled ?? liveName)
    const owner = claims.ownerOf(owners)
    const isAllowed = owner === 'self' || mayTake(name) || (owner === 'nobody' && replaceUnowned)
    if (!isAllowed) {
      claims.refuse({ name, live: live.type, image: 'nothing' }, 'refuse', owners)
      return undefined
    }
    if (owner === 'another') claims.take([name, spelled ?? liveName], owners)
    return owner === 'nobody' && replaceUnowned ? { ...removal, isUnowned: true } : removal
  }

  /** overlayfs cannot rename a directory of its lower layer: there it goes object by object. */
  #asWhole(own: Removal, below: readonly Removal[]): Removal[] | undefined {
    if (own.live.type !== 'directory' || ![own, ...below].every(({ isUnowned }) => isUnowned === true)) return undefined
    const { root } = this.#planning
    if (root.kernel.fstatfs(root.directory(own.liveName).fd).magic === magics.overlay) return undefined
    const members = below.flatMap((removal) => [removal.liveName, ...(removal.members ?? [])])
    return [{ ...own, members: new Set(members) }]
  }

  #describe(liveName: Name, live: Stat): RecordedEntry {
    const { root } = this.#planning
    const isSymlink = live.type === 'symlink'
    const target = isSymlink
      ? root.kernel.readlinkat(root.directory(parentName(liveName)).fd, baseName(liveName))
      : undefined
    return { ...factsOf(describe(liveName, live, target, undefined)), xattrs: [] }
  }
}

/** A live object, and the name by which the image takes it away. */
interface Erasable {
  readonly name: Name
  readonly liveName: Name
  readonly live: Stat
}
