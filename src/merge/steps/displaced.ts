// What a step displaced: compared with what the plan saw, and removed after `final`.

import { type Place, withDescriptor } from '../../movefile/index.ts'
import {
  displayName,
  isSyscallError,
  joinName,
  type Kernel,
  magics,
  type Name,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  type Stat,
} from '../../sys/index.ts'
import { RootChangedError } from '../errors.ts'
import { identityOf } from '../identity.ts'
import { listMembers } from '../members.ts'
import { makeHarmless, takeOffPrivileges } from '../privileges.ts'
import { removeListed, removeObject } from '../removal.ts'
import type { Directory } from '../root.ts'
import { asideName, keepAside, keptName, renameToFree } from './renaming.ts'
import type { DisplacingStep, Seen, StepContext } from './step.ts'

/** What is written down of a live object that will be displaced. */
export function seenOf({ ino, type, mode, uid, gid, size, mtimeNs }: Stat): Seen {
  return { ino: String(ino), type, mode, uid, gid, size, mtimeNs: String(mtimeNs) }
}

interface Displaced {
  readonly parent: Directory
  readonly place: Place
  readonly stat: Stat
}

/** Where the displaced object of an applied step is; undefined when it has gone already. */
export function findDisplaced(context: StepContext, step: DisplacingStep): Displaced | undefined {
  const { kernel } = context
  const candidates = [
    { parent: context.findDirectory(step.stagingDirectory ?? step.directory), name: step.staging },
    { parent: context.findDirectory(step.directory), name: asideName(step) },
  ]
  for (const { parent, name } of candidates) {
    const stat = parent && kernel.findat(parent.fd, name)
    if (parent === undefined || stat === undefined || isSecondName(context, step, { directory: parent.fd, name }))
      continue
    return { parent, place: { directory: parent.fd, name }, stat }
  }
  return undefined
}

/** A death between the two halves of a link that stands for a rename leaves the new object under its staging name too. */
function isSecondName(
  { isRecovering, kernel }: StepContext,
  step: DisplacingStep,
  { directory, name }: Place,
): boolean {
  return isRecovering && step.kind === 'replace' && identityOf(kernel, directory, name) === step.identity
}

/**
 * Compares what an applied step displaced with what the plan saw: an admin may have saved a file in between.
 *
 * @throws {RootChangedError}
 */
export function checkDisplaced(context: StepContext, step: DisplacingStep): void {
  const seen = step.displaced
  const found = seen && findDisplaced(context, step)
  if (seen === undefined || found === undefined) return
  const name = joinName(context.directory(step.directory).name, step.name)
  const now = seenOf(found.stat)
  const isDirectory = now.type === 'directory'
  // The size and time of a directory that is displaced with its members are theirs; these are listed.
  const facts = ['type', 'mode', 'uid', 'gid', ...(isDirectory ? [] : ['size', 'mtimeNs'])] as const
  const differs = facts.find((fact) => now[fact as keyof Seen] !== seen[fact as keyof Seen])
  if (differs !== undefined || isAnother(context, found.place, now, seen))
    throw new RootChangedError(name, 'was changed')
  if (isDirectory) checkMembers(context, step, found.place, name)
}

/** On overlayfs the copy-up of a lower file gives it another inode number. */
function isAnother({ kernel }: StepContext, { directory }: Place, now: Seen, seen: Seen): boolean {
  return now.ino !== seen.ino && kernel.fstatfs(directory).magic !== magics.overlay
}

/** What somebody put into a directory that is displaced as a whole must not go with it. */
function checkMembers(context: StepContext, step: DisplacingStep, place: Place, name: Name): void {
  const known = context.membersOf(step.staging, 'displaced')
  for (const { within, members } of listMembers(context.kernel, place, { staging: step.staging, which: 'displaced' })) {
    for (const [member, identity] of members) {
      const inside = joinName(within, member)
      if (known?.get(inside) !== identity) throw new RootChangedError(joinName(name, inside), 'was put there')
    }
  }
}

/** The old object loses its set-id bits and capabilities before its name goes: a stashed hard link is harmless. */
export function removeDisplaced(context: StepContext, step: DisplacingStep): void {
  const found = findDisplaced(context, step)
  if (found === undefined) return
  const { parent, place, stat } = found
  try {
    if (step.backups !== undefined) return keepDisplaced(context, step, found)
    if (!step.keepsSetId) makeHarmless(context.kernel, place)
    const members = stat.type === 'directory' ? context.membersOf(step.staging, 'displaced') : undefined
    if (members === undefined) return removeObject(context, parent, place.name, stat)
    removeListed({ ...context, leftOver: () => {} }, parent, place.name, members)
    if (context.kernel.findat(place.directory, place.name) === undefined) return
    keepAside(context, place, parent, `has what somebody put into the old '${displayName(step.name)}'`)
  } catch (error) {
    if (!isSyscallError(error)) throw error
    context.leftOver(joinName(parent.name, place.name), error.message)
  }
}

/** Nobody else reaches what is in a directory that is kept; its mode comes back with its name. */
function closeToOthers(kernel: Kernel, { directory, name }: Place): void {
  const fd = kernel.openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
  withDescriptor(kernel, fd, () => kernel.fchmod(fd, 0o700))
}

/**
 * It goes into the transaction's backup. Where it cannot, since that is on another file system or has no room, it stays
 * under a name that says so: under its staging name it would be taken for forgotten. It does not stay in a directory that
 * is to go, which would be there for it alone.
 */
function keepDisplaced(
  context: StepContext,
  step: DisplacingStep,
  { place, stat }: { place: Place; stat: Stat },
): void {
  const { kernel, id } = context
  if (stat.type === 'directory') closeToOthers(kernel, place)
  if (!step.keepsSetId) takeOffPrivileges(kernel, place)
  const kept = keptName(step.staging)
  const isKept = (number: number | undefined, name: Name) => {
    const directory = number === undefined ? undefined : context.findDirectory(number)
    return directory !== undefined && tryKeep(context, step, place, { directory: directory.fd, name })
  }
  if (isKept(step.backups, `${id}/${kept}`) || isKept(step.keptIn, kept)) return
  renameToFree(kernel, place, { directory: context.directory(step.directory).fd, name: kept })
}

function tryKeep(context: StepContext, { name }: DisplacingStep, from: Place, to: Place): boolean {
  try {
    renameToFree(context.kernel, from, to)
    return true
  } catch (error) {
    if (!isSyscallError(error)) throw error
    if (error.code !== 'EXDEV') context.note(`what '${displayName(name)}' was is kept beside it: ${error.message}`)
    return false
  }
}
