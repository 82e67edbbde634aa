// Hard-link groups of which some names are gone.

import type { Name } from '../sys/index.ts'

/** The part of an entry that this is about. */
interface Linked {
  readonly name: Name
  /** The name of an earlier entry that is the same inode. */
  readonly linkTo?: Name
}

/** The entries that are not gone, in their order; hard links point to the first name of their group that is left. */
export function* withoutGone<T extends Linked>(entries: Iterable<T>, isGone: (entry: T) => boolean): Generator<T> {
  const gone = new Set<Name>()
  const newFirst = new Map<Name, Name>()
  for (const entry of entries) {
    const { linkTo } = entry
    if (isGone(entry)) gone.add(entry.name)
    else if (linkTo === undefined || !gone.has(linkTo)) yield entry
    else {
      const first = newFirst.get(linkTo)
      if (first === undefined) newFirst.set(linkTo, entry.name)
      yield first === undefined ? withoutLink(entry) : { ...entry, linkTo: first }
    }
  }
}

/** An entry that is no other's second name. */
export function withoutLink<T extends Linked>(entry: T): T {
  const { linkTo: _, ...alone } = entry
  return alone as T
}
