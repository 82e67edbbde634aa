// Where the kernel declines what a step would like best: doubles of such kernels, swept like the real one.

import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { RecoveryPendingError } from '../../src/merge/errors.ts'
import { type Kernel, linuxKernel, RENAME_EXCHANGE, RENAME_NOREPLACE, SyscallError } from '../../src/sys/index.ts'
import { crashAt, crashAtChange, failNth, wrapKernel } from '../support/kernelDoubles.ts'
import { checkLeftOvers, checkOutcome, tell, withScenario } from './outcome.ts'
import { recover, scenarioOf } from './scenarios.ts'
import { full, runOnce } from './sweeping.ts'

const upgrade = scenarioOf('an upgrade with removals and changes of type')

/** Refuses renames with some flags: NFS and FAT know no exchange, some FUSE servers no flag at all. */
function declineFlags(kernel: Kernel, flags: number): Kernel {
  return wrapKernel(kernel, (call, args, proceed) => {
    if (call === 'renameat' && ((args[4] as number | undefined) ?? 0) & flags)
      throw new SyscallError('EINVAL', 'renameat2')
    return proceed(...args)
  })
}

/** As FAT: no hard link for what goes aside. (Those of the image itself would be refused before.) */
function declineLinks(kernel: Kernel): Kernel {
  return wrapKernel(kernel, (call, args, proceed) => {
    if (call === 'linkat' && (args[3] as string).endsWith('-old')) throw new SyscallError('EPERM', 'linkat')
    return proceed(...args)
  })
}

const noFlags = RENAME_EXCHANGE | RENAME_NOREPLACE
const kernels: Readonly<Record<string, (kernel: Kernel) => Kernel>> = {
  'exchanges no names': (kernel) => declineFlags(kernel, RENAME_EXCHANGE),
  'knows no flags of rename': (kernel) => declineFlags(kernel, noFlags),
  'knows no flags of rename and no hard links': (kernel) => declineLinks(declineFlags(kernel, noFlags)),
}

describe('a merge by a kernel that', function () {
  this.timeout(3_600_000)
  for (const [title, decline] of Object.entries(kernels)) {
    it(`${title} ends as by any other, and says how`, () =>
      withScenario(upgrade, async (prepared) => {
        const { error, report: told } = await runOnce(upgrade, prepared, (kernel) =>
          crashAt(decline(kernel), Number.POSITIVE_INFINITY),
        )
        assert.equal(error, undefined)
        assert.equal(checkOutcome(prepared.work, prepared, title), 'after')
        assert.match(JSON.stringify((told as { notes: readonly string[] }).notes), /cannot be exchanged/)
      }))

    it(`${title} is recovered when it dies at any call`, () =>
      withScenario(upgrade, async (prepared) => {
        const outcomes = { before: 0, after: 0 }
        for (let n = 1; ; n += full ? 1 : 5) {
          const die = (kernel: Kernel) => crashAtChange(decline(kernel), n)
          if ((await runOnce(upgrade, prepared, die)).seen.hit === undefined) break
          recover(prepared.work, decline(linuxKernel()))
          outcomes[checkOutcome(prepared.work, prepared, `after dying at change ${n}`)]++
          const { seen } = await runOnce(upgrade, prepared, die)
          recover(prepared.work, decline(linuxKernel()), true)
          outcomes[
            checkOutcome(prepared.work, prepared, `after dying at change ${n} (${seen.hit}), recovered by undoing`)
          ]++
        }
        tell(`died at ${outcomes.before + outcomes.after} changes, recovered both ways`, outcomes)
        assert.ok(outcomes.before > 20 && outcomes.after > 3, JSON.stringify(outcomes))
      }))

    it(`${title} leaves the root as it was when any call fails`, () =>
      withScenario(upgrade, async (prepared) => {
        const outcomes = { before: 0, after: 0, pending: 0, leftOver: 0 }
        for (let n = 2; ; n += full ? 1 : 9) {
          const { seen, error, leaked, leftOvers } = await runOnce(upgrade, prepared, (kernel) =>
            failNth(decline(kernel), n, 'EIO'),
          )
          if (seen.hit === undefined) break
          const where = `after EIO at call ${n} (${seen.hit}): ${String(error)}`
          assert.deepEqual(leaked, [], `descriptors left ${where}`)
          if (leftOvers.length > 0) {
            outcomes.leftOver++
            checkLeftOvers(prepared, leftOvers, where)
          } else if (error instanceof RecoveryPendingError) {
            outcomes.pending++
            recover(prepared.work, decline(linuxKernel()))
            checkOutcome(prepared.work, prepared, where)
          } else {
            const outcome = checkOutcome(prepared.work, prepared, where)
            assert.equal(outcome, error === undefined ? 'after' : 'before', where)
            outcomes[outcome]++
          }
        }
        tell(`failed ${Object.values(outcomes).reduce((sum, each) => sum + each)} calls`, outcomes)
        assert.ok(outcomes.before > 10, JSON.stringify(outcomes))
      }))
  }

  it('exchanges no names never leaves a file without a name', () =>
    withScenario(upgrade, async (prepared) => {
      let missing = 0
      let looked = 0
      await runOnce(upgrade, prepared, (kernel) => {
        const watching = wrapKernel(kernels['exchanges no names']?.(kernel) as Kernel, (_, args, proceed) => {
          looked++
          if (!fs.existsSync(join(prepared.work, 'root/usr/bin/tool'))) missing++
          return proceed(...args)
        })
        return crashAt(watching, Number.POSITIVE_INFINITY)
      })
      assert.ok(looked > 100)
      assert.equal(missing, 0)
    }))
})
