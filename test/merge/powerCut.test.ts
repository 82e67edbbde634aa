// Power cuts: whatever a cut at any instant leaves of the disks, recovery brings the root to before or after.
//
// Two ways (cutting.ts): a log of every write and flush, from which a cut is made at any point with an arbitrary part of
// what no flush had made durable; and one file that holds all the disks, cloned while the operation runs. Another
// process fsyncs files at random meanwhile. Not shown: sectors that are torn within 4096 bytes, and disks that lie.

import assert from 'node:assert/strict'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Kernel } from '../../src/sys/index.ts'
import type { Disk } from '../support/disks.ts'
import { seed, seeded } from '../support/seeded.ts'
import { cutCloned, cutLogged, type Outcomes } from './cutting.ts'
import { tell } from './outcome.ts'
import { type Scenario, scenarioOf } from './scenarios.ts'

const full = process.env.ROOTMERGE_TEST_FULL !== undefined
const random = seeded(seed)

/** Machines by what their disks hold: one file system, the payload on another than the record, and the other way round. */
const machines: Readonly<Record<string, readonly Disk[]>> = {
  ext4: [{ format: 'ext4', at: '' }],
  xfs: [{ format: 'xfs', at: '' }],
  btrfs: [{ format: 'btrfs', at: '' }],
  'the record on ext4, the payload on xfs': [
    { format: 'ext4', at: '' },
    { format: 'xfs', at: 'usr' },
  ],
  'the record on btrfs, the payload on ext4': [
    { format: 'ext4', at: '' },
    { format: 'btrfs', at: 'var' },
  ],
  'the record on xfs, the payload on btrfs': [
    { format: 'xfs', at: '' },
    { format: 'btrfs', at: 'usr' },
  ],
}

/** More than are flushed one by one: whole file systems are flushed then. */
const manyFiles: Scenario = {
  ...scenarioOf('a fresh merge'),
  title: 'a fresh merge of many files',
  async prepare(directory) {
    await scenarioOf('a fresh merge').prepare(directory)
    for (let n = 0; n < 90; n++) writeFile(join(directory, `one/usr/share/many/${n % 7}/${n}`), `${n} `.repeat(n * 40))
  },
}

function writeFile(path: string, text: string): void {
  mkdirSync(join(path, '..'), { recursive: true })
  writeFileSync(path, text)
}

const upgrade = 'an upgrade with removals and changes of type'
const operations = full
  ? [...['a fresh merge', 'a merge over existing files', upgrade, 'an unmerge'].map(scenarioOf), manyFiles]
  : [scenarioOf(upgrade), manyFiles]
const suffering = full ? Object.keys(machines) : ['ext4', 'the record on xfs, the payload on btrfs']
const honest = (kernel: Kernel) => kernel

/** Why no power can be cut here; undefined where it can. */
function hindrance(): string | undefined {
  if (process.getuid?.() !== 0) return 'only root can mount the disks'
  if (!existsSync('/dev/fuse')) return 'there is no /dev/fuse for disks that write down what they are asked'
  return undefined
}

describe('a merge whose power is cut', function () {
  this.timeout(1_800_000)
  let cuts = 0

  before(function () {
    const why = hindrance()
    if (why !== undefined) {
      process.stderr.write(`skipped: power cuts: ${why}\n`)
      this.skip()
    }
    tell(`seed ${seed}: repeat with ROOTMERGE_TEST_SEED=${seed}`)
  })

  function settle(what: string, { counts, broken }: Outcomes): void {
    cuts += counts.before + counts.after + broken.length
    tell(what, counts)
    assert.deepEqual(broken, [])
  }

  for (const machine of suffering) {
    const disks = machines[machine] ?? []
    for (const scenario of operations) {
      const operation = { scenario, disks, around: honest }
      it(`in ${scenario.title} is before or after, whatever was not flushed [${machine}]`, async () =>
        settle('cuts with a part of what was not flushed', await cutLogged(operation, full ? 24 : 5, random)))
      if (!full && machine !== 'ext4') continue
      it(`in ${scenario.title} is before or after [${machine}]`, async () =>
        settle('clones', await cutCloned(operation)))
    }
  }

  it('is noticed to be broken when nothing is flushed before the commit', async () => {
    const around = (kernel: Kernel): Kernel => ({ ...kernel, syncfs: () => {}, fsync: () => {} })
    const careless = { scenario: scenarioOf('a fresh merge'), disks: machines.ext4 ?? [], around }
    const { counts, broken } = await cutLogged(careless, 20, random)
    tell(`without flushes ${broken.length} cuts were noticed`, counts)
    assert.ok(broken.length > 0)
  })

  after(() => {
    if (cuts > 0) tell(`${cuts} power cuts`)
    if (full && hindrance() === undefined) assert.ok(cuts >= 200, `only ${cuts} cuts`)
  })
})
