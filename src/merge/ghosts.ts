// What packages own without bringing it (rpm's %ghost): nothing is made or replaced, but the names are claimed.

import { baseName, displayName, joinName, type Name, parentName } from '../sys/index.ts'
import { claimOf } from './claims.ts'
import type { RecordedEntry } from './entry.ts'
import { UnsafeEntryError } from './errors.ts'
import type { PackageImage } from './plan.ts'
import type { Planning } from './planning.ts'

/**
 * Claims the ghosts of some images, all of whose entries are planned: another package's name, or one that another
 * image of the call brings, is a collision.
 *
 * @returns the live names, which stay although an older version may have brought them
 */
export function claimGhosts(planning: Planning, images: readonly PackageImage[]): ReadonlySet<Name> {
  const live = new Set<Name>()
  for (const from of images)
    for (const ghost of from.ghosts) for (const name of claim(planning, from, ghost)) live.add(name)
  return live
}

/** @returns its live name, and as records spell that where its directory folds case */
function claim(planning: Planning, from: PackageImage, ghost: RecordedEntry): readonly Name[] {
  const { claims, mayTake, names, problems, root, isState, spellings } = planning
  const { name, type } = ghost
  const liveName = joinName(root.findDirectory(parentName(name))?.name ?? parentName(name), baseName(name))
  if (isState(liveName)) problems.add(new UnsafeEntryError(name, 'lies in the state directory'))
  const live = [liveName, ...spellings.ofName(liveName)]
  if (type === 'directory') return live // directories are everybody's
  const owners = [...new Set(live.flatMap((each) => claims.ownersOf(name, each)))]
  const claimed = claimOf(ghost, root.find(liveName))
  if (mayTake(name)) claims.take([name, ...live], owners)
  else if (claims.othersOf(owners).length > 0) claims.refuse(claimed, 'refuse', owners)
  const planned = names.find(liveName)
  if (planned !== undefined && planned.from !== from) {
    const other = `'${displayName(planned.entry.name)}' of ${planned.from.packageName}`
    claims.collide({ ...claimed, isTwin: true }, `is one name with ${other}: leave one of them out`, [])
  }
  return live
}

/** What is recorded of a package: directories come before what is in them. */
export function* withGhosts(
  recorded: Iterable<RecordedEntry>,
  ghosts: readonly RecordedEntry[],
): Generator<RecordedEntry> {
  const isDirectory = ({ type }: RecordedEntry) => type === 'directory'
  yield* ghosts.filter(isDirectory)
  yield* recorded
  yield* ghosts.filter((ghost) => !isDirectory(ghost))
}
