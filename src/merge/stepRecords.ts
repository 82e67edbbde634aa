// Steps as the journal keeps them: what one says of the members of a large directory goes on in records of its own.

import type { FinalFlags } from '../movefile/index.ts'
import type { Privileges } from './privileges.ts'
import { inParts, pathsPerRecord } from './recordParts.ts'
import type { Step } from './steps.ts'

/** More of what the step before it says of members. */
interface Continuation {
  readonly kind: 'stepContinued'
  readonly finalFlags?: readonly FinalFlags[]
  readonly restores?: readonly Privileges[]
}

/** A step, or a part of it. */
export type StepRecord = { readonly kind: 'step'; readonly step: Step } | Continuation

/** A step as records, which follow each other. */
export function* recordsOfStep(step: Step): Generator<StepRecord> {
  if (step.kind !== 'place' && step.kind !== 'replace') return yield { kind: 'step', step }
  const { finalFlags = [], restores = [], ...rest } = step
  yield { kind: 'step', step: rest }
  for (const part of inParts(finalFlags, pathsPerRecord)) yield { kind: 'stepContinued', finalFlags: part }
  for (const part of inParts(restores, pathsPerRecord)) yield { kind: 'stepContinued', restores: part }
}

/** Adds what a record says to the steps of the records before it. */
export function readStep(steps: Step[], record: StepRecord): void {
  if (record.kind === 'step') return void steps.push(record.step)
  const step = steps.at(-1) as Lists | undefined
  if (step === undefined) return
  const { finalFlags, restores } = record
  if (finalFlags !== undefined) step.finalFlags = extended(step.finalFlags, finalFlags)
  if (restores !== undefined) step.restores = extended(step.restores, restores)
}

/** A step that was just read, which nobody else has yet. */
interface Lists {
  finalFlags?: FinalFlags[]
  restores?: Privileges[]
}

function extended<T>(list: T[] = [], more: readonly T[]): T[] {
  for (const each of more) list.push(each)
  return list
}
