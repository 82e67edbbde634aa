// A caller's filter is a function of its own thread, and the engine runs in another: questions go out as messages,
// answers come back through shared memory, on which the engine waits.

import { type CancelFlag, Cancelled, displayName, type FileType, type Name, nameBytes } from '../sys/index.ts'
import type { TreeEntry } from './tree.ts'

/** What a filter is asked about. */
export interface FilterEntry {
  /** The name below the top of the tree, escaped for reading where it is not UTF-8. */
  readonly path: string
  /** The same, exactly. */
  readonly pathBytes: Uint8Array
  readonly type: FileType
  readonly size: number
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly mtimeNs: bigint
}

/** Which members of a tree are copied; what is left out of a directory is left out with everything below it. */
export type Filter = (entry: FilterEntry) => boolean | Promise<boolean>

/** The questions about some members of one directory. */
export interface FilterQuestion {
  readonly kind: 'filter'
  readonly entries: readonly FilterEntry[]
}

/** Entries that one question asks about at most. */
const batch = 512
const waiting = 0
const answered = 1
const failed = 2
/** How long the engine waits before it looks whether it was cancelled. */
const patienceMs = 100

/** Memory for the answers: a state, then one byte an entry. */
export function answerMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(4 + batch)
}

/** In the engine's thread: a filter of whole directories that asks the caller's. */
export function askingFilter(
  memory: SharedArrayBuffer,
  ask: (question: FilterQuestion) => void,
  cancel: CancelFlag,
): (entries: readonly TreeEntry[]) => boolean[] {
  const state = new Int32Array(memory, 0, 1)
  const answers = new Uint8Array(memory, 4)
  const askBatch = (entries: readonly TreeEntry[]) => {
    Atomics.store(state, 0, waiting)
    ask({ kind: 'filter', entries: entries.map(entryOf) })
    while (Atomics.load(state, 0) === waiting) {
      Atomics.wait(state, 0, waiting, patienceMs)
      cancel.check()
    }
    if (Atomics.load(state, 0) === failed) throw new Cancelled('the filter has failed')
    return entries.map((_, index) => answers[index] === 1)
  }
  return (entries) => {
    const chosen: boolean[] = []
    for (let start = 0; start < entries.length; start += batch) {
      for (const answer of askBatch(entries.slice(start, start + batch))) chosen.push(answer)
    }
    return chosen
  }
}

/** In the caller's thread: answers questions; `fail` hears of what the filter throws. */
export function answeringFilter(
  memory: SharedArrayBuffer,
  filter: Filter,
  fail: (reason: unknown) => void,
): (question: FilterQuestion) => Promise<void> {
  const state = new Int32Array(memory, 0, 1)
  const answers = new Uint8Array(memory, 4)
  const finish = (outcome: number) => {
    Atomics.store(state, 0, outcome)
    Atomics.notify(state, 0)
  }
  return async ({ entries }) => {
    try {
      for (const [index, entry] of entries.entries()) answers[index] = (await filter(entry)) ? 1 : 0
      finish(answered)
    } catch (error) {
      fail(error)
      finish(failed)
    }
  }
}

function entryOf({ name, stat }: { name: Name; stat: TreeEntry['stat'] }): FilterEntry {
  const { type, size, mode, uid, gid, mtimeNs } = stat
  return { path: displayName(name), pathBytes: nameBytes(name), type, size, mode, uid, gid, mtimeNs }
}
