import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { RecoveryPendingError } from '../../../src/merge/errors.ts'
import { importPackages } from '../../../src/merge/import/importEngine.ts'
import type { LeftOver } from '../../../src/merge/transaction.ts'
import { type Kernel, linuxKernel } from '../../../src/sys/index.ts'
import { type CountingKernel, crashAt, failNth } from '../../support/kernelDoubles.ts'
import { withDirectory } from '../../support/scratch.ts'
import { differencesBetween, type Snapshot, snapshot } from '../../support/snapshot.ts'
import { checkTold, memory, recordsPath } from '../outcome.ts'
import { contextOf, copyOf, mortal, recover, stagingNames } from '../scenarios.ts'
import { full } from '../sweeping.ts'

function writeDatabase(directory: string, packages: Readonly<Record<string, string>>): void {
  const database = join(directory, 'root/var/db/pkg')
  fs.rmSync(database, { recursive: true, force: true })
  for (const [name, contents] of Object.entries(packages)) {
    fs.mkdirSync(join(database, name), { recursive: true })
    fs.writeFileSync(join(database, name, 'CONTENTS'), contents)
  }
}

function operate(kernel: Kernel, directory: string) {
  return importPackages(contextOf(kernel), { root: join(directory, 'root'), manager: 'portage' })
}

/** The records by package, without their times. */
function records(directory: string): Snapshot {
  const found = snapshot(join(directory, 'root/var/lib/rootmerge/packages'), { directoryTimes: false })
  return new Map(
    [...found]
      .filter(([name]) => name.endsWith('/record'))
      .map(([name, line]) => [name, line.replace(/mtime=\S+ /, '')]),
  )
}

/** Everything but the state. */
function rest(directory: string): Snapshot {
  return snapshot(join(directory, 'root'), { without: ['var/lib'] })
}

interface Prepared {
  readonly directory: string
  readonly work: string
  readonly before: Snapshot
  readonly after: Snapshot
  readonly untouched: Snapshot
}

/** A root that knows two packages, whose database has lost one, changed one and got one since. */
async function withPrepared(body: (prepared: Prepared) => Promise<void>): Promise<void> {
  await withDirectory(async (scratch) => {
    const [directory, work] = [join(scratch, 'prepared'), join(scratch, 'work')]
    writeDatabase(directory, { 'a/goes-1': 'dir /usr\n', 'a/changes-1': 'dir /usr\ndir /usr/one\n' })
    await operate(linuxKernel(), directory)
    writeDatabase(directory, { 'a/changes-1': 'dir /usr\ndir /usr/two\n', 'b/comes-1': 'fif /usr/fifo\n' })
    copyOf(directory, work)
    const [before, untouched] = [records(work), rest(work)]
    await operate(linuxKernel(), work)
    await body({ directory, work, before, after: records(work), untouched })
  }, memory)
}

async function runOnce({ directory, work }: Prepared, double: (kernel: Kernel) => CountingKernel) {
  copyOf(directory, work)
  const process = mortal()
  const { kernel, seen } = double(process.kernel)
  let error: unknown
  let leftOvers: readonly LeftOver[] = []
  try {
    leftOvers = (await operate(kernel, work)).leftOvers
  } catch (thrown) {
    error = thrown
  }
  const leaked = [...process.open.values()]
  process.bury()
  return { seen, error, leaked, leftOvers }
}

function outcomeOf({ work, before, after, untouched }: Prepared, where: string): 'before' | 'after' {
  assert.deepEqual(stagingNames(work), [], where)
  assert.deepEqual(differencesBetween(rest(work), untouched), [], where)
  const now = records(work)
  if (differencesBetween(now, before).length === 0) return 'before'
  assert.deepEqual(differencesBetween(now, after), [], where)
  return 'after'
}

/** Demands that all is imported, and that whatever is there beside it was told. */
function checkLeftOvers({ work, after, untouched }: Prepared, leftOvers: readonly LeftOver[], where: string): void {
  const parts = [
    ['root', rest(work), untouched],
    [recordsPath, records(work), after],
  ] as const
  checkTold({ work, leftOvers, staging: stagingNames(work), parts }, where)
}

describe('an import', function () {
  this.timeout(300_000)

  it('that dies at any system call is recovered to what was known before, or to all that is new', () =>
    withPrepared(async (prepared) => {
      const outcomes = { before: 0, after: 0 }
      for (let n = 1; ; n++) {
        const { seen } = await runOnce(prepared, (kernel) => crashAt(kernel, n))
        if (seen.hit === undefined) break
        recover(prepared.work)
        outcomes[outcomeOf(prepared, `after dying at call ${n} (${seen.hit})`)]++
      }
      process.stdout.write(`      died at ${outcomes.before + outcomes.after} calls: ${JSON.stringify(outcomes)}\n`)
      assert.ok(outcomes.before > 50 && outcomes.after > 10, JSON.stringify(outcomes))
    }))

  it('whose call fails leaves what was known before, or says that recovery is pending', () =>
    withPrepared(async (prepared) => {
      const outcomes = { before: 0, after: 0, pending: 0, leftOver: 0 }
      for (let n = 1; ; n += full ? 1 : 2) {
        const { seen, error, leaked, leftOvers } = await runOnce(prepared, (kernel) =>
          failNth(kernel, n, (n >> 1) % 2 === 0 ? 'EIO' : 'ENOSPC'),
        )
        if (seen.hit === undefined) break
        const where = `after failing call ${n} (${seen.hit}): ${String(error)}`
        assert.deepEqual(leaked, [], `descriptors left ${where}`)
        if (leftOvers.length > 0) {
          outcomes.leftOver++ // an old record that could not be removed is told, not hidden
          checkLeftOvers(prepared, leftOvers, where)
          continue
        }
        if (error instanceof RecoveryPendingError) {
          outcomes.pending++
          recover(prepared.work)
        }
        const outcome = outcomeOf(prepared, where)
        if (error instanceof RecoveryPendingError) continue
        outcomes[outcome]++
        assert.equal(outcome, error === undefined ? 'after' : 'before', where)
      }
      process.stdout.write(`      failed: ${JSON.stringify(outcomes)}\n`)
      assert.ok(outcomes.before > 40, JSON.stringify(outcomes))
    }))
})
