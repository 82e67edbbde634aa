// Steps: what a transaction does to the root, one visible change each.
//
// The law of a step (a test proves it for every kind): apply then undo leaves the root as it was; undo after nothing
// changes nothing; JSON and back is the same step; `where` tells from the disk alone whether it was applied.

import { changeDirectory, removeDirectory } from './steps/directorySteps.ts'
import { place, replace } from './steps/placeSteps.ts'
import { remove } from './steps/removeSteps.ts'
import type { Step, StepContext, StepKind, Whereabouts } from './steps/step.ts'

export { checkDisplaced, seenOf } from './steps/displaced.ts'
export type {
  ChangeDirectoryStep,
  DirectoryMetadata,
  DisplacingStep,
  Phase,
  PlaceStep,
  RemoveDirectoryStep,
  RemoveStep,
  ReplaceStep,
  Seen,
  Step,
  StepContext,
  Whereabouts,
} from './steps/step.ts'

const kinds: { readonly [K in Step['kind']]: StepKind<Extract<Step, { kind: K }>> } = {
  place,
  replace,
  remove,
  removeDirectory,
  changeDirectory,
}

function kindOf(step: Step): StepKind<Step> {
  return kinds[step.kind] as StepKind<Step>
}

/** Makes a step's change. */
export function applyStep(context: StepContext, step: Step): void {
  kindOf(step).apply(context, step)
}

/**
 * Takes a step back, as far as the disk says that it was applied. A name that somebody has given to another object
 * meanwhile is left to it; an old object that has no name any more is kept aside and reported.
 */
export function undoStep(context: StepContext, step: Step): void {
  if (isGone(context, step)) return
  kindOf(step).undo(context, step)
}

/** Takes steps back, the last first. */
export function undoSteps(context: StepContext, steps: readonly Step[]): void {
  for (const step of steps.toReversed()) undoStep(context, step)
}

/** Whether a step was applied, by what is on the disk. */
export function whereIs(context: StepContext, step: Step): Whereabouts {
  return isGone(context, step) ? 'foreign' : kindOf(step).where(context, step)
}

/** Removes what an applied step displaced; after `final` only. */
export function cleanUpStep(context: StepContext, step: Step): void {
  kindOf(step).cleanUp(context, step)
}

/** Whether somebody removed the directory that a step is about, with all that was in it. */
function isGone(context: StepContext, step: Step): boolean {
  if (context.findDirectory(step.directory) !== undefined) return false
  if (step.kind !== 'removeDirectory') context.leftOver(step.name, 'the directory that it was in is gone')
  return true
}
