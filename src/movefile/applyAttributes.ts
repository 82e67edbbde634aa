// Metadata onto an object that is not in place yet, in the one order in which every part survives the others:
// chown takes set-id bits and capabilities away, an ACL rewrites the group bits and chmod the mask of an ACL, a
// read-only mode refuses attributes, and append or immutable refuse everything.

import { type Fd, type FileType, isSyscallError, type Kernel, SyscallError } from '../sys/index.ts'
import { groupBitsWithoutAcl } from './acl.ts'
import type { Attributes, Xattr } from './attributes.ts'
import { closedMode } from './inheritance.ts'
import { setInodeFlags, withMetadata } from './inodeFlags.ts'
import { type Loss, Losses } from './losses.ts'
import { accessAcl, defaultAcl, type MetadataPolicy } from './policy.ts'

/** What the kernel gave an object when it was made, so that calls that would change nothing can be left out. */
export interface Inherited {
  readonly uid: number
  readonly gid: number
  /** Whether it has an ACL, from its directory's default ACL. */
  readonly acl: boolean
  /** Its permission bits, where they are known and none of them is a set-id bit. */
  readonly mode?: number | undefined
}

/** An open object that gets attributes. */
export interface AttributeTarget {
  /** Files and directories: opened for reading or writing; any other type: by O_PATH. */
  readonly fd: Fd
  readonly type: FileType
  /** Unknown means that nothing is left out. */
  readonly inherited?: Inherited | undefined
}

interface Application {
  readonly kernel: Kernel
  readonly target: AttributeTarget
  readonly attributes: Attributes
  readonly lost: Losses
  /** Whether a copy that was made read-only has been opened to its owner again. */
  isReopened: boolean
}

/** Attributes that are bound to an owner or to the final contents, so they come after both. */
const lateXattrs = new Set(['security.capability', 'security.ima', 'security.evm'])
const acls = new Set([accessAcl, defaultAcl])

/**
 * Gives an object all its attributes but the append and immutable flags, which come after the rename.
 *
 * The object is not in place yet and nobody else can open it (mode 0600 or 0700 until the owner is final). Set-id
 * bits and capabilities are left out when the owner could not be kept, and are then among the losses.
 *
 * @returns what could not be kept; the caller decides whether that is an error
 * @throws {SyscallError} for every refusal that is not about metadata (losses.ts)
 */
export function applyAttributes(
  kernel: Kernel,
  target: AttributeTarget,
  attributes: Attributes,
  policy: MetadataPolicy,
): Loss[] {
  const lost = new Losses()
  const application = { kernel, target, attributes, lost, isReopened: false }
  const { xattrs } = attributes
  if (xattrs.isPartial) lost.addUnlisted()
  const owned = setOwner(application)
  if (xattrs.length > 0) setXattrs(application, (xattr) => !lateXattrs.has(xattr.name) && !acls.has(xattr.name))
  if (target.type !== 'symlink') {
    setMode(application, modeOf(attributes, owned, setAcls(application)))
  }
  if (xattrs.length > 0) setLateXattrs(application, owned)
  lost.attempt('times', () => setTimes(application))
  if (policy.inodeFlags) setPlainFlags(application)
  return lost.list
}

/** Whether `type` is opened for reading or writing, so that the calls on descriptors take it. */
function isOpened(type: FileType): boolean {
  return type === 'file' || type === 'directory'
}

/** True when both halves of the owner are what they should be. */
function setOwner({ kernel, target, attributes, lost }: Application): boolean {
  const { uid, gid } = attributes
  const { fd, inherited, type } = target
  if (inherited?.uid === uid && inherited.gid === gid) return true
  const chown = (user: number, group: number) =>
    isOpened(type) ? kernel.fchown(fd, user, group) : kernel.chownat(fd, '', user, group)
  const attempt = new Losses()
  if (attempt.attempt('owner', () => chown(uid, gid))) return true
  attempt.attempt('group', () => chown(-1, gid)) // a member of the group may give it away, whoever the user is
  const [refusal] = attempt.list
  const now = kernel.fstat(fd)
  if (refusal !== undefined && now.uid !== uid) lost.add('owner', refusal)
  if (refusal !== undefined && now.gid !== gid) lost.add('group', refusal)
  return now.uid === uid && now.gid === gid
}

function setXattrs(application: Application, chosen: (xattr: Xattr) => boolean): void {
  for (const xattr of application.attributes.xattrs) {
    if (chosen(xattr)) setXattr(application, xattr)
  }
}

function setXattr(application: Application, { name, value }: Xattr): boolean {
  const { kernel, target, lost } = application
  const set = () => kernel.setXattr(target.fd, name, value)
  const setAnyway = () => {
    try {
      set()
    } catch (error) {
      if (!isSyscallError(error, 'EACCES') || !reopen(application)) throw error
      set()
    }
  }
  return lost.attempt(acls.has(name) ? 'acl' : 'xattr', setAnyway, name)
}

/** user.* takes the right to write (xattr(7)), which the copy of a read-only file gives nobody but root. */
function reopen(application: Application): boolean {
  const { kernel, target } = application
  if (target.type !== 'file' || (kernel.fstat(target.fd).mode & 0o200) !== 0) return false
  kernel.fchmod(target.fd, closedMode)
  application.isReopened = true
  return true
}

/**
 * Sets the ACLs of the source, and takes off those that the directory gave.
 *
 * Before the mode: an ACL that sets the group bits grants nothing that the mode will not, a mode without its ACL would
 * (see modeOf), and setting an ACL can drop the set-group-id bit.
 *
 * @returns the source's access ACL if it could not be set
 */
function setAcls(application: Application): Xattr | undefined {
  const { kernel, target, attributes } = application
  const { fd, inherited } = target
  const wanted = attributes.xattrs.filter((xattr) => acls.has(xattr.name))
  const refused = wanted.filter((xattr) => !setXattr(application, xattr))
  if (inherited?.acl !== false) {
    for (const name of kernel.listXattrs(fd)) {
      if (acls.has(name) && !wanted.some((xattr) => xattr.name === name)) removeXattr(kernel, fd, name)
    }
  }
  return refused.find((xattr) => xattr.name === accessAcl)
}

/** Takes an attribute off; that it is not there any more is as good. */
export function removeXattr(kernel: Kernel, fd: Fd, name: string): void {
  try {
    kernel.removeXattr(fd, name)
  } catch (error) {
    if (!isSyscallError(error, 'ENODATA')) throw error
  }
}

/** Linux drops the set-group-id bit in silence when an ordinary user is not in the group, so it is looked for. */
function setMode({ kernel, target, attributes, lost, isReopened }: Application, mode: number): void {
  const { fd, inherited, type } = target
  // Made with these very bits, which only an ACL could have moved (system.posix_acl_*, system.nfs4_acl).
  if (!isReopened && inherited?.mode === mode && !attributes.xattrs.some(({ name }) => name.startsWith('system.')))
    return
  const setId = attributes.mode & 0o6000
  lost.attempt('mode', () => {
    if (isOpened(type)) kernel.fchmod(fd, mode)
    else kernel.fchmodat2(fd, mode)
    if (setId !== 0 && (kernel.fstat(fd).mode & setId) !== setId) throw new SyscallError('EPERM', 'fchmod')
  })
}

/**
 * The bits that may be set: set-id bits lend the owner's rights, so only when the owner is the right one; and without
 * its ACL a file's group bits are not the ACL's mask any more but the rights of the owning group, which would get
 * what the ACL gave to others.
 */
function modeOf(attributes: Attributes, owned: boolean, refusedAcl: Xattr | undefined): number {
  const mode = owned ? attributes.mode : attributes.mode & 0o1777
  const groupBits = refusedAcl === undefined ? undefined : groupBitsWithoutAcl(refusedAcl.value)
  return groupBits === undefined ? mode : mode & (0o7707 | (groupBits << 3))
}

/** A capability lends rights as a set-id bit does, so it goes the same way. */
function setLateXattrs(application: Application, owned: boolean): void {
  const { lost } = application
  const [ownerLoss] = lost.list
  setXattrs(application, (xattr) => {
    if (!lateXattrs.has(xattr.name)) return false
    if (owned || ownerLoss === undefined) return true
    lost.add('xattr', ownerLoss, xattr.name)
    return false
  })
}

/** Not every file system has a place for times before 1970 and after 2038: Linux takes the nearest, in silence, so a look tells. */
function setTimes({ kernel, target, attributes }: Application): void {
  const { atimeNs, mtimeNs } = attributes
  if (isOpened(target.type)) kernel.futimens(target.fd, atimeNs, mtimeNs)
  else kernel.utimensat(target.fd, '', atimeNs, mtimeNs)
  if (mtimeNs >= 0n && mtimeNs < 2n ** 31n * second) return
  const difference = kernel.fstat(target.fd).mtimeNs - mtimeNs
  if (difference > coarsest || difference < -coarsest) throw new SyscallError('EOVERFLOW', 'utimensat')
}

const second = 1_000_000_000n
/** FAT has every other second. */
const coarsest = 2n * second

function setPlainFlags({ kernel, target, attributes, lost }: Application): void {
  if (attributes.inodeFlags === undefined || !isOpened(target.type)) return
  setInodeFlags(kernel, target.fd, { flags: attributes.inodeFlags, mask: withMetadata }, lost)
}
