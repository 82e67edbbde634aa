// Makes an object of each member, in a tree that nobody else can reach, complete with everything that the member says.

import {
  type Attributes,
  type AttributeTarget,
  applyAttributes,
  type Inherited,
  isCopied,
  MetadataLostError,
  type MetadataPolicy,
  quietly,
  withDescriptor,
} from '../../movefile/index.ts'
import {
  baseName,
  type CancelFlag,
  displayName,
  type Fd,
  type FileType,
  isSyscallError,
  type Kernel,
  type Name,
  O_CREAT,
  O_EXCL,
  O_NOFOLLOW,
  O_PATH,
  O_WRONLY,
  parentName,
} from '../../sys/index.ts'
import { UnsafeEntryError } from '../errors.ts'
import { makeDirectories, type Root } from '../root.ts'
import type { Manifest } from './integrity.ts'
import type { Allowance } from './limits.ts'
import type { Member } from './member.ts'
import { memberName } from './memberName.ts'
import { writePayload } from './payload.ts'
import { PayloadDigest } from './payloadDigest.ts'
import type { ArchiveOptions } from './unpack.ts'

/** What an unpacker works with. */
export interface UnpackerInput {
  readonly kernel: Kernel
  readonly cancel: CancelFlag
  readonly tree: Root
  readonly policy: MetadataPolicy
  readonly options: ArchiveOptions
  readonly allowance: Allowance
  readonly stripComponents: number
  /** What the files have to be, by name. */
  readonly manifest: Manifest | undefined
  readonly digests: boolean
  readonly onEntry: (bytes: number) => void
}

const tooLong = 'has a name or target that is longer than the file system allows'
const createFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW

/** Fills one tree with the members of one archive. */
export class Unpacker {
  /** sha256 of each payload, by name. */
  readonly digests: Map<Name, string> = new Map()
  readonly #input: UnpackerInput
  readonly #kernel: Kernel
  readonly #tree: Root
  readonly #directories = new Map<Name, Member>()
  /** Made when everything else is, so that no member is ever written through one that the archive brought. */
  readonly #symlinks = new Map<Name, Member>()
  /** Hard links to symlinks: name, and the symlink's name. */
  readonly #symlinkLinks = new Map<Name, Name>()
  /** As an ordinary user everything is one's own. */
  readonly #isRoot = process.geteuid?.() === 0
  readonly #inherited: Inherited
  readonly #made = new Map<number, Inherited>()

  constructor(input: UnpackerInput) {
    this.#input = input
    this.#kernel = input.kernel
    this.#tree = input.tree
    const { uid, gid } = input.kernel.fstat(input.tree.fd)
    this.#inherited = { uid, gid, acl: false }
  }

  /** Makes what a member says, or keeps it for finish(). @throws {UnsafeEntryError} @throws {CorruptImageError} */
  add(member: Member): void {
    const { allowance, cancel, onEntry, stripComponents } = this.#input
    cancel.check()
    const name = memberName(member.path, stripComponents)
    allowance.member(member.path)
    this.#check(member)
    if (name !== '') this.#make(name, member)
    onEntry(member.size)
  }

  /** What the caller does not want from any archive. */
  #check({ path, type, mode, xattrs }: Member): void {
    const { noDevices, noSetId } = this.#input.options
    if (noDevices && (type === 'character' || type === 'block')) throw new UnsafeEntryError(path, 'is a device')
    if (!noSetId || type === 'symlink' || type === 'link') return
    if (type !== 'directory' && (mode & 0o6000) !== 0) throw new UnsafeEntryError(path, 'has set-id bits')
    if (xattrs.some((xattr) => xattr.name === 'security.capability'))
      throw new UnsafeEntryError(path, 'has capabilities')
  }

  #make(name: Name, member: Member): void {
    if (member.type !== 'directory') this.#forgetEarlier(name)
    if (member.type === 'directory') this.#directory(name, member)
    else if (member.type === 'symlink') this.#symlinks.set(name, member)
    else if (member.type === 'link') this.#link(name, member)
    else if (member.type === 'file') this.#file(name, member)
    else this.#node(name, member, member.type)
  }

  /** A name that comes twice means its last member: also when the earlier one is not made yet. */
  #forgetEarlier(name: Name): void {
    if (this.#symlinks.size > 0) this.#symlinks.delete(name)
    if (this.#symlinkLinks.size > 0) this.#symlinkLinks.delete(name)
  }

  #directory(name: Name, member: Member): void {
    this.#parent(`${name}/.`)
    this.#directories.set(name, member)
  }

  #file(name: Name, given: Member): void {
    const { allowance, digests, manifest } = this.#input
    const member = manifest === undefined ? given : { ...given, digest: manifest.digestOf(name) }
    const digest = new PayloadDigest(digests, member)
    const mode = this.#modeToMake(member)
    const fd = this.#create(name, (directory, component) =>
      this.#kernel.openat(directory, component, createFlags, mode),
    )
    try {
      writePayload(this.#kernel, fd, member, {
        bytes(chunk) {
          allowance.bytes(member.path, chunk.length)
          digest.bytes(chunk)
        },
        hole(length) {
          allowance.hole(member.path, length)
          digest.hole(length)
        },
      })
      this.#apply({ fd, type: 'file', inherited: this.#inheritedWith(fd, mode) }, name, member)
    } catch (error) {
      quietly(() => this.#kernel.close(fd))
      throw error
    }
    this.#kernel.close(fd)
    const sha256 = digest.finish()
    if (sha256 !== undefined) this.digests.set(name, sha256)
  }

  #node(name: Name, member: Member, type: FileType): void {
    this.#create(name, (directory, component) => {
      if (member.type === 'symlink') this.#kernel.symlinkat(member.target ?? '', directory, component)
      else this.#kernel.mknodat(directory, component, type, 0o600, member.rdev ?? { major: 0, minor: 0 })
    })
    this.#withObject(name, (fd) => this.#apply({ fd, type, inherited: this.#inherited }, name, member))
  }

  #link(name: Name, member: Member): void {
    const first = memberName(member.target ?? '', this.#input.stripComponents)
    const refuse = (reason: string) =>
      new UnsafeEntryError(member.path, `is a link to '${displayName(first)}', ${reason}`)
    if (first === name) throw refuse('which is itself')
    if (this.#symlinks.has(first) || this.#symlinkLinks.has(first)) {
      this.#symlinkLinks.set(name, this.#symlinkLinks.get(first) ?? first)
      return
    }
    const stat = this.#tree.find(first)
    if (stat === undefined) throw refuse('which is no earlier member')
    if (stat.type === 'directory') throw refuse('which is a directory')
    this.#linkTo(first, name)
    const digest = this.digests.get(first)
    if (digest !== undefined) this.digests.set(name, digest)
  }

  #linkTo(first: Name, name: Name): void {
    this.#create(name, (directory, component) => {
      const from = this.#tree.directory(parentName(first))
      this.#kernel.linkat(from.fd, baseName(first), directory, component)
    })
  }

  /** Symlinks, and then the metadata of directories, the innermost first: making a child moves its parent's time. */
  finish(): void {
    for (const [name, member] of this.#symlinks) this.#node(name, member, 'symlink')
    for (const [name, first] of this.#symlinkLinks) this.#linkTo(first, name)
    for (const [name, member] of [...this.#directories].reverse()) {
      this.#apply({ fd: this.#tree.directory(name).fd, type: 'directory' }, name, member)
    }
  }

  /** The open directory of a name; missing ones are made. */
  #parent(name: Name): Fd {
    const parent = parentName(name)
    for (const symlinks of [this.#symlinks, this.#symlinkLinks]) {
      if (symlinks.size === 0) continue
      for (let above = parent; above !== ''; above = parentName(above))
        if (symlinks.has(above))
          throw new UnsafeEntryError(name, `is inside '${displayName(above)}', a symlink of the same archive`)
    }
    try {
      return makeDirectories(this.#tree, parent).fd
    } catch (error) {
      if (isSyscallError(error, 'ENAMETOOLONG')) throw new UnsafeEntryError(name, tooLong)
      if (!isSyscallError(error, 'ENOTDIR', 'EEXIST')) throw error
      throw new UnsafeEntryError(name, 'is inside a member that is no directory')
    }
  }

  /** Makes an object; one that an earlier member made under the same name goes. */
  #create<T>(name: Name, make: (directory: Fd, component: Name) => T): T {
    const directory = this.#parent(name)
    const component = baseName(name)
    try {
      return make(directory, component)
    } catch (error) {
      if (isSyscallError(error, 'ENAMETOOLONG')) throw new UnsafeEntryError(name, tooLong)
      if (!isSyscallError(error, 'EEXIST')) throw error
    }
    if (this.#kernel.statat(directory, component).type === 'directory')
      throw new UnsafeEntryError(name, 'is a directory in the same archive')
    this.#kernel.unlinkat(directory, component)
    this.digests.delete(name)
    return make(directory, component)
  }

  #withObject(name: Name, work: (fd: Fd) => void): void {
    const { fd } = this.#tree.directory(parentName(name))
    withDescriptor(this.#kernel, this.#kernel.openat(fd, baseName(name), O_PATH | O_NOFOLLOW), work)
  }

  /** Files of our own are made with their final bits: nobody else gets into the tree, and a call is saved. */
  #modeToMake({ uid, gid, mode }: Member): number {
    const isOwn = !this.#isRoot || (uid === this.#inherited.uid && gid === this.#inherited.gid)
    return isOwn && (mode & 0o7000) === 0 ? mode : 0o600
  }

  /** What a file that was made with some bits has; which of them the umask took away is asked once. */
  #inheritedWith(fd: Fd, mode: number): Inherited {
    let inherited = this.#made.get(mode)
    if (inherited === undefined) {
      inherited = this.#kernel.fstat(fd).mode === mode ? { ...this.#inherited, mode } : this.#inherited
      this.#made.set(mode, inherited)
    }
    return inherited
  }

  #apply(target: AttributeTarget, name: Name, member: Member): void {
    const { policy } = this.#input
    const lost = applyAttributes(this.#kernel, target, this.#attributes(target.type, member), policy)
    if (lost.length > 0 && policy.metadata === 'require') throw new MetadataLostError(displayName(name), lost)
  }

  #attributes(type: FileType, { uid, gid, mode, mtimeNs, xattrs }: Member): Attributes {
    const { policy } = this.#input
    const owner = this.#isRoot ? { uid, gid } : { uid: this.#inherited.uid, gid: this.#inherited.gid }
    const kept = xattrs.length === 0 ? xattrs : xattrs.filter((xattr) => isCopied(xattr.name, type, policy))
    return { ...owner, mode, atimeNs: mtimeNs, mtimeNs, xattrs: kept }
  }
}
