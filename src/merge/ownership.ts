// Ownership that passes from one package to another, where the caller allows it by name.

import { createRequire } from 'node:module'
import { type Name, toName } from '../sys/index.ts'
import { InvalidArgumentError } from './errors.ts'
import { withoutGone } from './hardLinks.ts'
import { withoutLineEnds } from './lineEnds.ts'
import type { PackageRecord } from './record.ts'

const require: NodeJS.Require = createRequire(import.meta.url)

/**
 * A caller's glob pattern as the matchers take it: of names, where a path would begin with a slash or with `./`.
 *
 * @throws {InvalidArgumentError} for an empty one, which fast-glob takes for everything: a variable that was not set
 */
export function globOf(pattern: string): string {
  const ofNames = pattern.replace(/^(\.?\/)+/, '')
  if (ofNames === '')
    throw new InvalidArgumentError('a pattern is empty', { hint: 'Leave it out, or say what it means.' })
  return withoutLineEnds(toName(ofNames))
}

/** Whether a name matches one of some glob patterns. */
export function nameMatcher(patterns: readonly string[]): (name: Name) => boolean {
  if (patterns.length === 0) return () => false
  const { matcher } = require('micromatch') as typeof import('micromatch')
  const matchers = patterns.map((pattern) => matcher(globOf(pattern), { dot: true }))
  return (name) => matchers.some((matches) => matches(withoutLineEnds(name)))
}

/** A record without names that another package has taken over; hard links point to the first name that is left. */
export function withoutNames(record: PackageRecord, taken: ReadonlySet<Name>): PackageRecord {
  const entries = [...withoutGone(record.entries, ({ name }) => taken.has(name))]
  return { ...record, entries }
}
