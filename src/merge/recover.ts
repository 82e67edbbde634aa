// Recovery: what the last marker in the journal says shall become of a transaction that was left behind.

import { isSyscallError } from '../sys/index.ts'
import { isSameBoot } from './bootId.ts'
import { NotMountedError, RecoveryPendingError, RootChangedError } from './errors.ts'
import { Flush } from './flush.ts'
import { Journal, type JournalState, type Marker } from './journal.ts'
import { rememberFinished, type ScanReport } from './scan.ts'
import { StagingArea, stepContext } from './stagingArea.ts'
import type { State } from './state.ts'
import { applyStep, checkDisplaced, cleanUpStep, type Step, type StepContext, undoSteps, whereIs } from './steps.ts'
import { type LeftOver, Told } from './transaction.ts'

/** What recovery does with a transaction. */
export type RecoveryAction = 'nothing' | 'discard' | 'finish' | 'undo' | 'clean up'

/** What decides: the last marker, and whether what stands before it can be relied upon. */
export interface RecoverySituation {
  readonly marker: Marker
  /** Everything that a marker promises was flushed before it, or the kernel that was told to write it still runs. */
  readonly isReliable: boolean
  /** Whether the caller asked for undoing. */
  readonly undo: boolean
}

type Row = readonly [marker: Marker, reliable: boolean | 'any', undo: boolean | 'any', action: RecoveryAction]

/** One action for each situation (TRANSACTION.md section 2). */
export const recoveryTable: readonly Row[] = [
  ['begin', 'any', 'any', 'discard'], // nothing was visible
  ['commit', true, false, 'finish'], // everything staged is durable, renames may have begun
  ['commit', true, true, 'undo'],
  ['commit', false, 'any', 'undo'], // what was staged may be empty files by now
  ['abort', 'any', 'any', 'undo'], // a live process failed and was undoing
  ['final', 'any', 'any', 'clean up'], // every rename and record is durable; undo is forbidden
  ['end', 'any', 'any', 'nothing'],
]

/** The one action for a situation. */
export function recoveryActionFor({ marker, isReliable, undo }: RecoverySituation): RecoveryAction {
  const fits = (wanted: boolean | 'any', given: boolean) => wanted === 'any' || wanted === given
  const row = recoveryTable.find((each) => each[0] === marker && fits(each[1], isReliable) && fits(each[2], undo))
  if (row === undefined) throw new Error(`no action for ${marker}`)
  return row[3]
}

/** What recovery found and did. */
export interface RecoveryReport {
  readonly action: RecoveryAction
  readonly packages: readonly string[]
  /** Names that nobody of this transaction made, and that were left alone; old objects that are kept aside. */
  readonly leftOvers: readonly LeftOver[]
  /** What a scan for forgotten staging names found; only where one was asked for. */
  readonly scan?: ScanReport
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
 * @throws {RecoveryPendingError} when the kernel refuses, or a file system is not mounted; the journal stays
 */
export function recoverRoot(state: State, undo = false): RecoveryReport {
  const pending = pendingTransaction(state)
  if (pending === undefined) return { action: 'nothing', packages: [], leftOvers: [] }
  const { packages, isFlushed, bootId } = pending.beginning
  const isReliable = isFlushed || isSameBoot(state.root.kernel, bootId)
  const action = recoveryActionFor({ marker: pending.marker, isReliable, undo })
  try {
    const recovered = new Recovery(state, pending, isReliable).run(action)
    const isFinished = recovered.action === 'finish' || recovered.action === 'clean up'
    if (isFinished && recovered.leftOvers.length > 0) rememberFinished(state, pending.id)
    return { packages, ...recovered }
  } catch (error) {
    throw pendingError(state, action, error)
  }
}

function pendingError({ root }: State, action: RecoveryAction, error: unknown): unknown {
  if (error instanceof NotMountedError) {
    return new RecoveryPendingError(root.path, error.message, { cause: error, hint: error.hint ?? '' })
  }
  if (error instanceof RootChangedError) return new RecoveryPendingError(root.path, error.message, { cause: error })
  if (!isSyscallError(error)) return error
  const hint = action === 'finish' ? { hint: 'Mend that and run rootmerge recover, or rootmerge recover --undo.' } : {}
  return new RecoveryPendingError(root.path, error.message, { cause: error, ...hint })
}

class Recovery {
  readonly #area: StagingArea
  readonly #journal: Journal
  readonly #context: StepContext
  readonly #flush: Flush
  readonly #pending: JournalState
  readonly #isReliable: boolean
  readonly #told = new Told()

  constructor(state: State, pending: JournalState, isReliable: boolean) {
    const { root } = state
    const { leftOver, note } = this.#told
    this.#pending = pending
    this.#isReliable = isReliable
    this.#area = new StagingArea(root, pending.id, pending.directories, pending.takings)
    this.#journal = Journal.resume(root.kernel, state.make().fd, root.path)
    this.#context = stepContext(this.#area, { members: pending.members, isRecovering: true, leftOver, note })
    this.#flush = new Flush(this.#area, 'transaction')
  }

  run(wanted: RecoveryAction): Pick<RecoveryReport, 'action' | 'leftOvers'> {
    const { steps } = this.#pending
    try {
      this.#area.openFileSystems()
      const action = wanted === 'finish' && !this.#finish(steps) ? 'undo' : wanted
      if (action === 'undo') this.#undo(steps)
      if (action === 'discard') this.#discard()
      if (action === 'finish' || action === 'clean up') {
        for (const step of steps) cleanUpStep(this.#context, step)
        this.#area.takings.removeRemainders(this.#context.leftOver)
        this.#flush.kept(this.#context, steps)
      }
      this.#flush.names(this.#context)
      this.#journal.end()
      return { action, leftOvers: this.#told.leftOvers }
    } finally {
      this.#area.close()
      this.#journal.close()
    }
  }

  /**
   * Applies what was not yet applied, payload before records, as the live commit would have; false when somebody
   * changed meanwhile what is displaced, so that it has to be undone.
   */
  #finish(steps: readonly Step[]): boolean {
    try {
      for (const phase of ['payload', 'record'] as const) {
        for (const step of steps) if (step.phase === phase) this.#finishStep(step)
        this.#flush.names(this.#context, steps)
      }
    } catch (error) {
      if (!(error instanceof RootChangedError)) throw error
      this.#told.leftOver(error.path, 'was changed by somebody else, so the merge was undone')
      return false
    }
    this.#journal.mark('final')
    return true
  }

  #finishStep(step: Step): void {
    const whereabouts = whereIs(this.#context, step)
    if (whereabouts === 'before' || whereabouts === 'either') applyStep(this.#context, step)
    if (whereabouts === 'foreign') this.#context.leftOver(step.name, 'is neither the old nor the new object')
    else if (step.kind === 'replace' || step.kind === 'remove') checkDisplaced(this.#context, step)
  }

  /** Takes back what was applied, last first. */
  #undo(steps: readonly Step[]): void {
    if (this.#pending.marker !== 'abort') this.#journal.mark('abort')
    undoSteps(this.#context, steps)
    this.#discard()
  }

  /** Where the journal may have lost its end, an object that is older than the transaction was displaced by it. */
  #discard(): void {
    this.#area.discard(this.#context, this.#isReliable ? undefined : BigInt(this.#pending.beginning.timeNs))
    this.#area.restoreTimes(this.#context)
  }
}
