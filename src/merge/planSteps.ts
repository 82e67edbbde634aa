// The steps of a plan as callers read them: encoded in the engine's thread, decoded one by one where they are read.
//
// A million objects would hold up the reader's event loop for a second; shared bytes arrive at once.

import { displayName, type FileType, type Name, nameBytes, parentName } from '../sys/index.ts'
import type { KeptName } from './obsolete.ts'
import { type Changes, commitRank, entriesOf, type PlannedEntry } from './plan.ts'
import { changing, goesWhenEmpty } from './removalSteps.ts'
import { sizeOf } from './treeImage.ts'

/**
 * What a step does, in the order in which a transaction does it; `save` is the new name of a live file, `keep` does
 * nothing, and says why.
 */
export const planActions = [
  'save',
  'changeDirectory',
  'newDirectory',
  'place',
  'replace',
  'refresh',
  'setAside',
  'remove',
  'restore',
  'removeDirectory',
  'keep',
] as const

/** A kind of step; `removeDirectory` only if it is empty by then. */
export type PlanAction = (typeof planActions)[number]

/** One change of one name. */
export interface PlanStep {
  readonly action: PlanAction
  readonly package: string
  /** Relative to the root, without symlinks, escaped for reading. */
  readonly name: string
  /** The name's bytes in base64. */
  readonly bytes: string
  readonly type: FileType
  /** Bytes of a file's payload. */
  readonly size: number
  /** Why a name stays. */
  readonly reason?: KeptName['reason']
}

/** Steps as they cross between threads: fields ended by NUL, six a step, no step in two chunks. */
export interface EncodedSteps {
  readonly count: number
  readonly chunks: readonly SharedArrayBuffer[]
}

const fields = 6
const chunkBytes = 256 * 1024

/** Every step of a plan, in the order of the commit. */
export function encodeSteps(plan: Changes): EncodedSteps {
  const chunks: SharedArrayBuffer[] = []
  let [text, count] = ['', 0]
  const flush = () => {
    const chunk = new SharedArrayBuffer(text.length)
    Buffer.from(chunk).write(text, 'latin1')
    chunks.push(chunk)
    text = ''
  }
  for (const step of stepsOf(plan)) {
    text += `${step.join('\0')}\0`
    count++
    if (text.length >= chunkBytes) flush()
  }
  if (text !== '') flush()
  return { count, chunks }
}

/** Action, package, type, size, name, reason. */
type EncodedStep = readonly [PlanAction, string, FileType, number, Name, string]

function* stepsOf({ packages, removals, kept, config, restorations }: Changes): Generator<EncodedStep> {
  for (const { packageName, to, live } of config.saves) yield ['save', packageName, live.type, live.size, to, '']
  const changes: PlannedEntry[] = []
  const placed: PlannedEntry[] = []
  const members = new Map<Name, PlannedEntry[]>()
  for (const planned of entriesOf({ packages })) {
    if (!changing.has(planned.fate)) continue
    if (planned.fate === 'changeDirectory') changes.push(planned)
    else if (!planned.isInNewDirectory) placed.push(planned)
    else addMember(members, planned)
  }
  for (const planned of changes) yield encode(planned)
  for (const planned of placed.sort((a, b) => commitRank(a) - commitRank(b))) yield* withMembers(planned, members)
  const gone = removals.toReversed()
  for (const removal of gone) {
    const { packageName, entry, live, liveName } = removal
    if (!goesWhenEmpty(removal)) yield ['remove', packageName, live.type, entry.size, liveName, '']
  }
  for (const {
    kept: { name },
    stat,
  } of restorations)
    yield ['restore', '', stat.type, stat.size, name, '']
  for (const removal of gone) {
    if (goesWhenEmpty(removal)) yield ['removeDirectory', removal.packageName, 'directory', 0, removal.liveName, '']
  }
  for (const { packageName, reason, entry } of kept)
    yield ['keep', packageName, entry.type, entry.size, entry.name, reason]
}

function addMember(members: Map<Name, PlannedEntry[]>, planned: PlannedEntry): void {
  const directory = parentName(planned.liveName)
  const others = members.get(directory)
  if (others === undefined) members.set(directory, [planned])
  else others.push(planned)
}

/** An entry, and after a new directory what comes with it. */
function* withMembers(planned: PlannedEntry, members: ReadonlyMap<Name, PlannedEntry[]>): Generator<EncodedStep> {
  yield encode(planned)
  if (planned.fate !== 'newDirectory') return
  for (const member of members.get(planned.liveName) ?? []) yield* withMembers(member, members)
}

function encode({ entry, fate, from, live, liveName }: PlannedEntry): EncodedStep {
  const action = fate === 'place' && live !== undefined ? 'replace' : fate
  return [action as PlanAction, from.packageName, entry.type, sizeOf(entry), liveName, '']
}

/** The steps of a plan, in the order of the commit; each is decoded when it is read, so a million cost nothing before. */
export class PlanSteps implements Iterable<PlanStep> {
  /** How many there are. */
  readonly length: number
  readonly #chunks: readonly SharedArrayBuffer[]

  constructor({ count, chunks }: EncodedSteps) {
    this.length = count
    this.#chunks = chunks
  }

  *[Symbol.iterator](): Generator<PlanStep> {
    for (const chunk of this.#chunks) {
      const text = Buffer.from(chunk).toString('latin1')
      for (let start = 0; start < text.length; ) {
        const values: string[] = []
        for (let field = 0; field < fields; field++) {
          const end = text.indexOf('\0', start)
          values.push(text.slice(start, end))
          start = end + 1
        }
        yield decode(values)
      }
    }
  }
}

function decode(values: readonly string[]): PlanStep {
  const [action, packageName = '', type, size, name = '', reason] = values
  return {
    action: action as PlanAction,
    package: packageName,
    name: displayName(name),
    bytes: nameBytes(name).toString('base64'),
    type: type as FileType,
    size: Number(size),
    ...(reason ? { reason: reason as KeptName['reason'] } : {}),
  }
}
