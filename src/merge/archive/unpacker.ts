// Makes an object of each member, in a tree that nobody else can reach, complete with everything that the member says.

import { type AttributeTarget, type MetadataPolicy, withDescriptor } from '../../movefile/index.ts'
import {
  baseName,
  type CancelFlag,
  displayName,
  type EngineShares,
  type Fd,
  type FileType,
  isSyscallError,
  type Kernel,
  type Name,
  O_NOFOLLOW,
  O_PATH,
  parentName,
} from '../../sys/index.ts'
import { UnsafeEntryError } from '../errors.ts'
import type { LostOf } from '../lostMetadata.ts'
import { makeDirectories, type Root } from '../root.ts'
import { FileMaker } from './fileMaker.ts'
import type { Manifest } from './integrity.ts'
import type { Allowance } from './limits.ts'
import { MadeFiles } from './madeFiles.ts'
import { makeAnew, withinLength } from './makeAnew.ts'
import { Makers } from './makers.ts'
import type { Member } from './member.ts'
import { memberName } from './memberName.ts'
import { piecesOfHole, writePayload } from './payload.ts'
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
  /** What the archive is called in messages. */
  readonly image: Name
  /** What the files have to be, by name. */
  readonly manifest: Manifest | undefined
  readonly digests: boolean
  /** Threads that help to make files. */
  readonly threads: EngineShares | undefined
  readonly onEntry: (bytes: number) => void
}

/** Fills one tree with the members of one archive. */
export class Unpacker {
  /** The regular files that were made. */
  readonly files: MadeFiles = new MadeFiles()
  /** Names whose objects may have extended attributes. */
  readonly withXattrs: Set<Name> = new Set()
  /** What could not be kept, where that is allowed; complete when everything is there. */
  readonly lost: LostOf[] = []
  readonly #input: UnpackerInput
  readonly #kernel: Kernel
  readonly #tree: Root
  readonly #maker: FileMaker
  #hasNames = false
  /** From the first file on, where there are threads that help. */
  #makers: Makers | undefined
  readonly #directories = new Map<Name, Member>()
  /** Made when everything else is, so that no member is ever written through one that the archive brought. */
  readonly #symlinks = new Map<Name, Member>()
  /** Those of them that have got hard links: then they stand under several names. */
  readonly #linkedSymlinks = new Set<Member>()
  /** The directory that was asked for last. */
  #lastParent: Name | undefined

  constructor(input: UnpackerInput) {
    this.#input = input
    this.#kernel = input.kernel
    this.#tree = input.tree
    this.#maker = new FileMaker(input)
  }

  /** Makes what a member says, or keeps it for finish(). @throws {UnsafeEntryError} @throws {CorruptImageError} */
  add(member: Member): void {
    const { allowance, cancel, onEntry, stripComponents } = this.#input
    cancel.check()
    const name = memberName(member.path, stripComponents)
    allowance.member(member.path)
    this.#check(member)
    if (name !== '') {
      this.#hasNames = true
      this.#make(name, member)
    }
    onEntry(member.size)
  }

  /** Whether any member so far had a name, which is not the top and was not stripped away. */
  get hasNames(): boolean {
    return this.#hasNames
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
    if (member.xattrs.length > 0) this.withXattrs.add(name)
    if (member.type !== 'directory') this.#forgetEarlier(name)
    if (member.type === 'directory') this.#directory(name, member)
    else if (member.type === 'symlink') this.#symlinks.set(name, member)
    else if (member.type === 'link') this.#link(name, member)
    else if (member.type === 'file') this.#file(name, member)
    else this.#node(name, member, member.type)
  }

  /** A name that comes twice means its last member: also when the earlier one is not made yet. */
  #forgetEarlier(name: Name): void {
    if (this.files.has(name)) {
      this.#settleFor(name)
      this.files.delete(name)
    }
    if (this.#symlinks.size > 0) this.#symlinks.delete(name)
  }

  #directory(name: Name, member: Member): void {
    this.#parent(`${name}/.`)
    this.#directories.set(name, member)
  }

  #file(name: Name, given: Member): void {
    const { allowance, cancel, manifest } = this.#input
    const member = manifest === undefined ? given : { ...given, digest: manifest.digestOf(name) }
    this.#parent(name)
    if (this.#makersFor(member)?.take(name, member)) return allowance.bytes(member.path, member.size)
    const made = this.#maker.make(name, member, (fd, seen) =>
      writePayload(this.#kernel, fd, member, {
        bytes(chunk, position) {
          allowance.bytes(member.path, chunk.length)
          seen.bytes(chunk, position)
        },
        hole(length) {
          allowance.hole(member.path, length)
          for (const piece of piecesOfHole(length)) {
            cancel.check()
            seen.hole?.(piece)
          }
        },
      }),
    )
    this.files.set(name, made)
  }

  #makersFor({ payload }: Member): Makers | undefined {
    const { threads } = this.#input
    if (threads === undefined) return undefined
    this.#makers ??= new Makers({ ...this.#input, threads, file: payload?.file, files: this.files })
    return this.#makers
  }

  #node(name: Name, member: Member, type: FileType): void {
    this.#create(name, (directory, component) => {
      if (member.type === 'symlink') this.#kernel.symlinkat(member.target ?? '', directory, component)
      else this.#kernel.mknodat(directory, component, type, 0o600, member.rdev ?? { major: 0, minor: 0 })
    })
    const { inherited } = this.#maker.metadata
    this.#withObject(name, (fd) => this.#apply({ fd, type, inherited }, name, member))
  }

  #link(name: Name, member: Member): void {
    const first = memberName(member.target ?? '', this.#input.stripComponents)
    const refuse = (reason: string) =>
      new UnsafeEntryError(member.path, `is a link to '${displayName(first)}', ${reason}`)
    if (first === name) throw refuse('which is itself')
    const symlink = this.#symlinks.get(first)
    if (symlink !== undefined) {
      this.#symlinks.set(name, symlink)
      this.#linkedSymlinks.add(symlink)
      if (symlink.xattrs.length > 0) this.withXattrs.add(name)
      return
    }
    this.#settleFor(first)
    const stat = this.#tree.find(first)
    if (stat === undefined) throw refuse('which is no earlier member')
    if (stat.type === 'directory') throw refuse('which is a directory')
    this.#linkTo(first, name)
    this.files.link(name, first)
    if (this.withXattrs.has(first)) this.withXattrs.add(name)
  }

  #linkTo(first: Name, name: Name): void {
    this.#create(name, (directory, component) => {
      const from = this.#tree.directory(parentName(first))
      this.#kernel.linkat(from.fd, baseName(first), directory, component)
    })
  }

  /** Symlinks, and then the metadata of directories, the innermost first: making a child moves its parent's time. */
  finish(): void {
    const lostByMakers = this.#makers?.finish() ?? []
    this.#makeSymlinks()
    for (const [name, member] of [...this.#directories].reverse()) {
      this.#apply({ fd: this.#tree.directory(name).fd, type: 'directory' }, name, member)
    }
    for (const lost of [...this.#maker.metadata.lost, ...lostByMakers]) this.lost.push(lost)
  }

  #makeSymlinks(): void {
    const firstNames = new Map<Member, Name>()
    for (const [name, member] of this.#symlinks) {
      const first = firstNames.get(member)
      if (first !== undefined) this.#linkTo(first, name)
      else this.#node(name, member, 'symlink')
      if (this.#linkedSymlinks.has(member)) firstNames.set(member, first ?? name)
    }
  }

  /** Ends what threads do after an error: nothing is made any more when this returns. */
  abandon(): void {
    this.#makers?.abandon()
  }

  /** The open directory of a name; missing ones are made. */
  #parent(name: Name): Fd {
    const parent = parentName(name)
    if (this.#symlinks.size > 0) {
      for (let above = parent; above !== ''; above = parentName(above))
        if (this.#symlinks.has(above))
          throw new UnsafeEntryError(name, `is inside '${displayName(above)}', a symlink of the same archive`)
    }
    this.#settleAbove(parent)
    try {
      return withinLength(name, () => makeDirectories(this.#tree, parent).fd)
    } catch (error) {
      if (!isSyscallError(error, 'ENOTDIR', 'EEXIST')) throw error
      throw new UnsafeEntryError(name, 'is inside a member that is no directory')
    }
  }

  /** A file that is on its way may stand where a directory is asked for. */
  #settleAbove(parent: Name): void {
    if (this.#makers === undefined || parent === this.#lastParent) return
    for (let above = parent; above !== ''; above = parentName(above)) this.#settleFor(above)
    this.#lastParent = parent
  }

  #settleFor(name: Name): void {
    if (this.files.isPending(name)) this.#makers?.settle()
  }

  #create(name: Name, make: (directory: Fd, component: Name) => void): void {
    const [directory, component] = [this.#parent(name), baseName(name)]
    makeAnew({ kernel: this.#kernel, directory, component, name }, () => make(directory, component))
  }

  #withObject(name: Name, work: (fd: Fd) => void): void {
    const { fd } = this.#tree.directory(parentName(name))
    withDescriptor(this.#kernel, this.#kernel.openat(fd, baseName(name), O_PATH | O_NOFOLLOW), work)
  }

  #apply(target: AttributeTarget, name: Name, member: Member): void {
    this.#maker.metadata.apply(target, name, member)
  }
}
