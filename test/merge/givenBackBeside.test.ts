// Deaths within the undo of a merge that takes its image, where somebody has given the names of what was taken to files of
// his own: what was taken lies beside those and is told, and nothing is lost.

import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join, resolve } from 'node:path'
import { RecoveryPendingError } from '../../src/merge/errors.ts'
import type { RecoveryReport } from '../../src/merge/recover.ts'
import { baseName, joinName, linuxKernel, parentName } from '../../src/sys/index.ts'
import { Crash, crashAtChange } from '../support/kernelDoubles.ts'
import { differencesBetween, type Snapshot } from '../support/snapshot.ts'
import { type Prepared, tell, withScenario } from './outcome.ts'
import { imagesSnapshot, mortal, recover, rootSnapshot, type Scenario, scenarioOf, stagingNames } from './scenarios.ts'
import { changesOf, full, runOnce } from './sweeping.ts'

const titles = ['an upgrade that takes its image', ...(full ? ['a fresh merge that takes its image'] : [])]
const intruder = "somebody's own"

/** What is beside the root, without the times of directories, the name that a link came first under, and transactions. */
function imagesOf(directory: string): Snapshot {
  const plain = (text: string) => text.replace(/ first=\S+/, '').replace(/kept-[0-9a-f]{16}-/, 'kept-')
  return new Map([...imagesSnapshot(directory, false)].map(([name, line]) => [plain(name), plain(line)]))
}

const inodeOf = (path: string) => fs.lstatSync(path, { throwIfNoEntry: false })?.ino

/**
 * Dies at the n-th change; then somebody gives every name that is missing in an image to a file.
 *
 * @returns how many, and what is to be beside the root when the merge is undone
 */
async function dieAndIntrude(
  scenario: Scenario,
  prepared: Prepared,
  n: number,
): Promise<{ taken: number; expected: Snapshot }> {
  const { work, directory } = prepared
  const before = imagesOf(directory)
  let inodes = new Map<string, number | undefined>()
  await runOnce(scenario, prepared, (kernel) => {
    inodes = new Map([...before.keys()].map((name) => [name, inodeOf(join(work, name))]))
    return crashAtChange(kernel, n)
  })
  const isThere = (name: string) => inodeOf(join(work, name)) !== undefined
  const expected = new Map<string, string>()
  const places = new Map<string, string>()
  for (const [name, line] of before) {
    const parent = parentName(name)
    const isTaken = !isThere(name) && isThere(parent)
    const place = isTaken
      ? joinName(parent, `.rootmerge-kept-${inodes.get(name)}`)
      : joinName(places.get(parent) ?? parent, baseName(name))
    places.set(name, place)
    expected.set(place, line)
  }
  const taken = [...before.keys()].filter((name) => !isThere(name) && isThere(parentName(name)))
  for (const name of taken) fs.writeFileSync(join(work, name), intruder, { mode: 0o644 })
  for (const name of taken) expected.set(name, imagesOf(work).get(name) ?? '')
  return { taken: taken.length, expected }
}

function checkUndone(
  { work, before }: Prepared,
  expected: Snapshot,
  { leftOvers }: RecoveryReport,
  where: string,
): void {
  assert.deepEqual(stagingNames(work), [], where)
  assert.deepEqual(differencesBetween(rootSnapshot(work, true), before.exact), [], where)
  assert.deepEqual(differencesBetween(imagesOf(work), expected), [], where)
  const told = leftOvers.map(({ name }) => resolve(work, 'root', name))
  const kept = fs
    .readdirSync(work, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.rootmerge-kept-[^/]+$/.test(name))
  assert.deepEqual([...new Set(told)].sort(), kept.map((name) => join(work, name)).sort(), `told ${where}`)
}

describe('a merge that takes its image, and dies', function () {
  this.timeout(3_600_000)

  for (const scenario of titles.map(scenarioOf)) {
    it(`is undone beside what somebody made of the names, where that dies too: ${scenario.title}`, () =>
      withScenario(scenario, async (prepared) => {
        const { work } = prepared
        const all = await changesOf(scenario, prepared)
        let [points, besides] = [0, 0]
        for (let n = 1; n <= all; n += full ? 1 : 5) {
          for (let m = 1; ; m += full ? 1 : 2) {
            const { taken, expected } = await dieAndIntrude(scenario, prepared, n)
            if (taken === 0) break
            const second = mortal()
            const { kernel, seen } = crashAtChange(second.kernel, m)
            let report: RecoveryReport | undefined
            try {
              report = recover(work, kernel, true)
            } catch (error) {
              assert.ok(error instanceof Crash || error instanceof RecoveryPendingError, String(error))
            }
            second.bury()
            report ??= recover(work, linuxKernel(), true)
            if (report.action !== 'undo' && report.action !== 'discard') break // final: it is taken for good
            checkUndone(prepared, expected, report, `after dying at ${n}, then at ${m} of the undo (${seen.hit})`)
            besides += taken
            if (seen.hit === undefined) break
            points++
          }
        }
        tell(`died at ${points} changes of undoing, with ${besides} names taken`)
        assert.ok(points > 20 && besides > 50, `${points} points, ${besides} names`)
      }))
  }
})
