// The steps of names that go, and the live directories that a plan changes something in.

import { baseName, type Name, nameBytes, parentName } from '../sys/index.ts'
import type { KeptInodes } from './keptInodes.ts'
import type { Removal } from './obsolete.ts'
import { type Changes, entriesOf, type Fate } from './plan.ts'
import { directoriesOfRestorations, restorationSteps } from './restorations.ts'
import type { StagingArea } from './stagingArea.ts'
import type { StagedStep } from './transaction.ts'

/** Names that go: objects aside, then (with the clean-up) directories that may be empty by then, the innermost first. */
export function removalSteps(
  plan: Pick<Changes, 'removals' | 'restorations'>,
  area: StagingArea,
  kept: KeptInodes,
): StagedStep[] {
  const at = (liveName: Name) => ({
    phase: 'payload' as const,
    directory: area.numberOf(parentName(liveName)),
    name: baseName(liveName),
  })
  const removals = plan.removals.toReversed()
  const objects = removals.filter((removal) => !goesWhenEmpty(removal))
  const directories = removals.filter(goesWhenEmpty)
  return [
    ...objects.map(({ liveName, live, isUnowned, members }) => ({
      step: {
        kind: 'remove' as const,
        ...at(liveName),
        staging: area.newName(),
        ...(kept.has(live, members) ? { keepsSetId: true } : {}),
      },
      displaced: live,
      ...(members && { members }),
      ...(isUnowned && { isUnowned }),
    })),
    ...restorationSteps(area, plan.restorations),
    ...directories.map(({ liveName }) => ({ step: { kind: 'removeDirectory' as const, ...at(liveName) } })),
  ]
}

/** Whether a name is a directory's that stays while something is in it. */
export function goesWhenEmpty({ live, members }: Removal): boolean {
  return live.type === 'directory' && members === undefined
}

/** Fates that change the root. */
export const changing: ReadonlySet<Fate> = new Set(['place', 'refresh', 'setAside', 'newDirectory', 'changeDirectory'])

/** Every name that a plan places, replaces, changes, saves something under, removes or gives back. */
export function* changedNames({ packages, removals, restorations, config }: Changes): Generator<Name> {
  for (const planned of entriesOf({ packages })) if (changing.has(planned.fate)) yield planned.liveName
  for (const { to } of config.saves) yield to
  for (const { liveName } of removals) yield liveName
  const removed = new Set(restorations.length > 0 ? removals.map(({ liveName }) => liveName) : [])
  for (const { kept } of restorations) if (!removed.has(kept.name)) yield kept.name
}

/** Names one after the other, each ended by a NUL. */
export function endedNames(names: Iterable<Name>): Uint8Array {
  let ended = ''
  for (const name of names) ended += `${name}\0`
  return nameBytes(ended)
}

/** Every live directory that a plan changes something in. */
export function directoriesOf(plan: Pick<Changes, 'packages' | 'removals' | 'restorations' | 'config'>): Set<Name> {
  const names = new Set<Name>()
  for (const planned of entriesOf(plan)) {
    if (!planned.isInNewDirectory && changing.has(planned.fate)) names.add(parentName(planned.liveName))
  }
  for (const { liveName } of plan.removals) names.add(parentName(liveName))
  for (const name of directoriesOfRestorations(plan.restorations)) names.add(name)
  for (const { to } of plan.config.saves) names.add(parentName(to))
  return names
}
