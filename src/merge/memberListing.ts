// Lists what was staged as a whole in threads that have nothing else to do, while the engine's own writes the records.

import type { EngineContext } from '../sys/engineThread.ts'
import { baseName, type EngineShares, type Fd, type Name, parentName } from '../sys/index.ts'
import { type KeptMembers, keptMembers, listMembers, type MembersRecord } from './members.ts'
import { Root } from './root.ts'

/** What a thread is given. */
interface ListingShare {
  readonly root: Fd
  /** Staging names of directories, from the root. */
  readonly trees: readonly Name[]
  /** The next of them that no thread has. */
  readonly next: SharedArrayBuffer
}

/** What a thread answers: trees that it has listed, by their names. */
type ListedTrees = readonly (readonly [stagedName: Name, members: readonly SentMembers[]])[]

/** Records one behind the other, in memory that threads share: in a message a million members would be copied twice. */
interface SentMembers {
  readonly payloads: SharedArrayBuffer
  /** How many members each record has, and how many bytes. */
  readonly records: readonly (readonly [count: number, bytes: number])[]
}

/** Bytes of records that are sent as one, at least. */
const sentAtOnce = 256 * 1024

/** Lists trees until no thread has any left. For EngineShares. */
export function listShare({ kernel, cancel }: EngineContext, share: ListingShare): ListedTrees {
  const next = new Int32Array(share.next)
  const root = Root.of(kernel, share.root)
  try {
    const listed: [Name, SentMembers[]][] = []
    const takeNext = () => share.trees[Atomics.add(next, 0, 1)]
    for (let tree = takeNext(); tree !== undefined; tree = takeNext()) {
      cancel.check()
      const place = { directory: root.directory(parentName(tree)).fd, name: baseName(tree) }
      const records = listMembers(kernel, place, { staging: place.name, which: 'staged' }, () => cancel.check())
      listed.push([tree, [...sent(records)]])
    }
    return listed
  } finally {
    root.close()
  }
}

function* sent(records: Iterable<MembersRecord>): Generator<SentMembers> {
  let some: KeptMembers[] = []
  let bytes = 0
  for (const record of records) {
    const kept = keptMembers(record)
    some.push(kept)
    bytes += kept.payload.length
    if (bytes < sentAtOnce) continue
    yield pack(some, bytes)
    some = []
    bytes = 0
  }
  yield pack(some, bytes)
}

function pack(some: readonly KeptMembers[], bytes: number): SentMembers {
  const payloads = new SharedArrayBuffer(bytes)
  const memory = new Uint8Array(payloads)
  let start = 0
  for (const { payload } of some) {
    memory.set(payload, start)
    start += payload.length
  }
  return { payloads, records: some.map(({ count, payload }) => [count, payload.length]) }
}

/** Lets threads that are there list what was staged as a whole; undefined where there are none, or nothing is to be listed. */
export function beginListing(
  threads: EngineShares | undefined,
  root: Fd,
  trees: readonly Name[],
): MemberListing | undefined {
  return threads && trees.length > 0 ? new MemberListing(threads, root, trees) : undefined
}

/** The members of what was staged, as other threads find them. */
export class MemberListing {
  readonly #shares: EngineShares
  #listed: Map<Name, readonly KeptMembers[]> | undefined

  /** Begins. @param trees  staging names of directories, from the root, in which nothing is made any more */
  constructor(shares: EngineShares, root: Fd, trees: readonly Name[]) {
    this.#shares = shares
    const share: ListingShare = { root, trees, next: new SharedArrayBuffer(4) }
    shares.begin(share, 'listShare')
  }

  /** The members of a tree; undefined where no thread came to list it. Waits for all threads. @throws the first error of any */
  of(stagedName: Name): readonly KeptMembers[] | undefined {
    this.#listed ??= new Map(this.#shares.finish<ListedTrees>(() => {}).flatMap((listed) => listed.map(received)))
    return this.#listed.get(stagedName)
  }
}

function received([stagedName, members]: ListedTrees[number]): [Name, readonly KeptMembers[]] {
  return [stagedName, members.flatMap(unpack)]
}

function unpack({ payloads, records }: SentMembers): KeptMembers[] {
  let start = 0
  return records.map(([count, bytes]) => {
    const payload = Buffer.from(payloads, start, bytes)
    start += bytes
    return { count, payload }
  })
}
