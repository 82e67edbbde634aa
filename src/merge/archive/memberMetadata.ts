// What a member says of itself, put onto the object that was made of it.

import {
  type Attributes,
  type AttributeTarget,
  applyAttributes,
  closedMode,
  type Inherited,
  isCopied,
  MetadataLostError,
  type MetadataPolicy,
  mayHaveAtOnce,
} from '../../movefile/index.ts'
import { displayName, type Fd, type FileType, type Kernel, type Name } from '../../sys/index.ts'
import type { LostOf } from '../lostMetadata.ts'
import type { Member } from './member.ts'

/** The parts of a member that become metadata. */
export type MemberFacts = Pick<Member, 'uid' | 'gid' | 'mode' | 'mtimeNs' | 'xattrs'>

/** Puts metadata onto objects of one hidden tree. */
export class MemberMetadata {
  /** What could not be kept, where that is allowed. */
  readonly lost: LostOf[] = []
  /** What the tree gives to an object that is made in it. */
  readonly inherited: Inherited
  readonly #kernel: Kernel
  readonly #policy: MetadataPolicy
  /** As an ordinary user everything is one's own. */
  readonly #isRoot = process.geteuid?.() === 0
  readonly #made = new Map<number, Inherited>()

  constructor(kernel: Kernel, tree: Fd, policy: MetadataPolicy) {
    this.#kernel = kernel
    this.#policy = policy
    const { uid, gid } = kernel.fstat(tree)
    this.inherited = { uid, gid, acl: false }
  }

  /** @throws {MetadataLostError} where all of it is required */
  apply(target: AttributeTarget, name: Name, facts: MemberFacts): void {
    const lost = applyAttributes(this.#kernel, target, this.#attributes(target.type, facts), this.#policy)
    if (lost.length > 0 && this.#policy.metadata === 'require') throw new MetadataLostError(displayName(name), lost)
    if (lost.length > 0) this.lost.push({ name, losses: lost })
  }

  /** Files of our own are made with their final bits: nobody else gets into the tree, and a call is saved. */
  modeToMake({ uid, gid, mode }: MemberFacts): number {
    const isOwn = !this.#isRoot || (uid === this.inherited.uid && gid === this.inherited.gid)
    return isOwn && mayHaveAtOnce(mode) ? mode : closedMode
  }

  /** What a file that was made with some bits has; which of them the umask took away is asked once. */
  inheritedWith(fd: Fd, mode: number): Inherited {
    let inherited = this.#made.get(mode)
    if (inherited === undefined) {
      inherited = this.#kernel.fstat(fd).mode === mode ? { ...this.inherited, mode } : this.inherited
      this.#made.set(mode, inherited)
    }
    return inherited
  }

  #attributes(type: FileType, facts: MemberFacts): Attributes {
    const { mode, mtimeNs, xattrs } = facts
    const kept = xattrs.length === 0 ? xattrs : xattrs.filter((xattr) => isCopied(xattr.name, type, this.#policy))
    const owner = this.#isRoot ? facts : this.inherited
    return { uid: owner.uid, gid: owner.gid, mode, atimeNs: mtimeNs, mtimeNs, xattrs: kept }
  }
}
