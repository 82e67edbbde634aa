// One transaction: stage, commit, records, final, clean-up; or undo. TRANSACTION.md is its specification.

import { randomBytes } from 'node:crypto'
import { displayName, joinName, type Name, type Stat } from '../sys/index.ts'
import { RecoveryPendingError, RootChangedError } from './errors.ts'
import { Journal } from './journal.ts'
import { StagingArea, stepContext } from './stagingArea.ts'
import type { State } from './state.ts'
import { applyStep, cleanUpStep, type Phase, type Step, type StepContext, undoSteps } from './steps.ts'

/** How sure it shall be that a finished merge is on the disk. */
export type MergeDurability = 'transaction' | 'none'

/** A step, and what its live object looked like when the plan was made. */
export interface StagedStep {
  readonly step: Step
  /** Absent where nothing is displaced. */
  readonly displaced?: Stat
}

/** What a transaction shall do. */
export interface Work {
  readonly packages: readonly string[]
  /** Every directory, by its name without symlinks, that exists and in which a name is made, changed or removed. */
  readonly directories: Iterable<Name>
  /** About how many steps there will be, for the journal's room. */
  readonly expectedSteps: number
  /** Makes everything new, complete, under staging names; returns the steps in the order of the commit. */
  stage(area: StagingArea): readonly StagedStep[]
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
}

/** Where a running transaction is, for progress. */
export type TransactionPhase = 'stage' | 'flush' | 'commit' | 'record' | 'clean up'

const bytesPerStep = 256

/**
 * Runs a transaction on a locked and recovered root.
 *
 * After it returns the root is the new one, durably unless `durability` is `none`; after it throws anything but
 * RecoveryPendingError the root is the old one.
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
  const leftOvers: LeftOver[] = []
  const leftOver = (name: Name, reason: string) => void leftOvers.push({ name: displayName(name), reason })
  const running = new RunningTransaction(journal, area, durability, leftOver)
  try {
    onPhase('stage')
    const steps = running.stage(work)
    onPhase('commit')
    running.commit(steps, onPhase)
    onPhase('clean up')
    running.cleanUp(steps)
    return { id: area.id, leftOvers }
  } finally {
    area.close()
    journal.close()
  }
}

/** The phases of a transaction, each with what undoes it. */
class RunningTransaction {
  readonly #journal: Journal
  readonly #area: StagingArea
  readonly #sync: () => void
  readonly #leftOver: StepContext['leftOver']
  #committedNs: bigint | undefined

  constructor(journal: Journal, area: StagingArea, durability: MergeDurability, leftOver: StepContext['leftOver']) {
    this.#journal = journal
    this.#area = area
    this.#sync = durability === 'none' ? () => {} : () => area.syncFileSystems()
    this.#leftOver = leftOver
  }

  #context(): StepContext {
    return stepContext(this.#area, this.#committedNs, this.#leftOver)
  }

  /** Makes everything durable under staging names. Nothing is visible; a failure removes what was made. */
  stage(work: Work): readonly StagedStep[] {
    this.#journal.begin(this.#area.id, work.packages, work.expectedSteps * bytesPerStep)
    try {
      this.#area.announce(work.directories, this.#journal)
      this.#journal.flush()
      const steps = work.stage(this.#area)
      for (const { step } of steps) this.#journal.append({ kind: 'step', step })
      this.#journal.flush()
      this.#sync()
      return steps
    } catch (error) {
      this.#giveUp(error, () => this.#discard(this.#context()))
      throw error
    }
  }

  /** Renames everything into place. The marker comes first; a failure undoes the renames in reverse order. */
  commit(steps: readonly StagedStep[], onPhase: (phase: TransactionPhase) => void): void {
    const applied: Step[] = []
    try {
      // The kernel's file times lag behind the clock, so everything staged is older than this.
      this.#committedNs = BigInt(Date.now() + 1) * 1_000_000n
      this.#journal.mark('commit', { timeNs: String(this.#committedNs) })
      this.#apply('payload', steps, applied)
      onPhase('record')
      this.#apply('record', steps, applied)
      this.#journal.mark('final')
    } catch (error) {
      this.#giveUp(error, () => {
        this.#journal.mark('abort') // over a marker whose writing failed, and that may have reached the file
        undoSteps(this.#context(), applied)
        this.#discard(this.#context())
      })
      throw error
    }
  }

  #apply(phase: Phase, steps: readonly StagedStep[], applied: Step[]): void {
    const context = this.#context()
    for (const staged of steps) {
      if (staged.step.phase !== phase) continue
      applyStep(context, staged.step)
      applied.push(staged.step)
      checkDisplaced(context, staged)
    }
    this.#sync()
  }

  /** Removes what was displaced. Nothing here can undo the merge any more. */
  cleanUp(steps: readonly StagedStep[]): void {
    const context = this.#context()
    this.#orPending('clean-up did not end', () => {
      for (const { step } of steps) cleanUpStep(context, step)
      this.#sync()
      this.#journal.end()
    })
  }

  #discard(context: StepContext): void {
    this.#area.discard(context)
    this.#area.restoreTimes(context)
  }

  #giveUp(reason: unknown, undo: () => void): void {
    this.#orPending(`undoing it failed (after: ${String(reason)})`, () => {
      undo()
      this.#sync()
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

/** An admin may have saved a file between plan and commit: then what was displaced is not what the plan saw. */
function checkDisplaced(context: StepContext, { step, displaced }: StagedStep): void {
  if (displaced === undefined || !('staging' in step)) return
  const directory = context.directory(step.directory)
  const now = context.kernel.statat(directory.fd, step.staging)
  const isSame =
    now.ino === displaced.ino &&
    now.mode === displaced.mode &&
    now.uid === displaced.uid &&
    now.gid === displaced.gid &&
    (now.type === 'directory' || (now.size === displaced.size && now.mtimeNs === displaced.mtimeNs))
  if (!isSame) throw new RootChangedError(joinName(directory.name, step.name), 'was changed')
}
