// Objects of nobody that a package took away: remembered by name, so that they come back when it no longer does.

import { baseName, joinName, type Name, parentName } from '../sys/index.ts'
import type { Removal } from './obsolete.ts'
import type { PackageImage } from './plan.ts'
import type { Planning } from './planning.ts'
import type { Root } from './root.ts'

/** What is remembered after a merge. */
export interface ErasedNames {
  /** By package, live names that are away: to be recorded. */
  readonly recorded: ReadonlyMap<string, readonly Name[]>
  /** Names that an older version took away, and that are free from now on. */
  readonly freed: readonly Name[]
}

/** Sorts what images take away now, and what their older versions (`before`) took away. */
export function rememberErased(
  { names, root }: Planning,
  images: readonly PackageImage[],
  { removals, before }: { readonly removals: readonly Removal[]; readonly before: readonly Name[] },
): ErasedNames {
  const recorded = new Map<string, Name[]>(images.map(({ packageName }) => [packageName, []]))
  for (const { isUnowned, liveName, packageName } of removals) if (isUnowned) recorded.get(packageName)?.push(liveName)
  const takers = before.length === 0 ? [] : images.map((image) => ({ ...image, takes: takenAway(root, image) }))
  const freed: Name[] = []
  for (const name of before) {
    const taker = takers.find(({ takes }) => takes(name))
    if (taker !== undefined) recorded.get(taker.packageName)?.push(name)
    else if (!names.covers(name)) freed.push(name)
  }
  return { recorded, freed }
}

/** Whether an image takes away what may have a live name. */
function takenAway(root: Root, { whiteouts }: PackageImage): (name: Name) => boolean {
  if (whiteouts === undefined) return () => false
  const live = (name: Name) => joinName(root.findDirectory(parentName(name))?.name ?? parentName(name), baseName(name))
  const names = new Set([...whiteouts.names].map(live))
  const opaque = new Set([...whiteouts.opaque].map((name) => root.findDirectory(name)?.name ?? name))
  return (name) => {
    for (let at = name; at !== ''; at = parentName(at)) if (names.has(at) || opaque.has(parentName(at))) return true
    return false
  }
}
