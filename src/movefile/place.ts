// Where an object is: a name in an open directory. And the names that objects have while they are being made.

import { randomFillSync } from 'node:crypto'
import { AT_FDCWD, type Fd, isSyscallError, joinName, type Kernel, type Name } from '../sys/index.ts'

/** A name in an open directory: one component, so that resolving it never leads anywhere else. */
export interface Place {
  readonly directory: Fd
  readonly name: Name
}

/** Who made a staging name: a merge's are removed by its journal alone, a move's by the next move. */
export type StagingKind = 'merge' | 'move'

const prefixes: Readonly<Record<StagingKind, Name>> = { merge: '.rootmerge-', move: '.rootmerge-move-' }
// base32 in lower case: a file system that folds case keeps two of them apart.
const alphabet = 'abcdefghijklmnopqrstuvwxyz234567'
const idLength = 16
const pattern = new RegExp(`^\\.rootmerge-(move-)?[a-z2-7]{${idLength}}$`)

/** Random bytes are drawn in bulk: one call costs as much for 4 KiB as for 16 bytes. */
const pool = Buffer.alloc(4096)
let used = pool.length

/**
 * A name for an object that is not finished: hidden, short whatever the final name is, with 80 unpredictable bits.
 *
 * It begins with a dot and ends in no suffix, so nothing that reads a directory of configuration files loads it.
 */
export function newStagingName(kind: StagingKind = 'merge'): Name {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  let id = ''
  for (const byte of pool.subarray(used, used + idLength)) id += alphabet[byte & 31]
  used += idLength
  return prefixes[kind] + id
}

/** Whether a name is a staging name, of `kind` or (without it) of any. */
export function isStagingName(name: Name, kind?: StagingKind): boolean {
  const match = pattern.exec(name)
  if (match === null) return false
  return kind === undefined || kind === (match[1] === undefined ? 'merge' : 'move')
}

/** The path of a place, for messages; only its name where /proc does not tell the directory's. */
export function describePlace(kernel: Kernel, place: Place): Name {
  try {
    return joinName(kernel.readlinkat(AT_FDCWD, `/proc/self/fd/${place.directory}`), place.name)
  } catch (error) {
    if (isSyscallError(error)) return place.name
    throw error
  }
}
