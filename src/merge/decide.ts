// What happens to an entry of an image: one table, and a test that goes through every situation.

/** What is at an entry's name now, compared with the entry. */
export type Live = 'absent' | 'same' | 'sameContent' | 'different'

/** Who owns the live name: the package itself or one that it replaces, another package, or nobody. */
export type Owner = 'self' | 'another' | 'nobody'

/** Everything that the decision looks at. */
export interface Situation {
  readonly live: Live
  readonly owner: Owner
  /** Configuration protection covers the name. */
  readonly isProtected: boolean
  /** The live object is not what its record says. */
  readonly isEdited: boolean
}

/**
 * place           the entry gets the name; what is there goes
 * adopt           what is there is already right
 * keepMetadata    what is there is right but for metadata, which is the admin's
 * refresh         as place: the same content with the image's metadata
 * setAside        the entry is offered beside the live object, under an update name
 * share           what is there belongs to another package and is the same: both own it, where the caller allows it
 * replaceUnowned  as place where the caller allows it, and the old object is kept; else refuse
 * refuse          a collision
 */
export type Action = 'place' | 'adopt' | 'keepMetadata' | 'refresh' | 'setAside' | 'share' | 'replaceUnowned' | 'refuse'

type Pattern<T> = T | readonly T[] | 'any'

/** One row: the situations that it covers, and what happens. */
export interface Rule {
  readonly live: Live
  readonly owner: Pattern<Owner>
  readonly isProtected: Pattern<boolean>
  readonly isEdited: Pattern<boolean>
  readonly action: Action
}

const unclaimed: readonly Owner[] = ['self', 'nobody']

function rule(
  live: Live,
  owner: Pattern<Owner>,
  isProtected: Pattern<boolean>,
  isEdited: Pattern<boolean>,
  action: Action,
): Rule {
  return { live, owner, isProtected, isEdited, action }
}

/** Every situation is covered by exactly one row. */
export const rules: readonly Rule[] = [
  // live, owner, protected, edited, action
  rule('absent', 'self', true, 'any', 'setAside'), // the admin deleted it: offer it, do not force it
  rule('absent', 'self', false, 'any', 'place'),
  rule('absent', 'nobody', 'any', 'any', 'place'),
  rule('absent', 'another', 'any', 'any', 'refuse'), // missing now, but its record claims the name: it would have two owners
  rule('same', unclaimed, 'any', 'any', 'adopt'), // already what we would write: claim it
  rule('same', 'another', 'any', 'any', 'share'),
  rule('sameContent', unclaimed, true, 'any', 'keepMetadata'), // mode and owner are the admin's word too
  rule('sameContent', unclaimed, false, 'any', 'refresh'),
  rule('sameContent', 'another', 'any', 'any', 'refuse'), // two packages that differ in metadata cannot both be right
  rule('different', 'another', 'any', 'any', 'refuse'),
  rule('different', 'nobody', true, 'any', 'setAside'), // the admin's own file: ours goes beside it
  rule('different', 'nobody', false, 'any', 'replaceUnowned'),
  rule('different', 'self', true, true, 'setAside'), // edited since we installed it
  rule('different', 'self', true, false, 'place'),
  rule('different', 'self', false, 'any', 'place'),
]

/** The one action of a situation. */
export function decide(situation: Situation): Action {
  const found = rules.find((r) => covers(r, situation))
  if (found === undefined) throw new Error(`no rule covers ${JSON.stringify(situation)}`)
  return found.action
}

/** Whether a row is about a situation. */
export function covers(row: Rule, situation: Situation): boolean {
  return (
    row.live === situation.live &&
    matches(row.owner, situation.owner) &&
    matches(row.isProtected, situation.isProtected) &&
    matches(row.isEdited, situation.isEdited)
  )
}

function matches<T>(pattern: Pattern<T>, value: T): boolean {
  return pattern === 'any' || pattern === value || (Array.isArray(pattern) && pattern.includes(value))
}
