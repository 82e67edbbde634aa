// The summary that a person wants: what became of the names, what stayed and why, where the bytes and the time went.

import type { KeptName, LeftOver, LostMetadata, OfferedUpdate, SavedFile } from '../merge/index.ts'
import { formatBytes, formatCount, formatDuration } from './measures.ts'
import type { PhaseTimes } from './progress.ts'
import { printRows } from './table.ts'

/** What names can become, in the order in which a reader wants to hear of it. */
const fates: Readonly<Record<string, string>> = {
  place: 'placed',
  replace: 'replaced',
  refresh: 'refreshed',
  adopt: 'adopted',
  twin: 'shared',
  setAside: 'set aside',
  keepLive: 'kept as edited',
  keepMetadata: 'kept as the admin has them',
  newDirectory: 'new directories',
  changeDirectory: 'directories changed',
  keepDirectory: 'directories kept',
  remove: 'removed',
}

/** Counts by fate: `placed 3, new directories 2`. Fates that this table does not know come last, by their own names. */
export function describeCounts(counts: Readonly<Record<string, number>>): string {
  const known = Object.keys(fates).filter((fate) => fate in counts)
  const unknown = Object.keys(counts).filter((fate) => !(fate in fates))
  const told = [...known, ...unknown].map((fate) => `${fates[fate] ?? fate} ${formatCount(counts[fate] ?? 0)}`)
  return told.join(', ') || 'nothing to do'
}

/** What moved bytes, in words. */
const ways: Readonly<Record<string, string>> = {
  reflink: 'shared (reflink)',
  renamed: 'renamed',
  copy_file_range: 'copied by copy_file_range',
  sendfile: 'copied by sendfile',
  read_write: 'copied by read and write',
}

/** One line for the bytes: `1.0 MiB shared (reflink), 38 B copied by read and write, 4.0 KiB of holes kept`. */
export function describeBytes(bytesByMethod: Readonly<Record<string, number>>, holes: number): string | undefined {
  const moved = Object.entries(bytesByMethod).map(([way, bytes]) => `${formatBytes(bytes)} ${ways[way] ?? `by ${way}`}`)
  const told = holes > 0 ? [...moved, `${formatBytes(holes)} of holes kept`] : moved
  return told.length > 0 ? told.join(', ') : undefined
}

/** One line for the time: `took 0.21 s: plan 0.02 s, stage 0.15 s, flush 0.04 s`; what took no time is not told. */
export function describePhases(phases: PhaseTimes): string | undefined {
  const each = Object.entries(phases)
  if (each.length === 0) return undefined
  const sum = each.reduce((total, [, milliseconds]) => total + milliseconds, 0)
  const long = each.filter(([, milliseconds]) => milliseconds >= 5)
  if (long.length === 0) return `took ${formatDuration(sum)}`
  return `took ${formatDuration(sum)}: ${long.map(([phase, time]) => `${phase} ${formatDuration(time)}`).join(', ')}`
}

/** Packages that were not there, names that stayed, could not go, or could not be kept as they were: each with its reason. */
export interface Remarks {
  readonly notReplaced?: readonly string[]
  readonly backedUp?: readonly string[]
  readonly restored?: readonly string[]
  readonly triggered?: readonly string[]
  readonly kept?: readonly KeptName[]
  readonly updates?: readonly OfferedUpdate[]
  readonly saved?: readonly SavedFile[]
  readonly leftOvers?: readonly LeftOver[]
  readonly notes?: readonly string[]
  readonly lost?: readonly LostMetadata[]
}

const lostParts: Readonly<Record<LostMetadata['what'], string>> = {
  owner: 'the owner',
  group: 'the group',
  mode: 'the permission bits',
  acl: 'the access control list',
  xattr: 'the attribute',
  times: 'the times',
  inodeFlags: 'the inode flags',
  links: 'the hard link',
}

/** `the owner of usr/bin/a, usr/bin/b and 1,234 more (EPERM)`. */
export function describeLost({ what, attribute, code, names }: LostMetadata): string {
  const part = attribute === undefined ? lostParts[what] : `${lostParts[what]} ${attribute}`
  return `${part} of ${firstOf(names)} (${code})`
}

/** `directories that are not empty: etc, usr, var and 2 more`, in one line: whatever stays keeps every one above it. */
function describeFull(names: readonly string[]): string {
  return `directories that are not empty: ${firstOf(names)}`
}

function firstOf(names: readonly string[]): string {
  return `${names.slice(0, 3).join(', ')}${names.length > 3 ? ` and ${formatCount(names.length - 3)} more` : ''}`
}

/** Prints each remark on a line of its own. */
export function printRemarks(remarks: Remarks): void {
  const {
    notReplaced = [],
    backedUp = [],
    restored = [],
    triggered = [],
    kept = [],
    updates = [],
    saved = [],
    leftOvers = [],
    notes = [],
    lost = [],
  } = remarks
  for (const name of notReplaced) printDetail(`no package is called ${name}, so nothing of it was replaced`)
  for (const name of backedUp) printDetail(`backed up ${name}: no package owned it`)
  for (const name of restored) printDetail(`given back ${name}: as it was before any package`)
  for (const name of triggered) printDetail(`trigger touched: ${name}`)
  const full = kept.filter(({ reason }) => reason === 'not empty')
  for (const { name, reason } of kept) if (reason !== 'not empty') printDetail(`kept ${name}: ${reason}`)
  if (full.length > 0) printDetail(`kept ${describeFull(full.map(({ name }) => name))}`)
  for (const { name, update } of updates) printDetail(`${name} stays as it is; the new version is ${update}`)
  for (const { name, saved: target } of saved) printDetail(`saved ${name} as ${target}`)
  for (const { name, reason } of leftOvers) printDetail(`left over ${name}: ${reason}`)
  for (const each of lost) printDetail(`lost ${describeLost(each)}`)
  for (const note of notes) printDetail(`note: ${note}`)
}

/** Prints a line of the summary, where there is anything to say; on a terminal it goes on below where it is too long. */
export function printDetail(line: string | undefined): void {
  if (line !== undefined) printRows([['', line]])
}
