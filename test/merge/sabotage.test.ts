// Engines that break one rule of TRANSACTION.md each: what a sweep shows of them, so that it would show it of ours.
//
// A flush that is left out before the commit only shows in power cuts (powerCut.test.ts).

import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { type Fd, type Kernel, linuxKernel, RENAME_EXCHANGE } from '../../src/sys/index.ts'
import { fileSystems } from '../support/filesystems.ts'
import { type Call, type Counts, crashAt, wrapKernel } from '../support/kernelDoubles.ts'
import { mergeImages } from '../support/operations.ts'
import { withDirectory } from '../support/scratch.ts'
import { writeTree } from '../support/tree.ts'
import { checkOutcome, tell, withScenario } from './outcome.ts'
import { contextOf, mortal, recover, type Scenario, scenarioOf } from './scenarios.ts'
import { runOnce } from './sweeping.ts'

const upgrade: Scenario = scenarioOf('an upgrade with removals and changes of type')

/** At how many of the renames and journal writes a death leaves a root that is neither before nor after. */
async function brokenPoints(
  sabotage: (kernel: Kernel) => Kernel,
  undo: boolean,
): Promise<{ broken: number; all: number }> {
  const points = { broken: 0, all: 0 }
  await withScenario(upgrade, async (prepared) => {
    const counts = (call: Call) => call === 'renameat' || call === 'pwrite' || call === 'fdatasync'
    for (let n = 1; ; n++) {
      const { seen } = await runOnce(upgrade, prepared, (kernel) => crashAt(sabotage(kernel), n, counts))
      if (seen.hit === undefined) break
      points.all++
      try {
        recover(prepared.work, linuxKernel(), undo)
        checkOutcome(prepared.work, prepared, 'with sabotage')
      } catch {
        points.broken++
      }
    }
  })
  return points
}

/** The journal's marker is `final` where it should be `commit`: of the same length, with its checksum. */
function finalTooEarly(kernel: Kernel): Kernel {
  return {
    ...kernel,
    pwrite(fd, bytes, offset, length) {
      const text = Buffer.from(bytes).toString('latin1')
      if (!text.includes('{"kind":"commit"')) return kernel.pwrite(fd, bytes, offset, length)
      const frame = Buffer.from(text.replace('"commit"', '"final" '), 'latin1')
      frame.writeUInt32LE(crc32(frame.subarray(8)), 4)
      return kernel.pwrite(fd, frame, offset)
    },
  }
}

/** What was displaced goes with the records, before the marker that forbids undoing. */
function removalTooEarly(kernel: Kernel): Kernel {
  const displaced: string[] = []
  const pathOf = (fd: Fd, name: unknown) => `${fs.readlinkSync(`/proc/self/fd/${fd}`)}/${name}`
  return wrapKernel(kernel, (call, args, proceed) => {
    const result = proceed(...args)
    if (call === 'renameat' && args[3] === 'record') for (const path of displaced) fs.rmSync(path, { recursive: true })
    if (call === 'renameat' && args[4] === RENAME_EXCHANGE) displaced.push(pathOf(args[0] as Fd, args[1]))
    return result
  })
}

const sabotages: readonly [what: string, sabotage: (kernel: Kernel) => Kernel, undo: boolean][] = [
  ['final is written before the renames', finalTooEarly, false],
  ['old objects are removed before final', removalTooEarly, true],
]

describe('an engine that breaks a rule', function () {
  this.timeout(300_000)

  for (const [what, sabotage, undo] of sabotages) {
    it(`is noticed by the deaths at its renames: ${what}`, async () => {
      const { broken, all } = await brokenPoints(sabotage, undo)
      tell(`${broken} of ${all} deaths were noticed`)
      assert.ok(broken > 0)
    })
  }

  it('is none: the same deaths are survived without sabotage, finishing and undoing', async () => {
    for (const undo of [false, true]) {
      const { broken, all } = await brokenPoints((kernel) => kernel, undo)
      assert.ok(all > 10, `only ${all} points`)
      assert.equal(broken, 0)
    }
  })

  it('is noticed when it knows objects by their inode numbers alone, which ext4 gives to the next file', async function () {
    const ext4 = fileSystems().find(({ name }) => name === 'ext4')
    if (ext4 === undefined) {
      process.stderr.write('skipped: identity by inode number: it needs root, for an ext4 of its own\n')
      return this.skip()
    }
    const byNumber = (kernel: Kernel): Kernel => ({
      ...kernel,
      handleAt: (fd, name) => String((name === '' ? kernel.fstat(fd) : kernel.statat(fd, name)).ino),
    })
    assert.equal(await adminsFileAfterUndo(ext4.directory(), (kernel) => kernel), "the admin's")
    assert.equal(await adminsFileAfterUndo(ext4.directory(), byNumber), undefined)
  })
})

/** A merge dies after its first rename; an admin puts a file of his own in that place; then the merge is undone. */
async function adminsFileAfterUndo(parent: string, around: (kernel: Kernel) => Kernel): Promise<string | undefined> {
  return withDirectory(async (directory) => {
    const [root, image] = [join(directory, 'root'), join(directory, 'image')]
    fs.mkdirSync(join(root, 'etc'), { recursive: true })
    fs.mkdirSync(image)
    writeTree(image, 'f /etc/first "1"\nf /etc/second "2"')
    const process = mortal()
    const places: Counts = (call, args) => call === 'renameat' && /^(first|second)$/.test(String(args[3]))
    const { kernel } = crashAt(around(process.kernel), 2, places)
    await assert.rejects(mergeImages(contextOf(kernel), { root, image, package: 'p' }))
    process.bury()
    const [placed] = fs.readdirSync(join(root, 'etc')).filter((name) => !name.startsWith('.'))
    const path = join(root, 'etc', placed as string)
    const { ino } = fs.statSync(path)
    fs.rmSync(path)
    fs.writeFileSync(path, "the admin's")
    assert.equal(fs.statSync(path).ino, ino, 'ext4 did not use the number again')
    recover(directory, around(linuxKernel()), true)
    return fs.existsSync(path) ? fs.readFileSync(path, 'utf8') : undefined
  }, parent)
}
