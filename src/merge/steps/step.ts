// What a step is: its serialised forms, what it works with, and what every kind of step can do.

import type { FinalFlags } from '../../movefile/index.ts'
import type { Kernel, Name } from '../../sys/index.ts'
import type { ListedTree } from '../members.ts'
import type { Privileges } from '../privileges.ts'
import type { Directory } from '../root.ts'

/**
 * Which of the two objects that a step is about has the name now; `foreign`: neither of them; `either`: it does not
 * matter, since applying and undoing may both be done again.
 */
export type Whereabouts = 'before' | 'after' | 'either' | 'foreign'

/** When a step is applied: the records follow once every payload step is durable. */
export type Phase = 'payload' | 'record'

interface InDirectory {
  readonly phase: Phase
  /** The number of the journaled directory that holds the name. */
  readonly directory: number
  readonly name: Name
}

/** What a live object was when the plan was made, as the journal keeps it. */
export interface Seen {
  readonly ino: string
  readonly type: string
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  readonly mtimeNs: string
}

interface Staged extends InDirectory {
  readonly staging: Name
  /** The number of the directory that holds the staging name, where that is another one. */
  readonly stagingDirectory?: number
}

interface Placing extends Staged {
  /** The staged object's identity. */
  readonly identity: string
  /** Append and immutable flags, which forbid renaming: they are set after `final`. */
  readonly finalFlags?: readonly FinalFlags[]
  /** What was taken off while it was kept, and is set again after `final`. */
  readonly restores?: readonly Privileges[]
}

interface Displacing extends Staged {
  /** What is displaced, to be compared with what was; absent where nobody but us can have changed it. */
  readonly displaced?: Seen
  /** The displaced inode has another owned name, and keeps its set-id bits and capabilities for that. */
  readonly keepsSetId?: boolean
  /** What is displaced is kept: the number of the directory of all backups. */
  readonly backups?: number
  /** Where it is kept if that is on another file system: the nearest directory that stays, where its own one goes. */
  readonly keptIn?: number
}

/** A staged object gets a name that was free. */
export interface PlaceStep extends Placing {
  readonly kind: 'place'
  /** It is, or holds, what was taken out of an image: undoing gives it its staging name back, and removes nothing of it. */
  readonly isTaken?: boolean
}

/** A staged object and a live one change places; the live one then has the staging name. */
export interface ReplaceStep extends Placing, Displacing {
  readonly kind: 'replace'
}

/** A live object goes aside, under a staging name. */
export interface RemoveStep extends Displacing {
  readonly kind: 'remove'
}

/** A directory that the transaction may have emptied goes with the clean-up, if it is empty. */
export interface RemoveDirectoryStep extends InDirectory {
  readonly kind: 'removeDirectory'
}

/** Owner and permission bits of a directory. */
export interface DirectoryMetadata {
  readonly uid: number
  readonly gid: number
  readonly mode: number
}

/** A directory that only the package itself owns takes the new version's owner and mode. */
export interface ChangeDirectoryStep extends InDirectory {
  readonly kind: 'changeDirectory'
  readonly before: DirectoryMetadata
  readonly after: DirectoryMetadata
}

/** A step that displaces a live object. */
export type DisplacingStep = ReplaceStep | RemoveStep

/** A change of the root, as the journal keeps it. */
export type Step = PlaceStep | ReplaceStep | RemoveStep | RemoveDirectoryStep | ChangeDirectoryStep

/** What steps work with. */
export interface StepContext {
  readonly kernel: Kernel
  /** The transaction's. */
  readonly id: string
  /** Whether another process began this transaction, so that any step may be half done. */
  readonly isRecovering: boolean
  /** Opens a journaled directory, which is still the one that was journaled. */
  directory(number: number): Directory
  /** As directory, but undefined when it has gone. */
  findDirectory(number: number): Directory | undefined
  /** What was listed, before the commit, in the directory that has or had a staging name; undefined where nothing was. */
  membersOf(staging: Name, which: ListedTree): ReadonlyMap<Name, string> | undefined
  /** How many members were listed in the staged directory that has a staging name. */
  countMembers(staging: Name): number
  /** Directories, by number, in which the kernel declined to exchange two names. */
  readonly declinesExchange: Set<number>
  /** Something that could not be removed, or is not ours to remove. */
  leftOver(name: Name, reason: string): void
  /** Something that had to be done in another way than the best one. */
  note(text: string): void
}

/** What every kind of step can do; the law stands in `steps.ts`. */
export interface StepKind<S extends Step> {
  /** Makes the change, or what is still missing of it; everything that can fail for want of space has been done before. */
  apply(context: StepContext, step: S): void
  /** Takes the change back as far as the disk says that it was made; what others did meanwhile stays, and is told. */
  undo(context: StepContext, step: S): void
  /** Whether the change was applied, by what is on the disk. */
  where(context: StepContext, step: S): Whereabouts
  /** After `final`: removes what the change displaced. Idempotent. */
  cleanUp(context: StepContext, step: S): void
}
