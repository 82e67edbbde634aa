// What the sweeps demand of a root after an accident: before or after, with the records that belong to it, images too, nothing
// left over. Compared by node:fs and getfattr alone.

import assert from 'node:assert/strict'
import { existsSync, mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { LeftOver } from '../../src/merge/transaction.ts'
import { type Kernel, linuxKernel } from '../../src/sys/index.ts'
import { verifyPackages } from '../support/operations.ts'
import { withDirectory } from '../support/scratch.ts'
import { differencesBetween, type Snapshot } from '../support/snapshot.ts'
import {
  contextOf,
  copyOf,
  imagesSnapshot,
  recordsSnapshot,
  rootSnapshot,
  type Scenario,
  stagingNames,
} from './scenarios.ts'

/** A file system in memory: thousands of runs, and syncfs costs nothing there. */
export const memory: string = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

/** A scenario's root as it is before the operation, and what it looks like on both sides of it. */
export interface Prepared {
  readonly directory: string
  readonly work: string
  readonly before: Sides
  readonly after: Sides
}

/** Where the records are, beside the root's images. */
export const recordsPath = 'root/var/lib/rootmerge/packages'

/** A root as it looks at one moment. */
export interface Sides {
  /** With the times of all directories: an undo puts them back. */
  readonly exact: Snapshot
  /** Without them: a finished merge has moved those of the directories that it shares. */
  readonly loose: Snapshot
  readonly records: Snapshot
  /** What is beside the root: images are whole, or were taken as a whole. */
  readonly images: Snapshot
}

/** Looks at the root in a directory. */
export function sidesOf(directory: string): Sides {
  return {
    exact: rootSnapshot(directory, true),
    loose: rootSnapshot(directory, false),
    records: recordsSnapshot(directory),
    images: imagesSnapshot(directory, true),
  }
}

/** Prepares a scenario in a new directory, and runs it once to know what is after it. */
export async function withScenario(
  scenario: Scenario,
  body: (prepared: Prepared) => Promise<void>,
  parent: string = memory,
): Promise<void> {
  await withDirectory(async (scratch) => {
    const directory = join(scratch, 'prepared')
    const work = join(scratch, 'work')
    mkdirSync(directory)
    await scenario.prepare(directory)
    copyOf(directory, work)
    const before = sidesOf(work)
    await scenario.operate(contextOf(linuxKernel()), work)
    await body({ directory, work, before, after: sidesOf(work) })
  }, parent)
}

/** Demands that the root is the old or the new one, with the records that belong to it, and nothing left over. */
export function checkOutcome(
  work: string,
  { before, after }: Pick<Prepared, 'before' | 'after'>,
  where: string,
): 'before' | 'after' {
  assert.deepEqual(stagingNames(work), [], `staging names left ${where}`)
  const toBefore = [
    ...differencesBetween(rootSnapshot(work, true), before.exact),
    ...differencesBetween(recordsWithoutEmpty(recordsSnapshot(work)), recordsWithoutEmpty(before.records)),
    ...differencesBetween(imagesSnapshot(work, true), before.images),
  ]
  if (toBefore.length === 0) return 'before'
  const toAfter = partsAfter(work, after).flatMap(([, now, then]) => differencesBetween(now, then))
  assert.deepEqual(toAfter, [], `neither before (${toBefore.join('; ')}) nor after ${where}`)
  return 'after'
}

/** Demands that a merge is done, and that whatever is there beside it was told. */
export function checkLeftOvers({ work, after }: Prepared, leftOvers: readonly LeftOver[], where: string): void {
  checkTold({ work, leftOvers, staging: stagingNames(work), parts: partsAfter(work, after) }, where)
}

/** A directory, by its path in the work, as it is and as it should be. */
type Part = readonly [path: string, now: Snapshot, then: Snapshot]

/** What was told to be left over, and what there is. */
export interface Told {
  readonly work: string
  readonly leftOvers: readonly LeftOver[]
  /** Staging names that no transaction may leave, in the root. */
  readonly staging: readonly string[]
  readonly parts: readonly Part[]
}

/**
 * Demands that all is as it should be but for what was told, with what is below that, and the way to it; what was told to
 * lack its mode has another one.
 */
export function checkTold({ work, leftOvers, staging, parts }: Told, where: string): void {
  const pathOf = ({ name }: LeftOver) => resolve(work, 'root', name)
  const told = leftOvers.map(pathOf)
  const isTold = (path: string) => told.some((each) => isWithin(path, each) || isWithin(each, path))
  const lacking = leftOvers.filter(({ reason }) => reason.startsWith('lacks its mode')).map(pathOf)
  const untoldStaging = staging.filter((name) => !isTold(join(work, 'root', name)))
  const differences = parts.flatMap(([top, now, then]) => {
    const untold = [...now].filter(([name]) => then.has(name) || !isTold(join(work, top, name)))
    const comparable = (lines: Iterable<[string, string]>) =>
      new Map(
        [...lines].map(([name, line]) => [name, lacking.includes(join(work, top, name)) ? withoutMode(line) : line]),
      )
    return differencesBetween(comparable(untold), comparable(then))
  })
  assert.deepEqual([...untoldStaging, ...differences], [], `not told ${where}: only ${told}`)
}

/** A snapshot's line begins with type and mode. */
function withoutMode(line: string): string {
  return line.replace(/^(file|directory) [0-7]+ /, '$1 ')
}

function isWithin(path: string, directory: string): boolean {
  return `${path}/`.startsWith(`${directory}/`)
}

function partsAfter(work: string, after: Sides): readonly Part[] {
  return [
    ['root', rootSnapshot(work, false), after.loose],
    [recordsPath, recordTexts(recordsSnapshot(work)), recordTexts(after.records)],
    ['', withoutTimesOfDirectories(imagesSnapshot(work, true)), withoutTimesOfDirectories(after.images)],
  ]
}

/** Demands that every package is as its record says, but for what the administrator has edited. */
export async function checkRecords(
  work: string,
  where: string,
  { edited }: Pick<Scenario, 'edited'> = {},
  kernel: Kernel = linuxKernel(),
): Promise<void> {
  const differing = await verifyPackages(contextOf(kernel), { root: join(work, 'root') })
  const unexpected = differing.filter(({ name }) => edited?.test(name) !== true)
  assert.deepEqual(unexpected, [], `a record does not agree ${where}`)
}

/** A package's empty record directory says nothing. */
function recordsWithoutEmpty(records: Snapshot): Snapshot {
  return new Map(
    [...records].filter(
      ([name, line]) => !(line.startsWith('directory') && name !== '' && !records.has(`${name}/record`)),
    ),
  )
}

function withoutTimesOfDirectories(images: Snapshot): Snapshot {
  return new Map([...images].map(([name, line]) => [name, line.replace(/^(directory \S+ \S+) mtime=\S+$/, '$1')]))
}

/** A record's own mtime is of no meaning. */
function recordTexts(records: Snapshot): Snapshot {
  return new Map([...recordsWithoutEmpty(records)].map(([name, line]) => [name, line.replace(/mtime=\S+ /, '')]))
}

/** A line for the log of a test run. */
export function tell(line: string, counts?: Readonly<Record<string, number>>): void {
  process.stdout.write(`      ${line}${counts === undefined ? '' : `: ${JSON.stringify(counts)}`}\n`)
}
