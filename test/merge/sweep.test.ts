// The sweeps: fail, or die, at every single system call of an operation. Afterwards the root is before or after.

import assert from 'node:assert/strict'
import { RecoveryPendingError } from '../../src/merge/errors.ts'
import { Cancelled, type ErrnoName, type Kernel, linuxKernel } from '../../src/sys/index.ts'
import { Crash, cancelNth, crashAtChange, failNth, wrapKernel } from '../support/kernelDoubles.ts'
import { checkLeftOvers, checkOutcome, tell, withScenario } from './outcome.ts'
import { mortal, recover, scenarioOf, scenarios } from './scenarios.ts'
import { changesOf, full, runOnce } from './sweeping.ts'

describe('a merge that dies', function () {
  this.timeout(3_600_000)
  for (const scenario of scenarios) {
    it(`at any system call of ${scenario.title} is recovered to before or after`, () =>
      withScenario(scenario, async (prepared) => {
        const outcomes = { before: 0, after: 0 }
        const all = await changesOf(scenario, prepared)
        for (let n = 1; n <= all; n++) {
          for (const undo of [false, true]) {
            const { seen } = await runOnce(scenario, prepared, (kernel) => crashAtChange(kernel, n))
            recover(prepared.work, linuxKernel(), undo)
            const where = `after dying at change ${n} (${seen.hit})${undo ? ', undoing' : ''}`
            outcomes[checkOutcome(prepared.work, prepared, where)]++
          }
        }
        tell(`died at ${all} changes of ${scenario.title}`, outcomes)
        assert.ok(outcomes.before > 15 && outcomes.after > 5, JSON.stringify(outcomes))
      }))

    it(`during the recovery of ${scenario.title} is recovered again`, () =>
      withScenario(scenario, async (prepared) => {
        const all = await changesOf(scenario, prepared)
        let points = 0
        for (let n = 1; n <= all; n += full ? 1 : 8) {
          for (let m = 1; ; m += full ? 1 : 3) {
            await runOnce(scenario, prepared, (kernel) => crashAtChange(kernel, n))
            const second = mortal()
            const { kernel, seen } = crashAtChange(second.kernel, m)
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
          }
        }
        tell(`died at ${points} changes of the recovery of ${scenario.title}`)
        assert.ok(points > 20)
      }))
  }
})

const codes: readonly ErrnoName[] = ['EIO', 'ENOSPC', 'EACCES']

describe('a merge whose call fails', function () {
  this.timeout(3_600_000)
  for (const scenario of scenarios) {
    it(`leaves the root as it was, or is recovered, for every system call of ${scenario.title}`, () =>
      withScenario(scenario, async (prepared) => {
        const outcomes = { before: 0, after: 0, pending: 0, leftOver: 0 }
        for (let n = 1; ; n += full ? 1 : 3) {
          const code = codes[(n >> 1) % codes.length] as ErrnoName
          const { seen, error, leaked, leftOvers } = await runOnce(scenario, prepared, (kernel) =>
            failNth(kernel, n, code),
          )
          if (seen.hit === undefined) break
          const where = `after ${code} at call ${n} (${seen.hit}): ${String(error)}`
          assert.deepEqual(leaked, [], `descriptors left ${where}`)
          if (leftOvers.length > 0) {
            outcomes.leftOver++
            checkLeftOvers(prepared, leftOvers, where)
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
        tell(
          `failed ${outcomes.before + outcomes.after + outcomes.pending + outcomes.leftOver} calls of ${scenario.title}`,
          outcomes,
        )
        assert.ok(outcomes.before > 50, JSON.stringify(outcomes))
      }))
  }
})

describe('a merge that is cancelled', function () {
  this.timeout(3_600_000)
  for (const scenario of scenarios) {
    it(`at any system call of ${scenario.title} is undone, or is done all the same`, () =>
      withScenario(scenario, async (prepared) => {
        const outcomes = { before: 0, after: 0 }
        for (let n = 1; ; n += full ? 1 : 3) {
          const { seen, error, leaked } = await runOnce(scenario, prepared, (kernel) => cancelNth(kernel, n))
          if (seen.hit === undefined) break
          const where = `cancelled at call ${n} (${seen.hit}): ${String(error)}`
          assert.ok(error === undefined || error instanceof Cancelled, where)
          assert.deepEqual(leaked, [], `descriptors left ${where}`)
          const outcome = checkOutcome(prepared.work, prepared, where)
          outcomes[outcome]++
          // Whoever is told that it was cancelled has a root that did not change.
          assert.equal(outcome, error === undefined ? 'after' : 'before', where)
        }
        tell(`cancelled at ${outcomes.before + outcomes.after} calls of ${scenario.title}`, outcomes)
        assert.ok(outcomes.before > 15 && outcomes.after > 5, JSON.stringify(outcomes))
      }))
  }
})

describe('the sweep itself', function () {
  this.timeout(3_600_000)
  const upgrade = scenarioOf('an upgrade with removals and changes of type')

  /** How many points of dying leave a root that is neither before nor after, with a kernel that lies. */
  async function brokenPoints(lie: (kernel: Kernel) => Kernel): Promise<number> {
    let broken = 0
    await withScenario(upgrade, async (prepared) => {
      for (let n = 1; ; n++) {
        const { seen } = await runOnce(upgrade, prepared, (kernel) => crashAtChange(lie(kernel), n))
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
      pwrite: (_, bytes, _offset, length = bytes.length) => length,
    }))
    assert.ok(broken > 5, `only ${broken} points were noticed`)
  })

  it('notices when an identity is the same for every object', async () => {
    const broken = await brokenPoints((kernel) => ({ ...kernel, handleAt: () => 'the same' }))
    assert.ok(broken > 0, `only ${broken} points were noticed`)
  })

  it('notices when a cancel is looked at where nothing may be left half done', async () => {
    let broken = 0
    await withScenario(upgrade, async (prepared) => {
      for (let n = 1; ; n += 7) {
        const { seen, error } = await runOnce(upgrade, prepared, (kernel) => {
          const double = cancelNth(kernel, n)
          const checked = wrapKernel(double.kernel, (call, args, proceed) => {
            if (call !== 'close') double.cancel.check()
            return proceed(...args)
          })
          return { ...double, kernel: checked }
        })
        if (seen.hit === undefined) break
        if (error instanceof RecoveryPendingError) broken++
      }
    })
    tell(`a cancel that is looked at everywhere breaks ${broken} points`)
    assert.ok(broken > 5)
  })
})
