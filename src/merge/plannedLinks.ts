// Symlinks in the way of a plan: where those of an earlier image will lead, and which one an older version left.

import { baseName, joinName, type Name, parentName } from '../sys/index.ts'
import type { PlannedEntry } from './plan.ts'
import type { PlannedNames } from './plannedNames.ts'
import type { Planning } from './planning.ts'
import type { Root } from './root.ts'

/** As the kernel's MAXSYMLINKS. */
const symlinksFollowed = 40

/** The live name of the directory that a planned symlink will lead to, inside the root; undefined when it leads to none. */
export function directoryBehind(link: PlannedEntry, names: PlannedNames, root: Root): Name | undefined {
  let followed = 0
  const enter = (from: Name, path: Name): Name | undefined => {
    let at: Name | undefined = path.startsWith('/') ? '' : from
    for (const component of path.split('/')) {
      if (at === undefined) return undefined
      if (component === '..') at = parentName(at)
      else if (component !== '' && component !== '.') at = step(joinName(at, component))
    }
    return at
  }
  const step = (name: Name): Name | undefined => {
    const planned = names.find(name)
    if (planned === undefined) return root.findDirectory(name)?.name
    if (planned.entry.type === 'directory') return planned.liveName
    return follow(planned)
  }
  const follow = ({ entry, liveName }: PlannedEntry): Name | undefined =>
    entry.target === undefined || ++followed > symlinksFollowed ? undefined : enter(parentName(liveName), entry.target)
  return follow(link)
}

/** Whether a symlink is the older version's, unchanged: what the new version has there replaces it. */
export function isOwnLink(
  { claims, recorded, root }: Pick<Planning, 'claims' | 'recorded' | 'root'>,
  liveName: Name,
): boolean {
  const before = recorded.get(liveName)?.entry
  if (before?.type !== 'symlink' || !claims.isOursAlone(liveName, liveName)) return false
  const { fd } = root.directory(parentName(liveName))
  return root.kernel.readlinkat(fd, baseName(liveName)) === before.target
}
