// What can go wrong with a merge. After any of these but RecoveryPendingError the root is as it was before.

import { displayName } from '../sys/bytes.ts'
import { RootmergeError } from '../sys/errors.ts'
import type { Name } from '../sys/index.ts'
import { ConflictMarkersError, NoUpdateError } from './config/configErrors.ts'
import {
  CannotUndoError,
  LockedError,
  NestedRootError,
  NotMountedError,
  RecoveryPendingError,
  RootChangedError,
  StateMissingError,
} from './transactionErrors.ts'

export * from './transactionErrors.ts'

/** One claim that stands against a merge. */
export interface Collision {
  /** The name, escaped for reading. */
  readonly name: string
  /** What is there now. */
  readonly live: string
  /** What the image brings. */
  readonly image: string
  /** The packages that own the live object; empty when nobody does. */
  readonly owners: readonly string[]
  /** What would resolve it. */
  readonly remedy: string
  /** What has the name is another entry of the same call, not a live object. */
  readonly isTwin?: true
}

/** Names of the image are taken: all of them are listed. */
export class CollisionError extends RootmergeError {
  readonly code = 'ERR_ROOTMERGE_COLLISION'
  readonly collisions: readonly Collision[]

  constructor(packageName: string, collisions: readonly Collision[]) {
    const lines = collisions.map(({ name, live, owners, remedy, isTwin }) =>
      isTwin ? `  ${name} ${remedy}` : `  ${name}: ${live} of ${owners.join(', ') || 'nobody'} (${remedy})`,
    )
    const names = collisions.length === 1 ? '1 name is' : `${collisions.length} names are`
    super(`${packageName}: ${names} taken:\n${lines.join('\n')}`, {
      hint: 'Nothing was changed. Resolve each name as it says, then merge again.',
    })
    this.collisions = collisions
  }
}

/** Several things of different kinds speak against a merge: all of them are listed. */
export class RefusedError extends RootmergeError {
  readonly code = 'ERR_ROOTMERGE_REFUSED'
  /** One error for each. */
  readonly reasons: readonly Error[]

  constructor(what: string, reasons: readonly Error[]) {
    const indented = reasons.map(({ message }) => `  ${message.replaceAll('\n', '\n  ')}`)
    super(`${what}: ${reasons.length} things are in the way:\n${indented.join('\n')}`, { hint: 'Nothing was changed.' })
    this.reasons = reasons
  }
}

/** The caller was shown the plan, and said no. */
export class NotApprovedError extends RootmergeError {
  readonly code = 'ERR_ROOTMERGE_NOT_APPROVED'

  constructor() {
    super('the plan was not approved', { hint: 'Nothing was changed.' })
  }
}

/** A file system has not enough room for what is to be staged on it. */
export class NoSpaceError extends RootmergeError {
  readonly code = 'ERR_ROOTMERGE_NO_SPACE'
  /** A directory on the file system. */
  readonly path: string
  /** Bytes and inodes that are wanting; undefined where it was only seen when the kernel refused. */
  readonly missingBytes: number | undefined
  readonly missingInodes: number | undefined

  constructor(path: Name, missing: { bytes?: number; inodes?: number; cause?: unknown }) {
    const { bytes = 0, inodes = 0, cause } = missing
    const wanting = [bytes > 0 && `${bytes} bytes`, inodes > 0 && `${inodes} inodes`].filter(Boolean).join(' and ')
    const because = cause instanceof Error ? ` (${cause.message})` : ''
    super(`no space for '${displayName(path)}'${wanting === '' ? '' : `: ${wanting} are missing`}${because}`, {
      hint: 'Nothing was changed. Make room on that file system.',
      cause,
    })
    this.path = displayName(path)
    this.missingBytes = missing.bytes
    this.missingInodes = missing.inodes
  }
}

/** Objects that the merge has to rename or change are immutable or append-only. */
export class ImmutableError extends RootmergeError {
  readonly code = 'ERR_ROOTMERGE_IMMUTABLE'
  /** Escaped for reading. */
  readonly paths: readonly string[]

  constructor(paths: readonly Name[]) {
    const shown = paths.map(displayName)
    super(`immutable or append-only: ${shown.join(', ')}`, {
      hint: 'Nothing was changed. `chattr -i -a` takes the flags off.',
    })
    this.paths = shown
  }
}

/** An image holds an entry that no root may receive. */
export class UnsafeEntryError extends RootmergeError {
  readonly code = 'ERR_ROOTMERGE_UNSAFE_ENTRY'
  readonly entry: string

  constructor(entry: Name, reason: string) {
    super(`unsafe entry '${displayName(entry)}': ${reason}`, { hint: 'Nothing was changed.' })
    this.entry = displayName(entry)
  }
}

/** A name leads out of the root, or through a symlink that nobody may be led by. */
export class EscapesRootError extends RootmergeError {
  readonly code = 'ERR_ROOTMERGE_ESCAPES_ROOT'
  readonly path: string

  constructor(path: Name, reason: string) {
    super(`'${displayName(path)}' ${reason}`)
    this.path = displayName(path)
  }
}

/** Where an image is wrong, and why. */
export interface CorruptPlace {
  /** Bytes, in the decompressed archive. */
  readonly offset?: number
  readonly entry?: Name
  readonly cause?: unknown
  /** What helps, where that is not to fetch the image again. */
  readonly hint?: string
}

/** An image cannot be read as what it says it is. */
export class CorruptImageError extends RootmergeError {
  readonly code = 'ERR_ROOTMERGE_CORRUPT_IMAGE'
  readonly image: string
  /** Byte offset in the (decompressed) archive, where known. */
  readonly offset: number | undefined
  /** The entry in question, escaped for reading, where known. */
  readonly entry: string | undefined

  constructor(image: Name, reason: string, where: CorruptPlace = {}) {
    const entry = where.entry === undefined ? undefined : displayName(where.entry)
    const place = [entry && `entry '${entry}'`, where.offset !== undefined && `offset ${where.offset}`].filter(Boolean)
    super(`${displayName(image)}: ${reason}${place.length > 0 ? ` (${place.join(', ')})` : ''}`, {
      hint: `Nothing was changed. ${where.hint ?? 'Fetch the image again.'}`,
      cause: where.cause,
    })
    this.image = displayName(image)
    this.offset = where.offset
    this.entry = entry
  }
}

/** A package's record is damaged: nothing is done on its word. */
export class CorruptRecordError extends RootmergeError {
  readonly code = 'ERR_ROOTMERGE_CORRUPT_RECORD'
  readonly file: string
  /** Counted from 1. */
  readonly line: number

  constructor(file: Name, line: number, reason: string) {
    super(`${displayName(file)}:${line}: ${reason}`, {
      hint: 'Restore the record from a backup; or remove that file, and merge the package again from its image.',
    })
    this.file = displayName(file)
    this.line = line
  }
}

/** Another installer's database says something that it cannot mean: nothing is taken from it. */
export class CorruptDatabaseError extends RootmergeError {
  readonly code = 'ERR_ROOTMERGE_CORRUPT_DATABASE'
  readonly file: string
  /** Counted from 1. */
  readonly line: number

  constructor(file: Name, line: number, reason: string) {
    super(`${displayName(file)}:${line}: ${reason}`, { hint: 'Nothing was changed. Repair it with its own tools.' })
    this.file = displayName(file)
    this.line = line
  }
}

/** A package is another installer's: only its own installer replaces or removes it. */
export class ImportedPackageError extends RootmergeError {
  readonly code = 'ERR_ROOTMERGE_IMPORTED_PACKAGE'

  constructor(packageName: string, manager: string) {
    super(`'${packageName}' was imported: it belongs to ${manager}`, {
      hint: `Change it with ${manager}, then run: rootmerge import --${manager}`,
    })
  }
}

/** A name that a format has no way to write, and why. */
export interface Inexpressible {
  /** Escaped for reading. */
  readonly name: string
  readonly reason: string
}

/** Another installer's format cannot say all of a package: every name is listed. */
export class InexpressibleError extends RootmergeError {
  readonly code = 'ERR_ROOTMERGE_INEXPRESSIBLE'
  readonly names: readonly Inexpressible[]

  constructor(packageName: string, names: readonly Inexpressible[], format = 'CONTENTS') {
    const lines = names.map(({ name, reason }) => `  ${name}: ${reason}`)
    super(`${packageName}: ${format} cannot have ${names.length} of its names:\n${lines.join('\n')}`, {
      hint: 'Nothing was changed. `rootmerge list NAME --format mtree` can say everything.',
    })
    this.names = names
  }
}

/** No package of this name is in the root. */
export class UnknownPackageError extends RootmergeError {
  readonly code = 'ERR_ROOTMERGE_UNKNOWN_PACKAGE'

  constructor(packageName: string, root: Name) {
    super(`no package '${packageName}' in the root '${displayName(root)}'`, {
      hint: 'Run `rootmerge list` to see what is there.',
    })
  }
}

/** A package's name, or another argument, is not one. */
export class InvalidArgumentError extends RootmergeError {
  readonly code = 'ERR_ROOTMERGE_INVALID_ARGUMENT'
}

/** Every class that may cross from the engine's thread to the caller's. */
export const mergeErrors: readonly (new (...args: never[]) => Error)[] = [
  CollisionError,
  RefusedError,
  NotApprovedError,
  NoSpaceError,
  ImmutableError,
  UnsafeEntryError,
  EscapesRootError,
  LockedError,
  CorruptImageError,
  CorruptRecordError,
  RootChangedError,
  NotMountedError,
  CannotUndoError,
  StateMissingError,
  NestedRootError,
  RecoveryPendingError,
  UnknownPackageError,
  InexpressibleError,
  CorruptDatabaseError,
  ImportedPackageError,
  InvalidArgumentError,
  NoUpdateError,
  ConflictMarkersError,
]
