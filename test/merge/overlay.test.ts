// Merges into an overlay whose whole root is in the lower layer, as in a container: every change copies something up,
// and recovery, also after the overlay was mounted anew, brings the root to before or after.

import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { linuxKernel } from '../../src/sys/index.ts'
import { run } from '../support/disks.ts'
import { fileSystems } from '../support/filesystems.ts'
import { crashAt } from '../support/kernelDoubles.ts'
import { withDirectory } from '../support/scratch.ts'
import { sample, seed, seeded } from '../support/seeded.ts'
import { differencesBetween, type Snapshot } from '../support/snapshot.ts'
import { checkRecords, type Prepared, tell, withScenario } from './outcome.ts'
import {
  contextOf,
  copyOf,
  mortal,
  recordsSnapshot,
  recover,
  rootSnapshot,
  type Scenario,
  scenarioOf,
  stagingNames,
} from './scenarios.ts'
import { full } from './sweeping.ts'

const random = seeded(seed)
const upgrade = scenarioOf('an upgrade with removals and changes of type')

/** Without the directory that becomes a symlink, which is a test of its own below. */
const plainUpgrade: Scenario = {
  ...upgrade,
  title: 'an upgrade with removals and a file that becomes a directory',
  async prepare(directory) {
    await upgrade.prepare(directory)
    const becomesLink = join(directory, 'two/usr/share/becomes-link')
    fs.rmSync(becomesLink)
    fs.cpSync(join(directory, 'one/usr/share/becomes-link'), becomesLink, { recursive: true, preserveTimestamps: true })
  },
}
const dying = [scenarioOf('a fresh merge'), plainUpgrade, scenarioOf('an unmerge')]

/** A scenario's directory whose root is an overlay: what was prepared is its lower layer. */
class Overlay {
  readonly directory: string
  readonly #scratch: string
  readonly #root: string

  constructor(prepared: Prepared, scratch: string) {
    this.#scratch = scratch
    this.directory = join(scratch, 'scene')
    this.#root = join(this.directory, 'root')
    copyOf(prepared.directory, this.directory)
    fs.renameSync(this.#root, join(scratch, 'lower'))
    fs.mkdirSync(this.#root)
  }

  /** Mounts it with an empty upper layer. */
  start(): void {
    for (const layer of ['upper', 'work']) {
      fs.rmSync(join(this.#scratch, layer), { recursive: true, force: true })
      fs.mkdirSync(join(this.#scratch, layer))
    }
    // The attributes of the top are those of the upper layer.
    run('touch', '-r', join(this.#scratch, 'lower'), join(this.#scratch, 'upper'))
    this.mount()
  }

  mount(): void {
    const [lower, upper, work] = ['lower', 'upper', 'work'].map((layer) => join(this.#scratch, layer))
    run('mount', '-t', 'overlay', 'overlay', '-o', `lowerdir=${lower},upperdir=${upper},workdir=${work}`, this.#root)
  }

  unmount(): void {
    run('umount', this.#root)
  }
}

/** Lower files that were copied up lose their links: TRANSACTION.md section 1 does not promise them. */
function withoutLinks(snapshot: Snapshot): Snapshot {
  return new Map([...snapshot].map(([name, line]) => [name, line.replace(/ first=\S+/, '')]))
}

function outcomeOf(directory: string, { before, after }: Prepared, where: string): 'before' | 'after' {
  assert.deepEqual(stagingNames(directory), [], `staging names left ${where}`)
  const toBefore = differencesBetween(withoutLinks(rootSnapshot(directory, true)), withoutLinks(before.exact))
  if (toBefore.length === 0) {
    const records = [...recordsSnapshot(directory).keys()].filter((name) => name.endsWith('record'))
    assert.deepEqual(
      records,
      [...before.records.keys()].filter((name) => name.endsWith('record')),
      where,
    )
    return 'before'
  }
  const toAfter = differencesBetween(withoutLinks(rootSnapshot(directory, false)), withoutLinks(after.loose))
  assert.deepEqual(toAfter, [], `neither before (${toBefore.join('; ')}) nor after ${where}`)
  return 'after'
}

async function dieAndRecover(overlay: Overlay, scenario: Scenario, prepared: Prepared, n: number) {
  overlay.start()
  try {
    const process = mortal()
    const { kernel, seen } = crashAt(process.kernel, n)
    await scenario.operate(contextOf(kernel), overlay.directory).catch(() => {})
    process.bury()
    const isMountedAnew = random() < 0.5
    if (isMountedAnew) {
      overlay.unmount()
      overlay.mount()
    }
    const where = `after dying at call ${n} (${seen.hit}), ${isMountedAnew ? 'mounted anew' : 'mounted as it was'}`
    recover(overlay.directory, linuxKernel(), n % 2 === 0)
    const outcome = outcomeOf(overlay.directory, prepared, where)
    await checkRecords(overlay.directory, where)
    return outcome
  } finally {
    overlay.unmount()
  }
}

async function callsOf(overlay: Overlay, scenario: Scenario, prepared: Prepared): Promise<number> {
  overlay.start()
  try {
    const { kernel, seen } = crashAt(linuxKernel(), Number.POSITIVE_INFINITY)
    await scenario.operate(contextOf(kernel), overlay.directory)
    assert.equal(outcomeOf(overlay.directory, prepared, 'when nothing goes wrong'), 'after')
    await checkRecords(overlay.directory, 'when nothing goes wrong')
    return seen.calls
  } finally {
    overlay.unmount()
  }
}

describe('a merge over the lower layer of an overlay', function () {
  this.timeout(1_800_000)

  for (const name of full ? ['ext4', 'xfs', 'tmpfs'] : ['ext4']) {
    for (const scenario of dying) {
      it(`that dies in ${scenario.title} is recovered to before or after [overlay on ${name}]`, async function () {
        const fileSystem = fileSystems().find((each) => each.name === name)
        if (fileSystem === undefined) {
          process.stderr.write('skipped: overlays need root\n')
          return this.skip()
        }
        await withScenario(scenario, (prepared) =>
          withDirectory(async (scratch) => {
            const overlay = new Overlay(prepared, scratch)
            const calls = await callsOf(overlay, scenario, prepared)
            const all = Array.from({ length: calls }, (_, index) => index + 1)
            const outcomes = { before: 0, after: 0 }
            const points = full ? all.filter((n) => n % 3 === 0) : sample(all, 16, random)
            for (const n of points) outcomes[await dieAndRecover(overlay, scenario, prepared, n)]++
            tell(`died at ${points.length} of ${calls} calls of ${scenario.title} (seed ${seed})`, outcomes)
            assert.ok(calls > 150 && points.length >= 16)
          }, fileSystem.directory()),
        )
      })
    }
  }

  it('that would put a symlink in the place of a directory, which cannot be renamed there, changes nothing', async function () {
    const ext4 = fileSystems().find(({ name }) => name === 'ext4')
    if (ext4 === undefined) {
      process.stderr.write('skipped: overlays need root\n')
      return this.skip()
    }
    await withScenario(upgrade, (prepared) =>
      withDirectory(async (scratch) => {
        const overlay = new Overlay(prepared, scratch)
        overlay.start()
        try {
          await assert.rejects(async () => upgrade.operate(contextOf(linuxKernel()), overlay.directory), /EXDEV/)
          assert.equal(outcomeOf(overlay.directory, prepared, 'after EXDEV'), 'before')
        } finally {
          overlay.unmount()
        }
      }, ext4.directory()),
    )
  })
})
