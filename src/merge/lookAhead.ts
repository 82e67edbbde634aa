// Comparing files before the plan asks: many at once, by all threads. A plan decides entry after entry, and what it
// waits for mostly is reading two files for each of them.

import { baseName, joinName, type Name, parentName, type Stat } from '../sys/index.ts'
import type { Comparison } from './live.ts'
import type { Root } from './root.ts'
import type { StageTask } from './stageTask.ts'
import type { BegunTasks, StageThreads } from './stageThreads.ts'
import { sizeOf, type TreeEntry } from './treeImage.ts'

/** Entries that are looked at before the first of them is decided. */
const entriesAhead = 4096
/** So many comparisons are worth waking other threads. */
const fewComparisons = 64

/** A live object that was looked at, and how it compares with an entry. */
export interface Seen {
  readonly live: Stat
  readonly comparison: Comparison
}

/** Where an entry leads by what is there now: what the plan changes on its way is not known yet. */
interface Candidate {
  readonly entry: TreeEntry
  readonly liveName: Name
  readonly live: Stat
}

/** Entries that follow each other, and what is being learned of them. */
interface Block {
  readonly entries: readonly TreeEntry[]
  readonly comparisons: BegunTasks<Candidate> | undefined
}

/** Looks ahead in one image. */
export class LookAhead {
  readonly #root: Root
  readonly #threads: StageThreads
  readonly #image: number
  readonly #seen = new Map<Name, Seen & Pick<Candidate, 'liveName'>>()

  /** @param image  the image's number */
  constructor(root: Root, threads: StageThreads, image: number) {
    this.#root = root
    this.#threads = threads
    this.#image = image
  }

  /**
   * The entries as they come, each when what was learned of it can be taken: while one block of them is decided and
   * another one is read, the other threads compare what lies between.
   */
  *over(entries: Iterable<TreeEntry>): Generator<TreeEntry> {
    let compared: Block | undefined
    try {
      for (const block of this.#blocks(entries)) {
        const known = this.#finish(compared)
        compared = this.#begin(block)
        yield* known
      }
      yield* this.#finish(compared)
    } finally {
      compared?.comparisons?.abandon()
    }
  }

  /** What is known of an entry and the object that it leads to, where that has this name. */
  of(entry: TreeEntry, liveName: Name): Seen | undefined {
    const seen = this.#seen.get(entry.name)
    return seen?.liveName === liveName ? seen : undefined
  }

  *#blocks(entries: Iterable<TreeEntry>): Generator<readonly TreeEntry[]> {
    let block: TreeEntry[] = []
    for (const entry of entries) {
      block.push(entry)
      this.#threads.expectTask()
      if (block.length < entriesAhead) continue
      yield block
      block = []
    }
    yield block
  }

  #begin(entries: readonly TreeEntry[]): Block {
    const candidates = this.#threads.haveHelp ? this.#candidates(entries) : []
    if (candidates.length < fewComparisons) return { entries, comparisons: undefined }
    return { entries, comparisons: this.#threads.begin(candidates, (candidate) => this.#taskOf(candidate)) }
  }

  #finish(block: Block | undefined): readonly TreeEntry[] {
    this.#seen.clear()
    block?.comparisons?.finish(({ entry, live, liveName }, { facts, digest }) => {
      const comparison = facts?.comparison ?? { live: 'same', xattrs: [] }
      const sha256 = digest === undefined ? {} : { sha256: Buffer.from(digest).toString('hex') }
      this.#seen.set(entry.name, { live, liveName, comparison: { ...comparison, ...sha256 } })
    })
    return block?.entries ?? []
  }

  /** Regular files of the size of what is there: others differ without being read. */
  #candidates(entries: readonly TreeEntry[]): Candidate[] {
    const candidates: Candidate[] = []
    let parent: { readonly name: Name; readonly liveName: Name | undefined } | undefined
    for (const entry of entries) {
      if (entry.type !== 'file') continue
      const name = parentName(entry.name)
      if (parent?.name !== name) parent = { name, liveName: this.#root.findDirectory(name)?.name }
      if (parent.liveName === undefined) continue
      const liveName = joinName(parent.liveName, baseName(entry.name))
      const live = this.#root.find(liveName)
      if (live?.type === 'file' && live.size === sizeOf(entry)) candidates.push({ entry, liveName, live })
    }
    return candidates
  }

  #taskOf({ entry, liveName }: Candidate): StageTask {
    return {
      kind: 'compare',
      image: this.#image,
      directory: parentName(entry.name),
      name: baseName(entry.name),
      stagedDirectory: parentName(liveName),
      stagedName: baseName(liveName),
      stat: entry.stat,
      isPrivate: false,
      digests: false,
      identifies: false,
    }
  }
}
