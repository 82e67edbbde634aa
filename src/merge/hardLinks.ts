// Hard-link groups of which some names are gone, or go elsewhere.

import type { Name } from '../sys/index.ts'

/** The part of an entry that this is about. */
interface Linked {
  readonly name: Name
  /** The name of an earlier entry that is the same inode. */
  readonly linkTo?: Name
}

/** The entries that are not gone, in their order; hard links point to the first name of their group that is left. */
export function* withoutGone<T extends Linked>(entries: Iterable<T>, isGone: (entry: T) => boolean): Generator<T> {
  const groups = new LinkGroups()
  for (const entry of entries) {
    const gone = isGone(entry)
    const relinked = groups.relinked(entry)
    groups.add(entry, gone)
    if (!gone) yield relinked
  }
}

/** An entry that is no other's second name. */
export function withoutLink<T extends Linked>(entry: T): T {
  const { linkTo: _, ...alone } = entry
  return alone as T
}

/** The groups of an image of which some names go elsewhere, as they come. */
export class LinkGroups {
  readonly #elsewhere = new Set<Name>()
  readonly #newFirst = new Map<Name, Name>()

  /** An entry as it is linked to those names of its group that came before it and do not go elsewhere. */
  relinked<T extends Linked>(entry: T): T {
    const { linkTo } = entry
    if (linkTo === undefined || !this.#elsewhere.has(linkTo)) return entry
    const first = this.#newFirst.get(linkTo)
    return first === undefined ? withoutLink(entry) : { ...entry, linkTo: first }
  }

  /** Takes an entry, as the image has it, that goes elsewhere or does not. */
  add({ name, linkTo }: Linked, isElsewhere: boolean): void {
    if (isElsewhere && linkTo === undefined) this.#elsewhere.add(name)
    if (isElsewhere || linkTo === undefined || !this.#elsewhere.has(linkTo) || this.#newFirst.has(linkTo)) return
    this.#newFirst.set(linkTo, name)
  }
}
