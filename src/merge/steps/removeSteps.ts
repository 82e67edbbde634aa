// The step that takes a live object's name away.

import { isSyscallError, RENAME_NOREPLACE } from '../../sys/index.ts'
import { removeDisplaced } from './displaced.ts'
import { livePlace, putBack, stagedPlace } from './renaming.ts'
import type { RemoveStep, StepKind } from './step.ts'

/** The step that sets a live object aside, under a staging name. */
export const remove: StepKind<RemoveStep> = {
  apply: (context, step) => {
    const { kernel } = context
    const live = livePlace(context, step)
    const staged = stagedPlace(context, step)
    try {
      kernel.renameat(live.directory, live.name, staged.directory, staged.name, RENAME_NOREPLACE)
    } catch (error) {
      if (!isSyscallError(error, 'EINVAL', 'ENOSYS', 'EOPNOTSUPP')) throw error
      kernel.renameat(live.directory, live.name, staged.directory, staged.name) // nobody else has a staging name
    }
  },
  undo: (context, step) => {
    const staged = stagedPlace(context, step)
    if (context.kernel.findat(staged.directory, staged.name) !== undefined) putBack(context, staged, step)
  },
  where: (context, step) => {
    const { kernel } = context
    const staged = stagedPlace(context, step)
    if (kernel.findat(staged.directory, staged.name) !== undefined) return 'after'
    const live = livePlace(context, step)
    return kernel.findat(live.directory, live.name) === undefined ? 'foreign' : 'before'
  },
  cleanUp: removeDisplaced,
}
