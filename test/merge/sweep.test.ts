// The sweeps: fail, or die, at every single system call of an operation. Afterwards the root is before or after.

import assert from 'node:assert/strict'
import { existsSync, mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RecoveryPendingError } from '../../src/merge/errors.ts'
import { type ErrnoName, type Kernel, linuxKernel } from '../../src/sys/index.ts'
import { type CountingKernel, Crash, crashAt, failNth } from '../support/kernelDoubles.ts'
import { withDirectory } from '../support/scratch.ts'
import { differencesBetween, type Snapshot } from '../support/snapshot.ts'
import {
  copyOf,
  mortal,
  recordsSnapshot,
  recover,
  rootSnapshot,
  type Scenario,
  scenarios,
  stagingNames,
} from './scenarios.ts'

// A file system in memory: thousands of runs, and syncfs costs nothing there. Power cuts are another test's subject.
/** The long form goes through every call, the short one through a part of them. */
const full = process.env.ROOTMERGE_TEST_FULL !== undefined

const memory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

interface Prepared {
  readonly directory: string
  readonly work: string
  readonly before: Sides
  readonly after: Sides
}

interface Sides {
  /** With the times of all directories: an undo puts them back. */
  readonly exact: Snapshot
  /** Without them: a finished merge has moved those of the directories that it shares. */
  readonly loose: Snapshot
  readonly records: Snapshot
}

function sidesOf(directory: string): Sides {
  return {
    exact: rootSnapshot(directory, true),
    loose: rootSnapshot(directory, false),
    records: recordsSnapshot(directory),
  }
}

async function withScenario(scenario: Scenario, body: (prepared: Prepared) => Promise<void>): Promise<void> {
  await withDirectory(async (scratch) => {
    const directory = join(scratch, 'prepared')
    const work = join(scratch, 'work')
    mkdirSync(directory)
    await scenario.prepare(directory)
    copyOf(directory, work)
    const before = sidesOf(work)
    await scenario.operate(linuxKernel(), work)
    await body({ directory, work, before, after: sidesOf(work) })
  }, memory)
}

/** Demands that the root is the old or the new one, with the records that belong to it, and nothing left over. */
function checkOutcome(work: string, { before, after }: Prepared, where: string): 'before' | 'after' {
  assert.deepEqual(stagingNames(work), [], `staging names left ${where}`)
  const toBefore = [
    ...differencesBetween(rootSnapshot(work, true), before.exact),
    ...differencesBetween(recordsWithoutEmpty(recordsSnapshot(work)), recordsWithoutEmpty(before.records)),
  ]
  const toAfter = [
    ...differencesBetween(rootSnapshot(work, false), after.loose),
    ...differencesBetween(recordTexts(recordsSnapshot(work)), recordTexts(after.records)),
  ]
  if (toBefore.length === 0) return 'before'
  assert.deepEqual(toAfter, [], `neither before (${toBefore.join('; ')}) nor after ${where}`)
  return 'after'
}

/** A package's empty record directory says nothing. */
function recordsWithoutEmpty(records: Snapshot): Snapshot {
  return new Map(
    [...records].filter(
      ([name, line]) => !(line.startsWith('directory') && name !== '' && !records.has(`${name}/record`)),
    ),
  )
}

/** A record's own mtime is of no meaning. */
function recordTexts(records: Snapshot): Snapshot {
  return new Map([...recordsWithoutEmpty(records)].map(([name, line]) => [name, line.replace(/mtime=\S+ /, '')]))
}

/** Runs a scenario once on a fresh copy with a double, and buries the process that it stands for. */
async function runOnce(scenario: Scenario, prepared: Prepared, double: (kernel: Kernel) => CountingKernel) {
  copyOf(prepared.directory, prepared.work)
  const process = mortal()
  const { kernel, seen } = double(process.kernel)
  let error: unknown
  let leftOvers: readonly unknown[] = []
  try {
    leftOvers = ((await scenario.operate(kernel, prepared.work)) as { leftOvers: readonly unknown[] }).leftOvers
  } catch (thrown) {
    error = thrown
  }
  const leaked = [...process.open.values()]
  process.bury()
  return { error, seen, leaked, leftOvers }
}

describe('a merge that dies', function () {
  this.timeout(600_000)
  for (const scenario of scenarios) {
    it(`at any system call of ${scenario.title} is recovered to before or after`, () =>
      withScenario(scenario, async (prepared) => {
        const outcomes = { before: 0, after: 0 }
        for (let n = 1; ; n += full ? 1 : 2) {
          const { seen } = await runOnce(scenario, prepared, (kernel) => crashAt(kernel, n))
          if (seen.hit === undefined) break
          recover(prepared.work)
          outcomes[checkOutcome(prepared.work, prepared, `after dying at call ${n} (${seen.hit})`)]++
        }
        report(`died at ${outcomes.before + outcomes.after} calls of ${scenario.title}`, outcomes)
        assert.ok(outcomes.before > 50 && outcomes.after > 5, JSON.stringify(outcomes))
      }))

    it(`during the recovery of ${scenario.title} is recovered again`, () =>
      withScenario(scenario, async (prepared) => {
        const { seen: all } = await runOnce(scenario, prepared, (kernel) => crashAt(kernel, Number.POSITIVE_INFINITY))
        let points = 0
        // Some points of the merge, and (in the long form) every point of its recovery.
        for (let n = 1; n < all.calls; n += full ? 9 : 60) {
          for (let m = 1; ; m++) {
            await runOnce(scenario, prepared, (kernel) => crashAt(kernel, n))
            const second = mortal()
            const { kernel, seen } = crashAt(second.kernel, m)
            try {
              recover(prepared.work, kernel)
            } catch (error) {
              assert.ok(error instanceof Crash || error instanceof RecoveryPendingError, String(error))
            }
            second.bury()
            if (seen.hit === undefined) break
            points++
            recover(prepared.work)
            checkOutcome(prepared.work, prepared, `after dying at ${n}, then at ${m} of the recovery (${seen.hit})`)
            m += full ? 0 : 6
          }
        }
        report(`died at ${points} calls of the recovery of ${scenario.title}`)
        assert.ok(points > 20)
      }))
  }
})

const codes: readonly ErrnoName[] = ['EIO', 'ENOSPC', 'EACCES']

describe('a merge whose call fails', function () {
  this.timeout(600_000)
  for (const scenario of scenarios) {
    it(`leaves the root as it was, or is recovered, for every system call of ${scenario.title}`, () =>
      withScenario(scenario, async (prepared) => {
        const outcomes = { before: 0, after: 0, pending: 0, leftOver: 0 }
        for (let n = 1; ; n += full ? 1 : 2) {
          const code = codes[(n >> 1) % codes.length] as ErrnoName
          const { seen, error, leaked, leftOvers } = await runOnce(scenario, prepared, (kernel) =>
            failNth(kernel, n, code),
          )
          if (seen.hit === undefined) break
          const where = `after ${code} at call ${n} (${seen.hit}): ${String(error)}`
          assert.deepEqual(leaked, [], `descriptors left ${where}`)
          if (leftOvers.length > 0) {
            outcomes.leftOver++ // an old object that could not be removed is told, not hidden
            continue
          }
          if (error instanceof RecoveryPendingError) {
            outcomes.pending++
            recover(prepared.work)
            checkOutcome(prepared.work, prepared, where)
            continue
          }
          const outcome = checkOutcome(prepared.work, prepared, where)
          outcomes[outcome]++
          // An error is told only of a root that did not change; the one exception is told as what it is.
          assert.equal(outcome, error === undefined ? 'after' : 'before', where)
        }
        report(
          `failed ${outcomes.before + outcomes.after + outcomes.pending + outcomes.leftOver} calls of ${scenario.title}`,
          outcomes,
        )
        assert.ok(outcomes.before > 50, JSON.stringify(outcomes))
      }))
  }
})

describe('the sweep itself', function () {
  this.timeout(600_000)
  const upgrade = scenarios[1] as Scenario

  /** How many points of dying leave a root that is neither before nor after, with a kernel that lies. */
  async function brokenPoints(lie: (kernel: Kernel) => Kernel): Promise<number> {
    let broken = 0
    await withScenario(upgrade, async (prepared) => {
      for (let n = 1; ; n += 8) {
        const { seen } = await runOnce(upgrade, prepared, (kernel) => crashAt(lie(kernel), n))
        if (seen.hit === undefined) break
        try {
          recover(prepared.work)
          checkOutcome(prepared.work, prepared, 'with sabotage')
        } catch {
          broken++
        }
      }
    })
    return broken
  }

  it('notices when the journal is never written', async () => {
    const broken = await brokenPoints((kernel) => ({
      ...kernel,
      fdatasync: () => {},
      pwrite: (_, bytes) => bytes.length,
    }))
    assert.ok(broken > 5, `only ${broken} points were noticed`)
  })

  it('notices when an identity is the same for every object', async () => {
    const broken = await brokenPoints((kernel) => ({ ...kernel, handleAt: () => 'the same' }))
    assert.ok(broken > 0, `only ${broken} points were noticed`)
  })
})

function report(line: string, outcomes?: Record<string, number>): void {
  process.stdout.write(`      ${line}${outcomes === undefined ? '' : `: ${JSON.stringify(outcomes)}`}\n`)
}
