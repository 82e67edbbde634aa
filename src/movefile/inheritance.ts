// What new files are given by the directory that they are made in: looked at once, so that calls which would change
// nothing are left out for all others.

import type { Fd, Kernel, Stat } from '../sys/index.ts'
import type { Inherited } from './applyAttributes.ts'
import { accessAcl } from './policy.ts'
import type { StageOptions } from './stage.ts'

/** What files made in one directory inherit; empty until the first one has been looked at. */
export class Inheritance {
  known: Made | undefined
  /** Permission bits that the umask is known to leave. */
  provenBits = 0
  /** With the mode that was proven last: files of one directory mostly have the same. */
  last: Made | undefined
}

/** What a new file was given. */
interface Made extends Inherited {
  readonly dev: number
}

/** With which bits nobody but the owner can open a file. */
export const closedMode = 0o600

/**
 * The mode to make a copy with: closed, or at once the source's where nobody else can open the copy: it has no name, or
 * nobody can enter the directory and the owner is right from the start.
 */
export function creationMode(
  { inheritance, isPrivate, isUnnamed }: Pick<StageOptions, 'inheritance' | 'isPrivate' | 'isUnnamed'>,
  { mode, uid, gid }: Stat,
): number {
  const open = mayHaveAtOnce(mode) ? mode : closedMode
  if (isUnnamed) return open
  const made = inheritance?.known
  if (!isPrivate || made === undefined || made.acl || made.uid !== uid || made.gid !== gid) return closedMode
  return open
}

/** Set-id bits wait for the owner. */
export function mayHaveAtOnce(mode: number): boolean {
  return (mode & 0o7000) === 0
}

/** What a file was given that has just been made with `mode`; asked once a directory, and once for every new bit. */
export function whatWasMade(kernel: Kernel, fd: Fd, inheritance: Inheritance | undefined, mode: number): Made {
  const known = inheritance?.known
  if (known === undefined || inheritance === undefined) return lookedAt(kernel, fd, inheritance)
  if (mode === inheritance.last?.mode) return inheritance.last
  if (known.acl) return known
  const isProven = (mode & ~inheritance.provenBits) === 0
  const given = isProven ? mode : kernel.fstat(fd).mode
  if (given !== mode) return { ...known, mode: given }
  inheritance.provenBits |= mode
  inheritance.last = { ...known, mode }
  return inheritance.last
}

function lookedAt(kernel: Kernel, fd: Fd, inheritance: Inheritance | undefined): Made {
  const { uid, gid, dev, mode: given } = kernel.fstat(fd)
  const acl = kernel.listXattrs(fd).includes(accessAcl)
  const made = { uid, gid, dev, acl, mode: acl || (given & 0o7000) !== 0 ? undefined : given }
  if (inheritance === undefined) return made
  inheritance.known = { uid, gid, dev, acl }
  if (made.mode !== undefined) inheritance.last = made
  return made
}
