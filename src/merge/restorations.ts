// Objects of nobody that packages had replaced, and that have their names again when these are free.

import { baseName, displayName, joinName, type Name, parentName } from '../sys/index.ts'
import { type Backup, findBackup, listBackups, restoreStep } from './backups.ts'
import type { Kept, Removal } from './obsolete.ts'
import type { Root } from './root.ts'
import type { StagingArea } from './stagingArea.ts'
import type { State } from './state.ts'
import type { StagedStep } from './transaction.ts'

/** What a plan makes of names that objects of nobody may have had. */
export interface Freeing {
  readonly removals: readonly Removal[]
  readonly kept: readonly Kept[]
  /** Names of what packages took away without having anything there themselves. */
  readonly freed: readonly Name[]
}

/** What gets its name back when obsolete names go, or are gone already. A directory's name is free too late for that. */
export function findRestorations(state: State, { removals, kept, freed }: Freeing): Backup[] {
  const backups = unownedBackups(state)
  if (backups.size === 0) return []
  const free = [
    ...removals
      .filter(({ live, isUnowned }) => live.type !== 'directory' && !isUnowned)
      .map(({ liveName }) => liveName),
    ...kept.filter(({ reason }) => reason === 'missing').map(({ entry }) => liveNameOf(state.root, entry.name)),
    ...freed.filter((name) => isFree(state.root, name)),
  ]
  return free.map((name) => name !== undefined && backups.get(name)).filter((backup) => typeof backup === 'object')
}

/** Whether nothing has a name, in a directory that is there. */
function isFree(root: Root, name: Name): boolean {
  return root.findDirectory(parentName(name))?.name === parentName(name) && root.find(name) === undefined
}

function liveNameOf(root: Root, name: Name): Name | undefined {
  const parent = root.findDirectory(parentName(name))
  return parent && joinName(parent.name, baseName(name))
}

/** The oldest of each name: what was there before any package. */
function unownedBackups(state: State): ReadonlyMap<Name, Backup> {
  const found = new Map<Name, Backup>()
  for (const { header, steps } of listBackups(state)) {
    for (const step of steps) {
      const backup = step.isUnowned && !found.has(step.name) ? findBackup(state, header.id, step) : undefined
      if (backup !== undefined) found.set(step.name, backup)
    }
  }
  return found
}

/** Where restoring takes from, and puts to. */
export function directoriesOfRestorations(restorations: readonly Backup[]): Name[] {
  return restorations.flatMap(({ directory, kept }) => [directory, parentName(kept.name)])
}

/** The steps that come after the removals that make names free. */
export function restorationSteps(area: StagingArea, restorations: readonly Backup[]): StagedStep[] {
  return restorations.map((backup) => ({ step: restoreStep(area, backup) }))
}

/** Their names, for a report. */
export function restoredNames({ restorations }: { readonly restorations: readonly Backup[] }): string[] {
  return restorations.map(({ kept }) => displayName(kept.name))
}
