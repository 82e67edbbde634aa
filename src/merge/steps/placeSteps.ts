// Steps that give a staged object its name: a free one, or a live object's.

import { describeLoss, type Place, setFinalFlags, withDescriptor } from '../../movefile/index.ts'
import {
  isSyscallError,
  joinName,
  type Kernel,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  RESOLVE_BENEATH,
  RESOLVE_NO_SYMLINKS,
  type Stat,
} from '../../sys/index.ts'
import { RootChangedError } from '../errors.ts'
import { identityOf } from '../identity.ts'
import type { Privileges } from '../privileges.ts'
import { removeListed } from '../removal.ts'
import { removeDisplaced } from './displaced.ts'
import { asidePlace, livePlace, putBack, renameToFree, stagedPlace, tryExchange } from './renaming.ts'
import type { PlaceStep, ReplaceStep, StepContext, StepKind, Whereabouts } from './step.ts'
import { takeDirectoryBack } from './takenDirectory.ts'

/** The step that places an object under a free name. */
export const place: StepKind<PlaceStep> = {
  apply: (context, step) => renameToFree(context.kernel, stagedPlace(context, step), livePlace(context, step)),
  undo: takeAway,
  where: whereIsStaged,
  cleanUp: (context, step) => {
    finish(context, step)
    removeSecondName(context, step)
  },
}

/** The step that places an object under a live one's name. */
export const replace: StepKind<ReplaceStep> = {
  apply: (context, step) => {
    if (isHalfDone(context, step) || !tryExchange(context, step)) replaceByTwo(context, step)
  },
  undo: exchangeBack,
  where: whereIsStaged,
  cleanUp: (context, step) => {
    finish(context, step)
    removeSecondName(context, step)
    removeDisplaced(context, step)
  },
}

/** Whether a replacement in two renames was interrupted between them. */
function isHalfDone(context: StepContext, step: ReplaceStep): boolean {
  if (!context.isRecovering) return false
  const aside = asidePlace(context, step)
  return context.kernel.findat(aside.directory, aside.name) !== undefined
}

function whereIsStaged(context: StepContext, step: PlaceStep | ReplaceStep): Whereabouts {
  if (isStaged(context.kernel, livePlace(context, step), step)) return 'after'
  return isStaged(context.kernel, stagedPlace(context, step), step) ? 'before' : 'foreign'
}

function isStaged(kernel: Kernel, { directory, name }: Place, { identity }: PlaceStep | ReplaceStep): boolean {
  return identityOf(kernel, directory, name) === identity
}

/** Others may have put files into a directory since it has its name: it keeps that name, and them. */
function takeAway(context: StepContext, step: PlaceStep): void {
  const { kernel } = context
  const live = livePlace(context, step)
  const members = context.membersOf(step.staging, 'staged')
  const isLive = isStaged(kernel, live, step)
  if (members !== undefined && step.isTaken === true) return takeDirectoryBack(context, step, members, isLive)
  if (!isLive) return
  if (members !== undefined && step.stagingDirectory === undefined) {
    removeListed(context, context.directory(step.directory), step.name, members)
    return
  }
  renameBack(context, step, live)
}

/** The staged object loses its live name; both names are there after a link that stands for a rename. */
function renameBack(context: StepContext, step: PlaceStep | ReplaceStep, live: Place): void {
  const { kernel } = context
  const staged = stagedPlace(context, step)
  if (isStaged(kernel, staged, step)) kernel.unlinkat(live.directory, live.name)
  else renameToFree(kernel, live, staged)
}

/**
 * Where two names cannot be exchanged: the old object gets another name, the new one its name. Between files a link
 * comes first, so that the name is never missing. Goes on where it was interrupted.
 */
function replaceByTwo(context: StepContext, step: ReplaceStep): void {
  const { kernel } = context
  const [live, staged, aside] = [livePlace(context, step), stagedPlace(context, step), asidePlace(context, step)]
  if (kernel.findat(aside.directory, aside.name) === undefined) {
    const isLinked = areFiles(kernel, live, staged) && tryLink(kernel, live, aside)
    if (!isLinked) kernel.renameat(live.directory, live.name, aside.directory, aside.name)
  }
  const now = kernel.findat(live.directory, live.name)
  if (now === undefined) return renameToFree(kernel, staged, live)
  if (now.ino !== kernel.statat(aside.directory, aside.name).ino) {
    throw new RootChangedError(joinName(context.directory(step.directory).name, step.name), 'became another object')
  }
  kernel.renameat(staged.directory, staged.name, live.directory, live.name)
}

function areFiles(kernel: Kernel, ...places: Place[]): boolean {
  return places.every(({ directory, name }) => kernel.statat(directory, name).type !== 'directory')
}

/** FAT has no hard links (EPERM); other file systems and modules have reasons of their own to refuse one. */
function tryLink(kernel: Kernel, from: Place, to: Place): boolean {
  try {
    kernel.linkat(from.directory, from.name, to.directory, to.name)
    return true
  } catch (error) {
    if (isSyscallError(error, 'EPERM', 'EOPNOTSUPP', 'EMLINK', 'ENOSYS', 'EACCES')) return false
    throw error
  }
}

/** Whatever the replacement had come to, by one rename, by two, or half of them. */
function exchangeBack(context: StepContext, step: ReplaceStep): void {
  const { kernel } = context
  const live = livePlace(context, step)
  const staged = stagedPlace(context, step)
  const aside = asidePlace(context, step)
  const isPlaced = isStaged(kernel, live, step)
  const inStaging = kernel.findat(staged.directory, staged.name)
  if (inStaging !== undefined && !isStaged(kernel, staged, step)) {
    if (isPlaced && tryExchange(context, step)) return
    if (isPlaced) renameToFree(kernel, live, aside)
    return putBack(context, staged, step)
  }
  const old = kernel.findat(aside.directory, aside.name)
  if (old !== undefined) return undoByTwo(context, step, { isPlaced, aside, old })
  if (isPlaced) context.leftOver(joinName(context.directory(step.directory).name, step.name), 'its old object is gone')
}

function undoByTwo(
  context: StepContext,
  step: ReplaceStep,
  { isPlaced, aside, old }: { isPlaced: boolean; aside: Place; old: Stat },
): void {
  const { kernel } = context
  const live = livePlace(context, step)
  if (isPlaced && areFiles(kernel, live, aside)) {
    return kernel.renameat(aside.directory, aside.name, live.directory, live.name)
  }
  if (isPlaced) renameBack(context, step, live)
  // Linked, and not yet replaced: rename(2) leaves both names of one inode.
  else if (kernel.findat(live.directory, live.name)?.ino === old.ino) {
    return kernel.unlinkat(aside.directory, aside.name)
  }
  putBack(context, aside, step)
}

/** After `final`: what was taken off while the object was kept, then the flags that forbid renaming. */
function finish(context: StepContext, step: PlaceStep | ReplaceStep): void {
  const { finalFlags, restores } = step
  if (finalFlags === undefined && restores === undefined) return
  const parent = context.findDirectory(step.directory)
  if (parent === undefined || !isStaged(context.kernel, { directory: parent.fd, name: step.name }, step)) return
  const live = { directory: parent.fd, name: step.name }
  const full = joinName(parent.name, step.name)
  for (const each of restores ?? []) {
    try {
      restorePrivileges(context, live, each)
    } catch (error) {
      if (!isSyscallError(error)) throw error
      context.leftOver(joinName(full, each.name), `lacks its mode or its capability: ${error.message}`)
    }
  }
  for (const loss of setFinalFlags(context.kernel, live, finalFlags ?? [])) {
    context.leftOver(loss.path === undefined ? full : joinName(full, loss.path), `lacks a flag: ${describeLoss(loss)}`)
  }
}

/** The object has its name by now and others may write around it: no symlink is followed. */
function restorePrivileges({ kernel }: StepContext, live: Place, { name, mode, capability }: Privileges): void {
  const resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS
  const path = name === '' ? live.name : joinName(live.name, name)
  const fd = kernel.openat2(live.directory, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, resolve)
  withDescriptor(kernel, fd, () => {
    if (kernel.fstat(fd).mode !== mode) kernel.fchmod(fd, mode)
    if (capability !== undefined) kernel.setXattr(fd, 'security.capability', Buffer.from(capability, 'base64'))
  })
}

/** A link that stood for a rename, and that a death left with two names. */
function removeSecondName(context: StepContext, step: PlaceStep | ReplaceStep): void {
  if (!context.isRecovering) return
  const parent = context.findDirectory(step.stagingDirectory ?? step.directory)
  if (parent === undefined || !isStaged(context.kernel, { directory: parent.fd, name: step.staging }, step)) return
  context.kernel.unlinkat(parent.fd, step.staging)
}
