// Versions of configuration files: which contents were brought, offered or declined, told by digests.

import { createHash } from 'node:crypto'
import type { Place } from '../../movefile/index.ts'
import { nameBytes } from '../../sys/index.ts'
import { digestOf } from '../compareRecorded.ts'
import type { EntryFacts, RecordedEntry } from '../entry.ts'
import type { Comparer } from '../live.ts'

/** What an object's contents are known by: a file's sha256, or one of what else the object is. Hexadecimal. */
export type Version = string

/** The version of an object. @param sha256  of its payload, where it is a file */
export function versionOf(entry: Pick<EntryFacts, 'type' | 'target' | 'rdev'>, sha256: string): Version {
  if (entry.type === 'file') return sha256
  const { type, target = '', rdev } = entry
  const text = `${type} ${target} ${rdev === undefined ? '' : `${rdev.major}:${rdev.minor}`}`
  return createHash('sha256').update(nameBytes(text)).digest('hex')
}

/** Whether what an image brings, at `source`, is what was recorded; false where the record does not say enough. */
export function isSameVersion(
  comparer: Comparer,
  recorded: RecordedEntry,
  brought: { entry: EntryFacts; version: Version; source: Place },
): boolean {
  const { entry, version, source } = brought
  if (recorded.type !== entry.type) return false
  if (entry.type !== 'file') return versionOf(recorded, '') === version
  const digest = digestOf(recorded)
  if (digest === undefined) return false
  if (digest.algorithm === 'sha256' && recorded.sha256 !== undefined) return digest.value === version
  return comparer.digest(source, digest.algorithm).startsWith(digest.value)
}
