// Which triggers a transaction touches: the caller names patterns, and runs what they stand for.

import type { Triggers } from './options.ts'
import { nameMatcher } from './ownership.ts'
import { type Changes, entriesOf } from './plan.ts'
import { changedNames, changing } from './removalSteps.ts'

/** The names of the triggers one of whose patterns matches a name that changes, in the order in which they were given. */
export function triggeredBy(plan: Changes, triggers: Triggers = {}): string[] {
  const open = Object.entries(triggers).map(([name, patterns]) => ({
    name,
    matches: nameMatcher(patterns),
    isHit: false,
  }))
  const touch = (name: string) => {
    for (const trigger of open) trigger.isHit ||= trigger.matches(name)
  }
  if (open.length === 0) return []
  for (const name of changedNames(plan)) touch(name)
  for (const { entry, fate, liveName } of entriesOf(plan))
    if (changing.has(fate) && entry.name !== liveName) touch(entry.name) // behind a symlink
  return open.filter(({ isHit }) => isHit).map(({ name }) => name)
}
