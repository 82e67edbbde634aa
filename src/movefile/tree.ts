// A directory with everything below it, staged as one hidden subtree: nobody else can enter it until its top directory
// gets its permissions, last of all, so what is inside is made under its final names.

import { type CopyReport, SourceChangedError } from '../filecopy/index.ts'
import { type CancelFlag, displayName, type Fd, joinName, type Kernel, type Name, type Stat } from '../sys/index.ts'
import { lockStaged } from './abandoned.ts'
import { applyAttributes, removeXattr } from './applyAttributes.ts'
import { readAttributes } from './attributes.ts'
import { quietly, withDescriptor } from './descriptors.ts'
import { IntoItselfError, MountPointError } from './errors.ts'
import { type FinalFlags, finalFlagsOf } from './finalFlags.ts'
import { isMountPoint } from './hopeless.ts'
import { isSameObject } from './identity.ts'
import { Inheritance } from './inheritance.ts'
import { beforeContents, setInodeFlags } from './inodeFlags.ts'
import { type Loss, Losses } from './losses.ts'
import { describePlace, type Place } from './place.ts'
import { accessAcl, defaultAcl } from './policy.ts'
import { removeTree } from './removeTree.ts'
import { openDirectory } from './rename.ts'
import type { CopiedObject } from './sourceRemoval.ts'
import { type StagedObject, type StageOptions, type Stager, settle, stageCopy, unswapped } from './stage.ts'

/** A member of a tree that is about to be copied. */
export interface TreeEntry {
  /** Its name below the top of the tree. */
  readonly name: Name
  readonly stat: Stat
}

/** What of a tree is copied, and who hears of it. */
export interface TreeOptions {
  /** Which of a directory's members are copied: one answer each. All of them without it. */
  readonly filter?: ((entries: readonly TreeEntry[]) => readonly boolean[]) | undefined
  /** Called after each object. */
  readonly onEntry?: ((entry: TreeEntry) => void) | undefined
  readonly cancel?: CancelFlag | undefined
  /**
   * Whether the source is to be removed afterwards: then what was copied is recorded, and a file system mounted inside
   * the tree, which could not be removed, ends the work instead of being copied.
   */
  readonly consuming?: boolean
}

/** What a staged tree is made of. */
export interface StagedTree {
  readonly copied: CopiedObject
  readonly copy: TreeReport
  readonly lost: readonly Loss[]
  /** Flags to set when the tree is in place. */
  readonly finalFlags: readonly FinalFlags[]
}

/** The copies of a tree's files, summed up. */
export interface TreeReport extends Pick<CopyReport, 'bytes' | 'holes' | 'bytesByMethod'> {
  /** Objects of every type, the top directory included. */
  readonly entries: number
}

/** Stages a copy of a directory and everything below it; after an error nothing is left of it. */
export function stageTree(
  stager: Stager,
  source: Place,
  staging: Place,
  options: TreeOptions & Omit<StageOptions, 'inheritance'> = {},
): StagedTree {
  const known = options.stat ?? stager.kernel.statat(source.directory, source.name)
  return new TreeCopy(stager, options).stage(source, staging, known)
}

class TreeCopy {
  readonly #stager: Stager
  readonly #kernel: Kernel
  readonly #options: TreeOptions & StageOptions
  readonly #lost: Loss[] = []
  readonly #copy = { entries: 0, bytes: 0, holes: 0, bytesByMethod: {} as Record<string, number> }
  /** Where the first name of each inode with several names was put, below the staging root. */
  readonly #firstNames = new Map<string, Name>()
  readonly #finalFlags: FinalFlags[] = []
  #root: Fd | undefined
  /** The tree's place, and the directory that its copy is made in: that must not be met as a member of the tree. */
  #ends: { source: Place; copyIsIn: Stat } | undefined
  /** Of all directories: they are made in a subtree from which the top refuses what its place would hand down. */
  readonly #inheritance = new Inheritance()
  /** Losses are judged once, for the whole tree. */
  readonly #bestEffort: Stager

  constructor(stager: Stager, options: TreeOptions & StageOptions) {
    this.#stager = stager
    this.#kernel = stager.kernel
    this.#options = options
    const { kernel, copier, copyOptions, policy } = stager
    const rewriteLink = (target: Name) => stager.rewriteLink(target)
    this.#bestEffort = { kernel, copier, copyOptions, rewriteLink, policy: { ...policy, metadata: 'best-effort' } }
  }

  stage(source: Place, staging: Place, known: Stat): StagedTree {
    const kernel = this.#kernel
    const copied = withDescriptor(kernel, openDirectory(kernel, source), (from) => {
      const stat = unswapped(kernel, source, { now: kernel.fstat(from), known })
      this.#ends = { source, copyIsIn: kernel.fstat(staging.directory) }
      kernel.mkdirat(staging.directory, staging.name, 0o700)
      try {
        const root = withDescriptor(kernel, openDirectory(kernel, staging), (to) => this.#fillRoot({ from, to, stat }))
        settle(this.#stager, source, this.#lost)
        return root
      } catch (error) {
        quietly(() => removeTree(kernel, staging))
        throw error
      }
    })
    return { copied, copy: this.#copy, lost: this.#lost, finalFlags: this.#finalFlags }
  }

  #fillRoot(open: OpenPair): CopiedObject {
    const { to } = open
    if (this.#options.locked) lockStaged(this.#kernel, to)
    refuseInheritance(this.#kernel, to)
    this.#root = to
    const copied = this.#fill(open, '')
    if (this.#options.durable) this.#kernel.syncfs(to)
    return copied
  }

  /** Copies the members of a directory, then its attributes: a member that is made changes its directory's times. */
  #fill({ from, to, stat }: OpenPair, name: Name): CopiedObject {
    const { policy } = this.#stager
    const kernel = this.#kernel
    const lost = new Losses()
    const { inodeFlags } = policy.inodeFlags ? readAttributes(kernel, from, stat, policy) : {}
    if (inodeFlags !== undefined) setInodeFlags(kernel, to, { flags: inodeFlags, mask: beforeContents }, lost)
    const members = this.#copyMembers(from, to, name)
    const attributes = readAttributes(kernel, from, stat, policy)
    const mtimeNs = name === '' ? (this.#options.mtimeNs ?? stat.mtimeNs) : stat.mtimeNs
    const applied = applyAttributes(kernel, { fd: to, type: 'directory' }, { ...attributes, mtimeNs }, policy)
    this.#lose(name, [...lost.list, ...applied])
    for (const flags of finalFlagsOf(name, inodeFlags)) this.#finalFlags.push(flags)
    this.#count({ name, stat })
    return { stat: recordOf(stat), members }
  }

  #copyMembers(from: Fd, to: Fd, parent: Name): Map<Name, CopiedObject> {
    const members = new Map<Name, CopiedObject>()
    for (const { base, entry } of this.#chosenMembers(from, parent)) {
      this.#options.cancel?.check()
      const source = { directory: from, name: base }
      const target = { directory: to, name: base }
      const copied = this.#copyMember({ source, target, entry })
      if (this.#options.consuming) members.set(base, copied)
    }
    return members
  }

  #chosenMembers(from: Fd, parent: Name): { base: Name; entry: TreeEntry }[] {
    const all = this.#kernel.readDirectory(from).map(({ name }) => ({
      base: name,
      entry: { name: joinName(parent, name), stat: this.#kernel.statat(from, name) },
    }))
    const answers = this.#options.filter?.(all.map(({ entry }) => entry))
    return answers === undefined ? all : all.filter((_, index) => answers[index] === true)
  }

  #copyMember(member: Member): CopiedObject {
    const { source, entry } = member
    const { stat } = entry
    if (this.#options.consuming && isMountPoint(stat)) {
      throw new MountPointError(displayName(describePlace(this.#kernel, source)))
    }
    if (stat.type === 'directory') return this.#copyDirectory(member)
    if (stat.nlink > 1 && this.#linkMember(member)) return this.#counted(entry)
    const staged = this.#stage(member)
    this.#lose(entry.name, staged.lost)
    if (staged.finalFlags !== undefined) this.#finalFlags.push({ name: entry.name, flags: staged.finalFlags })
    this.#sum(staged.copy)
    return this.#counted({ name: entry.name, stat: staged.stat })
  }

  /**
   * One look at a file instead of two: when it has been read it is compared with what its directory showed, and one that
   * has changed since then is looked at anew.
   */
  #stage({ source, target, entry: { stat } }: Member): StagedObject {
    const inheritance = this.#inheritance
    try {
      return stageCopy(this.#bestEffort, source, target, { stat, inheritance, isPrivate: true, mustBeUnchanged: true })
    } catch (error) {
      if (!(error instanceof SourceChangedError)) throw error
      return stageCopy(this.#bestEffort, source, target, { stat, inheritance, isPrivate: true })
    }
  }

  #copyDirectory({ source, target, entry }: Member): CopiedObject {
    const kernel = this.#kernel
    return withDescriptor(kernel, openDirectory(kernel, source), (from) => {
      const stat = unswapped(kernel, source, { now: kernel.fstat(from), known: entry.stat })
      this.#refuseIntoItself(source, stat)
      kernel.mkdirat(target.directory, target.name, 0o700)
      return withDescriptor(kernel, openDirectory(kernel, target), (to) => this.#fill({ from, to, stat }, entry.name))
    })
  }

  #refuseIntoItself(member: Place, stat: Stat): void {
    if (this.#ends === undefined || !isSameObject(stat, this.#ends.copyIsIn)) return
    const path = (place: Place) => displayName(describePlace(this.#kernel, place))
    throw new IntoItselfError(path(this.#ends.source), path(member))
  }

  /** Gives an inode that was already copied its further name; false for the first name, or where links are refused. */
  #linkMember({ target, entry }: Member): boolean {
    const key = `${entry.stat.dev}:${entry.stat.ino}`
    const first = this.#firstNames.get(key)
    if (first === undefined || this.#root === undefined) {
      this.#firstNames.set(key, entry.name)
      return false
    }
    const root = this.#root
    const links = new Losses()
    const linked = links.attempt('links', () => this.#kernel.linkat(root, first, target.directory, target.name))
    this.#lose(entry.name, links.list)
    return linked
  }

  #lose(path: Name, lost: readonly Loss[]): void {
    for (const loss of lost) this.#lost.push(path === '' ? loss : { ...loss, path: displayName(path) })
  }

  #sum(report: CopyReport | undefined): void {
    if (report === undefined) return
    this.#copy.bytes += report.bytes
    this.#copy.holes += report.holes
    for (const [method, bytes] of Object.entries(report.bytesByMethod)) {
      this.#copy.bytesByMethod[method] = (this.#copy.bytesByMethod[method] ?? 0) + bytes
    }
  }

  #counted(entry: TreeEntry): CopiedObject {
    this.#count(entry)
    return { stat: recordOf(entry.stat) }
  }

  #count(entry: TreeEntry): void {
    this.#copy.entries++
    this.#options.onEntry?.(entry)
  }
}

interface OpenPair {
  readonly from: Fd
  readonly to: Fd
  readonly stat: Stat
}

interface Member {
  readonly source: Place
  readonly target: Place
  readonly entry: TreeEntry
}

/**
 * The tree decides its owners, modes and ACLs: what its place would hand down (a default ACL, a group) is taken off
 * before the first child can inherit it.
 */
function refuseInheritance(kernel: Kernel, directory: Fd): void {
  for (const name of kernel.listXattrs(directory)) {
    if (name === accessAcl || name === defaultAcl) removeXattr(kernel, directory, name)
  }
  kernel.fchmod(directory, 0o700)
}

/** Little enough to be kept for a million objects. */
function recordOf({ type, ino, dev, size, mtimeNs }: Stat): CopiedObject['stat'] {
  return { type, ino, dev, size, mtimeNs }
}
