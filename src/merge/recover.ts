// Recovery: what the last marker in the journal says shall become of a transaction that was left behind.

import { displayName, isSyscallError, type Name } from '../sys/index.ts'
import { RecoveryPendingError } from './errors.ts'
import { Journal, type JournalState, type Marker } from './journal.ts'
import { StagingArea, stepContext } from './stagingArea.ts'
import type { State } from './state.ts'
import { applyStep, cleanUpStep, type Step, type StepContext, undoSteps, whereIs } from './steps.ts'
import type { LeftOver } from './transaction.ts'

/** What recovery does with a transaction. */
export type RecoveryAction = 'nothing' | 'discard' | 'finish' | 'undo' | 'clean up'

/** One action for each marker that can be the last one (TRANSACTION.md section 2). */
export const recoveryActions: Readonly<Record<Marker, RecoveryAction>> = {
  begin: 'discard', // nothing was visible
  commit: 'finish', // everything staged is durable, renames may have begun
  abort: 'undo', // a live process failed and was undoing
  final: 'clean up', // every rename and record is durable; undo is forbidden
  end: 'nothing',
}

/** What recovery found and did. */
export interface RecoveryReport {
  readonly action: RecoveryAction
  readonly packages: readonly string[]
  /** Names that nobody of this transaction made, and that were left alone. */
  readonly leftOvers: readonly LeftOver[]
}

/** The transaction that was left behind in a root, if any; needs no lock and writes nothing. */
export function pendingTransaction(state: State): JournalState | undefined {
  const directory = state.find()
  if (directory === undefined) return undefined
  const { kernel, path } = state.root
  if (kernel.findat(directory.fd, 'journal') === undefined) return undefined
  const read = Journal.readOnly(kernel, directory.fd, path)
  return read === undefined || read.marker === 'end' ? undefined : read
}

/**
 * Brings a locked root out of a transaction that was left behind.
 *
 * @param undo  undo a committed transaction instead of finishing it
 * @throws {RecoveryPendingError} when the kernel refuses; the journal stays
 */
export function recoverRoot(state: State, undo = false): RecoveryReport {
  const pending = pendingTransaction(state)
  if (pending === undefined) return { action: 'nothing', packages: [], leftOvers: [] }
  const action = undo && pending.marker === 'commit' ? 'undo' : recoveryActions[pending.marker]
  try {
    return { action, packages: pending.packages, leftOvers: bringOut(state, pending, action) }
  } catch (error) {
    if (!isSyscallError(error)) throw error
    const hint =
      action === 'finish' ? { hint: 'Mend that and run rootmerge recover, or rootmerge recover --undo.' } : {}
    throw new RecoveryPendingError(state.root.path, error.message, { cause: error, ...hint })
  }
}

function bringOut(state: State, pending: JournalState, action: RecoveryAction): LeftOver[] {
  const { root } = state
  const leftOvers: LeftOver[] = []
  const leftOver = (name: Name, reason: string) => void leftOvers.push({ name: displayName(name), reason })
  const area = new StagingArea(root, pending.id, pending.directories)
  const journal = Journal.resume(root.kernel, state.make().fd, root.path)
  const context = stepContext(area, pending.committedNs, leftOver)
  try {
    area.openFileSystems()
    if (action === 'discard') discard(area, context)
    if (action === 'undo') undoAll(area, context, pending, journal)
    if (action === 'finish') finish(area, context, pending.steps, journal)
    if (action === 'finish' || action === 'clean up') for (const step of pending.steps) cleanUpStep(context, step)
    area.syncFileSystems()
    journal.end()
    return leftOvers
  } finally {
    area.close()
    journal.close()
  }
}

function discard(area: StagingArea, context: StepContext): void {
  area.discard(context)
  area.restoreTimes(context)
}

/** Applies what was not yet applied, payload before records, as the live commit would have. */
function finish(area: StagingArea, context: StepContext, steps: readonly Step[], journal: Journal): void {
  for (const phase of ['payload', 'record'] as const) {
    for (const step of steps) {
      if (step.phase !== phase) continue
      const whereabouts = whereIs(context, step)
      if (whereabouts === 'before' || whereabouts === 'either') applyStep(context, step)
      if (whereabouts === 'foreign') context.leftOver(step.name, 'is neither the old nor the new object')
    }
    area.syncFileSystems()
  }
  journal.mark('final')
}

/** Takes back what was applied, last first. */
function undoAll(area: StagingArea, context: StepContext, pending: JournalState, journal: Journal): void {
  if (pending.marker !== 'abort') journal.mark('abort')
  undoSteps(context, pending.steps)
  discard(area, context)
}
