// Who owns the names that a plan is about: collisions, and ownership that passes.

import { displayName, type Name, type Stat } from '../sys/index.ts'
import type { Action, Owner } from './decide.ts'
import type { EntryObject } from './entry.ts'
import type { Collision } from './errors.ts'
import type { Owners } from './owners.ts'
import { managerOf } from './packageName.ts'
import type { Problems } from './problems.ts'

/** What a collision is about, beside its owners and its remedy. */
export type Claimed = Omit<Collision, 'name' | 'owners' | 'remedy'> & { readonly name: Name }

/** Answers about owners as a transaction sees them, and what it has against them. */
export class Claims {
  /** Names whose ownership passes, by the package that had them. */
  readonly taken: Map<string, Set<Name>> = new Map()
  readonly #owners: Owners
  readonly #problems: Problems
  /** The packages that are merged, and those that they replace: their older versions are one. */
  readonly #own: ReadonlySet<string>

  constructor(owners: Owners, own: ReadonlySet<string>, problems: Problems) {
    this.#owners = owners
    this.#own = own
    this.#problems = problems
  }

  /** By the name as the image has it, and by where it leads: either may be what a record says. */
  ownersOf(name: Name, liveName: Name): readonly string[] {
    const owners = this.#owners.of(name)
    return name === liveName ? owners : [...new Set([...owners, ...this.#owners.of(liveName)])]
  }

  /** Those owners whose packages stay as they are. */
  othersOf(owners: readonly string[]): readonly string[] {
    return owners.filter((owner) => !this.#own.has(owner))
  }

  /** Whether nobody else owns a name. */
  isOursAlone(name: Name, liveName: Name): boolean {
    return this.othersOf(this.ownersOf(name, liveName)).length === 0
  }

  /**
   * Whether another package has a name as something else than a directory, whatever is there now.
   *
   * Those who have a name together have one object there, so the first of them tells.
   */
  isOthersLeaf(name: Name, liveName: Name): boolean {
    const [owner] = this.othersOf(this.ownersOf(name, liveName))
    if (owner === undefined) return false
    const recorded = this.#owners.record(owner)?.entries.find((each) => each.name === name || each.name === liveName)
    return recorded !== undefined && recorded.type !== 'directory'
  }

  /** The owner as the decision table has it. */
  ownerOf(owners: readonly string[]): Owner {
    if (this.othersOf(owners).length > 0) return 'another'
    return owners.length > 0 ? 'self' : 'nobody'
  }

  /** Something that speaks against the merge. */
  collide({ name, ...claimed }: Claimed, remedy: string, owners: readonly string[]): void {
    this.#problems.collide({ name: displayName(name), ...claimed, owners: this.othersOf(owners), remedy })
  }

  /** A name that the decision table refuses, with what would resolve it. */
  refuse(claimed: Claimed, action: Action, owners: readonly string[]): void {
    this.collide(claimed, remedyOf(action, this.othersOf(owners)), owners)
  }

  /** Names that others own, and that are a new package's from now on. */
  take(names: readonly Name[], owners: readonly string[]): void {
    for (const owner of this.othersOf(owners)) {
      const taken = this.taken.get(owner) ?? new Set()
      for (const name of names) taken.add(name)
      this.taken.set(owner, taken)
    }
  }
}

/** What would resolve a collision. */
export const remedies: Readonly<Record<'share' | 'notEmpty' | 'unowned', string>> = {
  share: 'the same object: share it with --share-identical',
  notEmpty: 'a directory is replaced only where it goes with its own old version and becomes empty',
  unowned: 'move it away, or keep a backup of it with --collisions replace-unowned: no package owns it',
}

/** What would resolve the collision that an action is. @param owners  packages that stay as they are */
function remedyOf(action: Action, owners: readonly string[]): string {
  if (action === 'share') return remedies.share
  if (owners.length === 0) return remedies.unowned
  const manager = owners.map(managerOf).find((found) => found !== undefined)
  if (manager !== undefined) return `remove it with ${manager} and import again, or take it with --collision-ignore`
  const all = owners.length > 1 ? 'them' : 'it'
  return `unmerge ${owners.join(', ')}, name ${all} in --replaces, or take it with --collision-ignore`
}

/** What a collision is about. */
export function claimOf(entry: EntryObject, live: Stat | undefined): Claimed {
  return { name: entry.name, live: live?.type ?? 'nothing', image: entry.type }
}
