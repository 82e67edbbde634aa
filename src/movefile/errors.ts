// What can go wrong with a move beside the system calls themselves.

import { RootmergeError } from '../sys/errors.ts'

/** A name holds another object than the caller, or the move itself, has looked at. Nothing was put in place by it. */
export class SourceReplacedError extends RootmergeError {
  readonly code = 'ERR_ROOTMERGE_SOURCE_REPLACED'

  constructor(path: string, how: string) {
    super(`'${path}' ${how}`, { hint: 'Somebody else changes the same names. Look at it, then move it again.' })
  }
}

/** A name on which something is mounted can neither be replaced nor moved. */
export class MountPointError extends RootmergeError {
  readonly code = 'ERR_ROOTMERGE_MOUNT_POINT'

  constructor(path: string, cause?: unknown) {
    super(`'${path}' is a mount point`, {
      hint: 'Something is mounted on it (containers do this with /etc/resolv.conf): unmount it, or write into it instead.',
      cause,
    })
  }
}

/** A directory can neither become a member of itself nor, when it is copied, its own copy's. */
export class IntoItselfError extends RootmergeError {
  readonly code = 'ERR_ROOTMERGE_INTO_ITSELF'

  constructor(source: string, target: string, cause?: unknown) {
    super(`'${source}' cannot go to '${target}', which is inside of it`, {
      hint: 'Name a target outside of the directory.',
      cause,
    })
  }
}

/** The target is in place, complete; the source could not be removed, so both are there. */
export class SourceNotRemovedError extends RootmergeError {
  readonly code = 'ERR_ROOTMERGE_SOURCE_NOT_REMOVED'

  constructor(source: string, target: string, cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    super(`'${target}' is in place, but '${source}' could not be removed: ${reason}`, {
      hint: 'The target is complete. Remove the source by hand when the reason is gone.',
      cause,
    })
  }
}

/** Somebody removes staging names as fast as they are made. */
export class StagingTakenError extends RootmergeError {
  readonly code = 'ERR_ROOTMERGE_STAGING_TAKEN'

  constructor(target: string) {
    super(`what was staged for '${target}' was removed by another process, several times`, {
      hint: 'Something removes names that begin with .rootmerge- in that directory.',
    })
  }
}

/** The move is done, but writing it to the disk failed: a power cut now could take it back, or leave both names. */
export class NotDurableError extends RootmergeError {
  readonly code = 'ERR_ROOTMERGE_NOT_DURABLE'

  constructor(target: string, cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    super(`'${target}' is in place, but the disk may not have it: ${reason}`, {
      hint: 'The disk reports errors. What was not removed yet is still under the old name.',
      cause,
    })
  }
}
