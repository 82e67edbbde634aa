// Steps about live directories: one that may be empty by now goes, one that is the package's own takes new metadata.

import { withDescriptor } from '../../movefile/index.ts'
import { AT_REMOVEDIR, isSyscallError, joinName, O_DIRECTORY, O_NOFOLLOW, O_RDONLY } from '../../sys/index.ts'
import { RootChangedError } from '../errors.ts'
import type { ChangeDirectoryStep, DirectoryMetadata, RemoveDirectoryStep, StepContext, StepKind } from './step.ts'

/** The step that removes a directory if it is empty: rmdir(2) looks, so nothing that others put there is lost. */
export const removeDirectory: StepKind<RemoveDirectoryStep> = {
  apply: () => {},
  undo: () => {},
  where: () => 'after',
  cleanUp: ({ kernel, findDirectory, leftOver }, { directory: number, name }) => {
    const parent = findDirectory(number)
    if (parent === undefined) return
    try {
      kernel.unlinkat(parent.fd, name, AT_REMOVEDIR)
    } catch (error) {
      // Not empty (EEXIST on some file systems), gone already, or a mount point: it stays, and that is right.
      if (isSyscallError(error, 'ENOTEMPTY', 'EEXIST', 'ENOENT', 'ENOTDIR', 'EBUSY')) return
      if (!isSyscallError(error)) throw error
      leftOver(joinName(parent.name, name), error.message)
    }
  },
}

/** The step that changes a directory's owner and mode. */
export const changeDirectory: StepKind<ChangeDirectoryStep> = {
  apply: (context, step) => {
    if (changeDirectory.where(context, step) === 'foreign') {
      throw new RootChangedError(joinName(context.directory(step.directory).name, step.name), 'was changed')
    }
    setMetadata(context, step, step.after)
  },
  undo: (context, step) => {
    if (changeDirectory.where(context, step) === 'either') setMetadata(context, step, step.before)
  },
  where: ({ kernel, directory }, { directory: number, name, before, after }) => {
    const stat = kernel.findat(directory(number).fd, name)
    const isOurs = (part: keyof DirectoryMetadata) => stat?.[part] === before[part] || stat?.[part] === after[part]
    // It may have stopped between owner and mode: either way, doing it again puts it right.
    return stat?.type === 'directory' && isOurs('uid') && isOurs('gid') && isOurs('mode') ? 'either' : 'foreign'
  },
  cleanUp: () => {},
}

/** Owner first: chown(2) takes set-id bits off. Both by descriptor, and idempotent. */
function setMetadata({ kernel, directory }: StepContext, step: ChangeDirectoryStep, metadata: DirectoryMetadata): void {
  const fd = kernel.openat(directory(step.directory).fd, step.name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
  withDescriptor(kernel, fd, () => {
    const { uid, gid, mode } = kernel.fstat(fd)
    if (uid !== metadata.uid || gid !== metadata.gid) kernel.fchown(fd, metadata.uid, metadata.gid)
    else if (mode === metadata.mode) return
    kernel.fchmod(fd, metadata.mode)
  })
}
