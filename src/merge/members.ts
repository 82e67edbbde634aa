// The members of a directory that a step moves as a whole: listed before it moves, so that later nothing is removed
// that somebody else put there.

import { withDescriptor } from '../movefile/index.ts'
import { type Fd, joinName, type Kernel, type Name, O_DIRECTORY, O_NOFOLLOW, O_RDONLY } from '../sys/index.ts'
import { identityOf } from './identity.ts'
import { payloadOf } from './journalFrames.ts'
import { inParts, membersPerRecord } from './recordParts.ts'

/** Which directory of a step was listed: the one that it places, or the one that it displaces. */
export type ListedTree = 'staged' | 'displaced'

/** Of which step a directory is. */
export interface TreeOfStep {
  /** The staging name of the step. */
  readonly staging: Name
  readonly which: ListedTree
}

/** Some members of such a directory, as the journal keeps them: a large directory takes several of these. */
export interface MembersRecord extends TreeOfStep {
  readonly kind: 'members'
  /** Where in the directory: '' is its top. */
  readonly within: Name
  /** Names, each with its identity. */
  readonly members: readonly (readonly [name: Name, identity: string])[]
}

/**
 * Lists a directory and all below it, each member with its identity.
 *
 * @param check  called before each member; what it throws ends the listing
 */
export function* listMembers(
  kernel: Kernel,
  { directory, name }: { directory: Fd; name: Name },
  of: TreeOfStep,
  check: () => void = () => {},
): Generator<MembersRecord> {
  const pending: Name[] = ['']
  for (let within = pending.pop(); within !== undefined; within = pending.pop()) {
    const top = joinName(name, within)
    const fd = kernel.openat(directory, top, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    yield* withDescriptor(kernel, fd, () => {
      const members: [Name, string][] = []
      for (const entry of kernel.readDirectory(fd)) {
        check()
        const type = entry.type ?? kernel.findat(fd, entry.name)?.type
        if (type === 'directory') pending.push(joinName(within, entry.name))
        members.push([entry.name, identityOf(kernel, fd, entry.name) ?? ''])
      }
      return inRecords(members).map((part) => ({ kind: 'members' as const, ...of, within, members: part }))
    })
  }
}

function inRecords(members: readonly [Name, string][]): (readonly (readonly [Name, string])[])[] {
  if (members.length === 0) return [[]] // that a directory was listed and empty has to be known too
  return [...inParts(members, membersPerRecord)]
}

/** A record as the journal's bytes: as objects, names and identities take twice the room. */
export interface KeptMembers {
  /** How many there are. */
  readonly count: number
  readonly payload: Buffer
}

/** A record as it is kept. */
export function keptMembers(record: MembersRecord): KeptMembers {
  return { count: record.members.length, payload: payloadOf(record) }
}

/** Everything that was listed in one transaction: identities by the name within their directory. */
export class Members {
  readonly #records = new Map<string, KeptMembers[]>()
  /** Made when they are first asked for: a transaction that succeeds needs none. */
  readonly #trees = new Map<string, ReadonlyMap<Name, string>>()

  add({ staging, which }: TreeOfStep, kept: KeptMembers): void {
    const key = keyOf(staging, which)
    const known = this.#records.get(key)
    if (known === undefined) this.#records.set(key, [kept])
    else known.push(kept)
    this.#trees.delete(key)
  }

  /** How many were listed. */
  count(staging: Name, which: ListedTree): number {
    return (this.#records.get(keyOf(staging, which)) ?? []).reduce((sum, { count }) => sum + count, 0)
  }

  of(staging: Name, which: ListedTree): ReadonlyMap<Name, string> | undefined {
    const key = keyOf(staging, which)
    const known = this.#trees.get(key)
    const records = this.#records.get(key)
    if (known !== undefined || records === undefined) return known
    const tree = new Map<Name, string>()
    for (const { payload } of records) {
      const { within, members } = JSON.parse(payload.toString('utf8')) as MembersRecord
      for (const [name, identity] of members) tree.set(joinName(within, name), identity)
    }
    this.#trees.set(key, tree)
    return tree
  }
}

function keyOf(staging: Name, which: ListedTree): string {
  return `${which}/${staging}`
}
