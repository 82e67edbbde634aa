// The directories above the state that had to be made for it: the engine's own, as long as no package has them.
//
// They take the metadata of the first image that brings them, and go when they are empty, which they are once the state
// was moved elsewhere. A record in the state remembers them.

import { lockStaged, newStagingName, quietly, removeAbandoned, removeTree, withDescriptor } from '../movefile/index.ts'
import {
  baseName,
  isSyscallError,
  joinName,
  type Kernel,
  type Name,
  O_CREAT,
  O_EXCL,
  O_NOFOLLOW,
  O_WRONLY,
  RENAME_NOREPLACE,
  type Stat,
} from '../sys/index.ts'
import type { RecordedEntry } from './entry.ts'
import type { RecordedName, Removal } from './obsolete.ts'
import { recordBytes } from './record.ts'
import { type Directory, isWithin, makeDirectories, type Root } from './root.ts'
import { stageRecord } from './stageRecord.ts'
import type { StagingArea } from './stagingArea.ts'
import { type State, writeWhole } from './state.ts'
import type { StagedStep } from './transaction.ts'

/** The directory of their record inside the state, and what the record calls itself. */
const parents = 'parents'

/**
 * Makes the directories above a state that are missing, and the state with their record in it, by one rename: who dies
 * meanwhile leaves a hidden directory, which the next one removes.
 *
 * Where that is not possible it makes nothing, and the caller makes them in place: nobody remembers them then.
 */
export function makeParents(root: Root, state: Name): void {
  const { kernel } = root
  const [above, missing] = missingAbove(root, state)
  const [top] = missing
  if (top === undefined) return
  removeAbandoned(kernel, above.fd)
  const staging = newStagingName('move')
  const hidden = joinName(above.name, staging)
  const aside = (name: Name) => hidden + name.slice(top.length)
  try {
    lockStaged(kernel, makeDirectories(root, hidden).fd)
    const directory = joinName(joinName(missing.at(-1) as Name, baseName(state)), parents)
    const made = makeDirectories(root, aside(directory))
    const entries = missing.map((name) => ownEntry(joinName(above.name, name), root.find(aside(name)) as Stat))
    writeParents(kernel, made, entries)
    kernel.renameat(above.fd, staging, above.fd, top, RENAME_NOREPLACE)
  } catch (error) {
    if (!isSyscallError(error)) throw error
    quietly(() => removeTree(kernel, { directory: above.fd, name: staging }))
  } finally {
    root.forget(hidden)
  }
}

/** The last directory above a state that is there, and those that are missing, relative to it. */
function missingAbove(root: Root, state: Name): [Directory, Name[]] {
  const components = state.split('/').slice(0, -1)
  const upTo = (end: number, from = 0) => components.slice(from, end).join('/')
  let there = 0
  while (there < components.length && root.findDirectory(upTo(there + 1)) !== undefined) there++
  const missing = components.slice(there).map((_, index) => upTo(there + index + 1, there))
  return [root.directory(upTo(there)), missing]
}

function ownEntry(name: Name, { uid, gid, mode, mtimeNs }: Stat): RecordedEntry {
  return { name, type: 'directory', uid, gid, mode, mtimeNs, size: 0, xattrs: [] }
}

function writeParents(kernel: Kernel, { fd: directory }: Directory, entries: readonly RecordedEntry[]): void {
  const fd = kernel.openat(directory, 'record', O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o644)
  withDescriptor(kernel, fd, () => {
    for (const chunk of recordBytes({ packageName: parents, entries })) writeWhole(kernel, fd, chunk)
    kernel.fchmod(fd, 0o644)
    kernel.fsync(fd) // what has this name is whole
  })
}

/** The engine's own directories above the state, by name. @throws {CorruptRecordError} */
export function readParents(state: State): ReadonlyMap<Name, RecordedEntry> {
  const record = state.findRecordIn(joinName(state.name, parents))
  return new Map(record?.entries.map((entry) => [entry.name, entry]))
}

/** Own directories that the state no longer lies in: they go when they are empty, with what `packageName` had. */
export function strayParents(state: State, packageName: string): RecordedName[] {
  const name = state.find()?.name ?? state.name
  return [...readParents(state).values()]
    .filter((entry) => !isWithin(name, entry.name) && state.root.find(entry.name)?.type === 'directory')
    .map((entry) => ({ packageName, entry }))
}

/** What names that go mean for the engine's own directories. */
type Going = readonly Pick<Removal, 'entry' | 'liveName'>[]

/**
 * The engine's own directories after some names went; undefined when that is what they were before.
 *
 * One that stays because the state is in it keeps the metadata that its package gave it, for the next one to change.
 */
function parentsAfter(state: State, removals: Going): RecordedEntry[] | undefined {
  if (!removals.some(({ entry }) => entry.type === 'directory')) return undefined
  const before = readParents(state)
  const going = new Map(removals.map(({ entry, liveName }) => [liveName, entry]))
  if (![...before.keys()].some((name) => going.has(name))) return undefined
  const stateName = state.find()?.name ?? state.name
  return [...before.values()]
    .filter(({ name }) => isWithin(stateName, name))
    .map((own) => {
      const { uid, gid, mode } = going.get(own.name) ?? own
      return { ...own, uid, gid, mode }
    })
}

/** The directory of their record, where a transaction has to write it. */
export function parentsDirectory(state: State, removals: Going): Name[] {
  if (parentsAfter(state, removals) === undefined) return []
  return [state.root.directory(joinName(state.name, parents)).name]
}

/** Stages their record, where it changes. */
export function stageParents(state: State, area: StagingArea, removals: Going): StagedStep[] {
  const after = parentsAfter(state, removals)
  if (after === undefined) return []
  const directory = state.root.directory(joinName(state.name, parents))
  return [stageRecord(state.root, area, directory, recordBytes({ packageName: parents, entries: after }))]
}
