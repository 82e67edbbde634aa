// What can go wrong with a transaction as such: somebody else is at the root, or has changed it.

import { displayName } from '../sys/bytes.ts'
import { type ErrorDetails, RootmergeError } from '../sys/errors.ts'
import type { Name } from '../sys/index.ts'

/** Another process is changing the root. */
export class LockedError extends RootmergeError {
  readonly code = 'ERR_ROOTMERGE_LOCKED'
  /** Who holds the lock, as it wrote itself down; may be out of date by a moment. */
  readonly holder: string

  constructor(root: Name, holder: string) {
    super(`${displayName(root)} is being changed by ${holder}`, {
      hint: 'Wait for it to end, or give --lock-wait SECONDS.',
    })
    this.holder = holder
  }
}

/** What was going on when a root changed, and what became of it. */
export interface Disturbed {
  readonly doing: string
  readonly outcome: string
}

const theMerge: Disturbed = { doing: 'the merge was running', outcome: 'The merge was undone.' }

/** Somebody else changed the root while it was being merged into, and the merge was undone; or while it was verified. */
export class RootChangedError extends RootmergeError {
  readonly code = 'ERR_ROOTMERGE_ROOT_CHANGED'
  readonly path: string

  constructor(path: Name, reason: string, { doing, outcome }: Disturbed = theMerge) {
    super(`'${displayName(path)}' ${reason} while ${doing}`, {
      hint: `${outcome} Run it again when the root is quiet.`,
    })
    this.path = displayName(path)
  }
}

/** A name that stands against undoing a transaction, and why. */
export interface Obstacle {
  /** Escaped for reading. */
  readonly name: string
  readonly reason: string
}

/** A transaction cannot be undone any more, since the root is not as it left it: every reason is listed. */
export class CannotUndoError extends RootmergeError {
  readonly code = 'ERR_ROOTMERGE_CANNOT_UNDO'
  readonly obstacles: readonly Obstacle[]

  constructor(id: string, obstacles: readonly Obstacle[]) {
    const lines = obstacles.map(({ name, reason }) => `  ${name}: ${reason}`)
    super(`transaction ${id} cannot be undone, the root was changed since:\n${lines.join('\n')}`, {
      hint: 'Nothing was changed. Undo later transactions first, or merge the older version again.',
    })
    this.obstacles = obstacles
  }
}

/** What is mounted where a transaction needs a file system: nothing, another one, or another one over its directory. */
export type WrongMount = 'nothing' | 'another' | 'covering'

/** A directory that a transaction was changing cannot be reached: its file system is not mounted, or another one hides it. */
export class NotMountedError extends RootmergeError {
  readonly code = 'ERR_ROOTMERGE_NOT_MOUNTED'
  /** The mount point, escaped for reading. */
  readonly mount: string

  constructor(mount: Name, directory: Name, now: WrongMount = 'nothing') {
    const [point, changed] = [displayName(mount), displayName(directory)]
    const messages: Readonly<Record<WrongMount, string>> = {
      nothing: `nothing is mounted on ${point}, where the transaction changed '${changed}'`,
      another: `another file system is mounted on ${point} than when the transaction changed '${changed}'`,
      covering: `another file system is mounted on ${point}, over '${changed}', which the transaction changed`,
    }
    super(messages[now], {
      hint: `${now === 'covering' ? 'Unmount it' : 'Mount it as it was'}, then run: rootmerge recover`,
    })
    this.mount = point
  }
}

/** A transaction could be neither finished nor undone now; the next run goes on with it. */
export class RecoveryPendingError extends RootmergeError {
  readonly code = 'ERR_ROOTMERGE_RECOVERY_PENDING'

  constructor(root: Name, reason: string, details: ErrorDetails = {}) {
    super(`${displayName(root)} has a transaction that is not over: ${reason}`, {
      hint: `Run: rootmerge recover --root ${displayName(root)}`,
      ...details,
    })
  }
}

/** A root says that its state is another one than the one at hand: nothing is done with it. */
export class StateMissingError extends RootmergeError {
  readonly code = 'ERR_ROOTMERGE_STATE_MISSING'
  /** Where the root says that its state is, escaped for reading. */
  readonly state: string

  constructor(root: Name, { marked, given }: { marked: Name; given: Name }) {
    const isThere = marked === given ? 'which is not there' : `not in '${displayName(given)}'`
    super(`${displayName(root)} is marked as having its state in '${displayName(marked)}', ${isThere}`, {
      hint:
        marked === given
          ? 'Mount the file system that it is on. If it is lost for good, take the mark off: setfattr -x user.rootmerge ROOT'
          : `Give --state ${displayName(marked)}.`,
    })
    this.state = displayName(marked)
  }
}

/** Names of an image lie in a root of its own, whose records would not know of them. */
export class NestedRootError extends RootmergeError {
  readonly code = 'ERR_ROOTMERGE_NESTED_ROOT'
  /** The other root, escaped for reading. */
  readonly root: string

  constructor(name: Name, root: Name) {
    super(`'${displayName(name)}' lies in ${displayName(root)}, which is a root of its own`, {
      hint: 'Nothing was changed. Merge into that root, or give --into-other-roots.',
    })
    this.root = displayName(root)
  }
}
