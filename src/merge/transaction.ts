// One transaction: stage, commit, records, final, clean-up; or undo. TRANSACTION.md is its specification.

import { randomBytes } from 'node:crypto'
import type { Place } from '../movefile/index.ts'
import { displayName, joinName, type Name, type Stat } from '../sys/index.ts'
import { forgetBackups, keeping, makeBackupDirectory, type NewBackup, stageBackup, stayingAfter } from './backups.ts'
import { readBootId } from './bootId.ts'
import { RecoveryPendingError, RootChangedError } from './errors.ts'
import { Flush, type MergeDurability } from './flush.ts'
import { Journal } from './journal.ts'
import { type KeptMembers, keptMembers, listMembers, Members, type TreeOfStep } from './members.ts'
import { rememberFinished } from './scan.ts'
import { type ContextParts, StagingArea, stepContext } from './stagingArea.ts'
import type { State } from './state.ts'
import { recordsOfStep } from './stepRecords.ts'
import { livePlace, stagedPlace } from './steps/renaming.ts'
import {
  applyStep,
  checkDisplaced,
  cleanUpStep,
  type DisplacingStep,
  type Phase,
  type Step,
  type StepContext,
  seenOf,
  undoSteps,
} from './steps.ts'

export type { MergeDurability } from './flush.ts'

/** A step, and what its live object looked like when the plan was made. */
export interface StagedStep {
  readonly step: Step
  /** Absent where nothing is displaced. */
  readonly displaced?: Stat
  /** What the plan saw in a directory that is displaced as a whole, by live names. */
  readonly members?: ReadonlySet<Name>
  /** What is in a directory that is staged, where somebody has listed it already. */
  readonly listed?: () => readonly KeptMembers[] | undefined
  /** What is displaced belonged to no package: it is kept until its name is free again (backups.ts). */
  readonly isUnowned?: boolean
}

/** What a transaction shall do. */
export interface Work {
  readonly packages: readonly string[]
  /** Every directory, by its name without symlinks, that exists and in which a name is made, changed or removed. */
  readonly directories: Iterable<Name>
  /** About how much the journal will hold (journalRoom.ts). */
  readonly expectedBytes: number
  /** Makes everything new, complete, under staging names; returns the steps in the order of the commit. */
  stage(area: StagingArea, journal: Journal): readonly StagedStep[]
  /** How many of the last transactions, this one included, can be undone afterwards; as they were, by default. */
  readonly keepUndo?: number | undefined
  /** Whether any staged step is marked `isUnowned`. */
  readonly keepsUnowned?: boolean
}

/** Something that stayed although it should have gone. */
export interface LeftOver {
  /** Escaped for reading. */
  readonly name: string
  readonly reason: string
}

/** What a transaction left to say. */
export interface TransactionReport {
  readonly id: string
  readonly leftOvers: readonly LeftOver[]
  /** What had to be done in another way than the best one, such as renaming where names cannot be exchanged. */
  readonly notes: readonly string[]
}

/** Where a running transaction is, for progress. */
export type TransactionPhase = 'stage' | 'flush' | 'commit' | 'record' | 'clean up'

/**
 * Runs a transaction on a locked and recovered root.
 *
 * After it returns the root is the new one, durably unless `durability` is `none`; after it throws anything but
 * RecoveryPendingError the root is the old one, but for what the error's `leftOvers` tell.
 *
 * @throws {RecoveryPendingError} when undoing failed too: the next run goes on with it
 */
export function runTransaction(
  state: State,
  work: Work,
  durability: MergeDurability,
  onPhase: (phase: TransactionPhase) => void,
): TransactionReport {
  const { root } = state
  const journal = new Journal(root.kernel, state.make().fd, durability !== 'none')
  const area = new StagingArea(root, randomBytes(8).toString('hex'))
  const told = new Told()
  const running = new RunningTransaction(journal, area, durability, told)
  try {
    onPhase('stage')
    const backups = keepsAny(work) ? makeBackupDirectory(state) : undefined
    const ofState = [state.make().name, state.recordsDirectory(), ...(backups === undefined ? [] : [backups])]
    const toStage = { ...work, directories: [...work.directories, ...ofState] }
    const steps = running.stage(toStage, backups, () => onPhase('flush'))
    onPhase('commit')
    running.commit(steps, onPhase)
    onPhase('clean up')
    running.cleanUp(steps)
    if (told.leftOvers.length > 0) rememberFinished(state, area.id)
    if (work.keepUndo !== undefined) forgetBackups(state, work.keepUndo)
    return { id: area.id, ...told }
  } catch (error) {
    throw told.addTo(error)
  } finally {
    area.close()
    journal.close()
  }
}

function keepsAny({ keepUndo, keepsUnowned }: Work): boolean {
  return (keepUndo ?? 0) > 0 || keepsUnowned === true
}

/** What a transaction, or its recovery, has to tell beside its outcome. */
export class Told implements Pick<ContextParts, 'leftOver' | 'note'> {
  readonly leftOvers: LeftOver[] = []
  readonly notes: string[] = []

  readonly leftOver = (name: Name, reason: string): void => {
    this.leftOvers.push({ name: displayName(name), reason })
  }

  readonly note = (text: string): void => {
    if (!this.notes.includes(text)) this.notes.push(text)
  }

  /** An error also tells what undoing had to leave behind. */
  addTo(error: unknown): unknown {
    if (error instanceof Error && this.leftOvers.length > 0) Object.assign(error, { leftOvers: this.leftOvers })
    return error
  }
}

/** The phases of a transaction, each with what undoes it. */
class RunningTransaction {
  readonly #journal: Journal
  readonly #area: StagingArea
  readonly #flush: Flush
  readonly #durability: MergeDurability
  readonly #members = new Members()
  readonly #context: StepContext

  constructor(journal: Journal, area: StagingArea, durability: MergeDurability, told: Told) {
    this.#journal = journal
    this.#area = area
    this.#durability = durability
    this.#flush = new Flush(area, durability)
    const { leftOver, note } = told
    this.#context = stepContext(area, { members: this.#members, isRecovering: false, leftOver, note })
  }

  /** Makes everything durable under staging names. Nothing is visible; a failure removes what was made. */
  stage(work: Work, backups: Name | undefined, onFlush: () => void): readonly Step[] {
    const { packages, expectedBytes } = work
    const bootId = readBootId(this.#area.root.kernel)
    const timeNs = String(BigInt(Date.now()) * 1_000_000n)
    const isFlushed = this.#durability !== 'none'
    this.#journal.begin(this.#area.id, { packages, timeNs, bootId, isFlushed }, expectedBytes)
    try {
      this.#area.announce(work.directories, this.#journal)
      this.#journal.flush()
      const steps = this.#described(work, timeNs, backups)
      onFlush()
      this.#journal.flush()
      this.#flush.staged(this.#context, steps)
      return steps
    } catch (error) {
      this.#giveUp(error, [])
      throw error
    }
  }

  /** Everything that was staged, as steps that are in the journal; the backup of what is kept comes with the records. */
  #described(work: Work, timeNs: string, backups: Name | undefined): Step[] {
    const staged = work.stage(this.#area, this.#journal)
    const isUndoable = (work.keepUndo ?? 0) > 0
    const unowned = staged.flatMap(({ step, isUnowned }) => ('staging' in step && isUnowned ? [step.staging] : []))
    const backup: NewBackup | undefined =
      backups === undefined || (!isUndoable && unowned.length === 0)
        ? undefined
        : {
            directory: this.#area.numberOf(backups),
            timeNs,
            packages: work.packages,
            isUndoable,
            staying: stayingAfter(this.#area, staged),
            unowned: new Set(unowned),
          }
    const steps = staged.map((each) => (backup === undefined ? withSeen(each) : keeping(withSeen(each), backup)))
    for (const [index, step] of steps.entries()) this.#describe(step, staged[index])
    if (backup === undefined) return steps
    const kept = stageBackup(this.#context, this.#area, { steps, backup })
    this.#describe(kept)
    return [...steps, kept]
  }

  /** Journals a step, and what is in the directories that it moves as a whole. */
  #describe(step: Step, { listed, members: planned }: Partial<StagedStep> = {}): void {
    for (const record of recordsOfStep(step)) this.#journal.append(record)
    const { kernel } = this.#context
    if (step.kind === 'place' || step.kind === 'replace') {
      const staged = stagedPlace(this.#context, step)
      const isDirectory = kernel.findat(staged.directory, staged.name)?.type === 'directory'
      if (isDirectory) this.#list({ staging: step.staging, which: 'staged' }, staged, listed?.())
    }
    const isDisplaced = step.kind === 'replace' || step.kind === 'remove'
    if (isDisplaced && step.displaced?.type === 'directory') {
      this.#list({ staging: step.staging, which: 'displaced' }, livePlace(this.#context, step))
      this.#demandOnly(planned ?? new Set(), step)
    }
  }

  /** What somebody put into a directory since the plan looked must not go with it. */
  #demandOnly(planned: ReadonlySet<Name>, { staging, directory, name }: DisplacingStep): void {
    const top = joinName(this.#context.directory(directory).name, name)
    for (const member of this.#context.membersOf(staging, 'displaced')?.keys() ?? []) {
      const full = joinName(top, member)
      if (!planned.has(full)) throw new RootChangedError(full, 'was put there')
    }
  }

  #list(of: TreeOfStep, place: Place, known?: readonly KeptMembers[]): void {
    for (const kept of known ?? Array.from(listMembers(this.#context.kernel, place, of), keptMembers)) {
      this.#journal.appendPayload(kept.payload)
      this.#members.add(of, kept)
    }
  }

  /** Renames everything into place. The marker comes first; a failure undoes the renames in reverse order. */
  commit(steps: readonly Step[], onPhase: (phase: TransactionPhase) => void): void {
    try {
      this.#journal.mark('commit')
      this.#apply('payload', steps)
      onPhase('record')
      this.#apply('record', steps)
      this.#journal.mark('final')
    } catch (error) {
      this.#giveUp(error, steps)
      throw error
    }
  }

  #apply(phase: Phase, steps: readonly Step[]): void {
    const ofPhase = steps.filter((step) => step.phase === phase)
    for (const step of ofPhase) {
      applyStep(this.#context, step)
      if (step.kind === 'replace' || step.kind === 'remove') checkDisplaced(this.#context, step)
    }
    this.#flush.names(this.#context, ofPhase)
  }

  /** Removes what was displaced. Nothing here can undo the merge any more. */
  cleanUp(steps: readonly Step[]): void {
    this.#orPending('clean-up did not end', () => {
      for (const step of steps) cleanUpStep(this.#context, step)
      this.#area.takings.removeRemainders(this.#context.leftOver)
      this.#flush.kept(this.#context, steps)
      this.#flush.names(this.#context, steps)
      this.#journal.end()
    })
  }

  /** Takes back what was applied, by what is on the disk, and removes what was staged. */
  #giveUp(reason: unknown, applied: readonly Step[]): void {
    this.#orPending(`undoing it failed (after: ${String(reason)})`, () => {
      this.#journal.forgetUnflushed()
      // Over a commit marker whose writing failed, and that may have reached the file.
      if (applied.length > 0) this.#journal.mark('abort')
      undoSteps(this.#context, applied)
      this.#area.discard(this.#context)
      this.#area.restoreTimes(this.#context)
      this.#flush.names(this.#context)
      this.#journal.end()
    })
  }

  #orPending(what: string, action: () => void): void {
    try {
      action()
    } catch (cause) {
      throw new RecoveryPendingError(this.#area.root.path, what, { cause })
    }
  }
}

/** What the plan saw goes into the journal too: recovery looks as well before it goes on. */
function withSeen({ step, displaced }: StagedStep): Step {
  const displaces = step.kind === 'replace' || step.kind === 'remove'
  return displaces && displaced !== undefined ? { ...step, displaced: seenOf(displaced) } : step
}
