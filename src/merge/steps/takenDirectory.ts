// Undoing the place of a directory that holds what was taken out of an image: it goes back under its staging name as a
// whole, to be given back from there; what others put into it meanwhile stays under the live name.

import { withDescriptor } from '../../movefile/index.ts'
import { type Fd, isSyscallError, joinName, type Name, O_DIRECTORY, O_NOFOLLOW, O_RDONLY } from '../../sys/index.ts'
import { identityOf } from '../identity.ts'
import { livePlace, renameToFree, stagedPlace } from './renaming.ts'
import type { PlaceStep, StepContext } from './step.ts'

const directoryFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW

/** What has a directory's live name goes under its staging name; may be done again and again. */
export function takeDirectoryBack(
  context: StepContext,
  step: PlaceStep,
  members: ReadonlyMap<Name, string>,
  isLive: boolean,
): void {
  const { kernel } = context
  const staged = stagedPlace(context, step)
  if (isLive) renameToFree(kernel, livePlace(context, step), staged)
  const isDirectory = kernel.findat(staged.directory, staged.name)?.type === 'directory'
  if (!isDirectory) return
  withDescriptor(kernel, kernel.openat(staged.directory, staged.name, directoryFlags), (fd) =>
    keepForeign(context, { step, members }, fd, ''),
  )
}

interface Keeping {
  readonly step: PlaceStep
  readonly members: ReadonlyMap<Name, string>
}

/** Moves every object that was not listed before the commit to where it was under the live name. */
function keepForeign(context: StepContext, keeping: Keeping, from: Fd, within: Name): void {
  const { kernel } = context
  for (const { name } of kernel.readDirectory(from)) {
    const full = joinName(within, name)
    if (keeping.members.get(full) !== identityOf(kernel, from, name)) {
      keepOne(context, keeping.step, { directory: from, name }, full)
    } else if (kernel.findat(from, name)?.type === 'directory') {
      withDescriptor(kernel, kernel.openat(from, name, directoryFlags), (fd) => keepForeign(context, keeping, fd, full))
    }
  }
}

function keepOne(context: StepContext, step: PlaceStep, foreign: { directory: Fd; name: Name }, full: Name): void {
  const { kernel } = context
  const live = livePlace(context, step)
  const components = [live.name, ...full.split('/')]
  const opened: Fd[] = []
  try {
    let directory = live.directory
    for (const component of components.slice(0, -1)) {
      directory = makeOrOpen(context, directory, component)
      opened.push(directory)
    }
    renameToFree(kernel, foreign, { directory, name: foreign.name })
  } finally {
    for (const fd of opened) kernel.close(fd)
  }
  context.leftOver(
    joinName(joinName(context.directory(step.directory).name, step.name), full),
    'is not of this transaction',
  )
}

function makeOrOpen({ kernel }: StepContext, directory: Fd, name: Name): Fd {
  try {
    kernel.mkdirat(directory, name, 0o755)
  } catch (error) {
    if (!isSyscallError(error, 'EEXIST')) throw error
  }
  return kernel.openat(directory, name, directoryFlags)
}
