// The history of a root, and undoing one of its transactions: synchronous, for the engine's thread.

import type { EngineContext } from '../sys/engineThread.ts'
import { displayName } from '../sys/index.ts'
import { listBackups } from './backups.ts'
import { CannotUndoError, InvalidArgumentError } from './errors.ts'
import { bytesOfSteps } from './journalRoom.ts'
import type { HistoryEntry, UndoOptions, UndoReport } from './options.ts'
import { withOwners } from './owners.ts'
import { ProgressMeter } from './progress.ts'
import { changing, type RootOptions, reading } from './session.ts'
import type { State } from './state.ts'
import { runTransaction } from './transaction.ts'
import { UndoPlan } from './undoPlan.ts'

/** The transactions that can be undone, the newest first. */
export function listHistory(engine: EngineContext, options: RootOptions): HistoryEntry[] {
  return reading(engine, options, ({ state }) =>
    undoable(state).map(({ header, steps }) => entryOf(header, steps.length)),
  )
}

function undoable(state: State) {
  return listBackups(state)
    .filter(({ header }) => header.isUndoable)
    .reverse()
}

function entryOf({ id, timeNs, packages }: { id: string; timeNs: string; packages: readonly string[] }, steps: number) {
  return { id, time: new Date(Number(BigInt(timeNs) / 1_000_000n)).toISOString(), packages, steps }
}

/** Undoes a transaction, as one of its own. */
export function undoTransaction(engine: EngineContext, options: UndoOptions): UndoReport {
  return changing(engine, options, ({ state }) =>
    withOwners(state, 'changing', (owners) => {
      const all = undoable(state)
      const manifest = options.id === undefined ? all[0] : all.find(({ header }) => header.id === options.id)
      if (manifest === undefined) throw notKept(options.id)
      const { header } = manifest
      const meter = new ProgressMeter(engine)
      meter.enter('plan')
      const plan = new UndoPlan(state, manifest, owners)
      if (plan.obstacles.length > 0) throw new CannotUndoError(header.id, plan.obstacles)
      const stage = plan.stage.bind(plan)
      const work = {
        packages: header.packages,
        directories: plan.directories,
        expectedBytes: bytesOfSteps(manifest.steps.length),
        keepsUnowned: plan.keepsUnowned,
        stage,
      }
      const durability = options.durability ?? 'transaction'
      const { id, leftOvers, notes } = runTransaction(state, work, durability, (phase) => meter.enter(phase))
      return { undone: entryOf(header, manifest.steps.length), transaction: id, leftOvers, notes }
    }),
  )
}

function notKept(id: string | undefined): InvalidArgumentError {
  if (id !== undefined)
    return new InvalidArgumentError(`no transaction '${displayName(id)}' is kept`, { hint: 'Run: rootmerge history' })
  const hint = 'What is merged or unmerged with --keep-undo can be undone.'
  return new InvalidArgumentError('no transaction of this root is kept', { hint })
}
