// Directories that go when they are empty: which of them did is known only when a transaction is over.

import { quietly } from '../movefile/index.ts'
import type { Removal } from './obsolete.ts'
import type { Changes } from './plan.ts'
import { goesWhenEmpty } from './removalSteps.ts'
import type { Root } from './root.ts'

/** A plan as it was carried out: the directories that stayed are kept, not removed. */
export function carriedOut<Planned extends Pick<Changes, 'removals' | 'kept'>>(root: Root, plan: Planned): Planned {
  const stayed = new Set(plan.removals.filter((removal) => goesWhenEmpty(removal) && isThere(root, removal)))
  if (stayed.size === 0) return plan
  const kept = Array.from(stayed, (removal) => ({ ...removal, reason: 'not empty' as const }))
  return { ...plan, removals: plan.removals.filter((each) => !stayed.has(each)), kept: plan.kept.concat(kept) }
}

/** What is done has not failed because somebody is in the way of looking. */
function isThere(root: Root, { liveName }: Removal): boolean {
  let found = false
  quietly(() => {
    found = root.find(liveName)?.type === 'directory'
  })
  return found
}
