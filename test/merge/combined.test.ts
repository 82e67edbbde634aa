// What the sweeps' scenarios have one by one, all in one merge: two images that are taken, in one new directory; a package
// that they replace; hard links over new and live directories; set-id bits, a capability, a default ACL; changes of type;
// configuration; an object of nobody that is given back, and one that is replaced.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import type { MergeOptions } from '../../src/merge/options.ts'
import { type ErrnoName, linuxKernel } from '../../src/sys/index.ts'
import { isRoot } from '../support/asRoot.ts'
import { crashAtChange, failNth } from '../support/kernelDoubles.ts'
import { mergeImages } from '../support/operations.ts'
import { writeTree } from '../support/tree.ts'
import { checkLeftOvers, checkOutcome, tell, withScenario } from './outcome.ts'
import { contextOf, recover, type Scenario } from './scenarios.ts'
import { changesOf, full, runOnce } from './sweeping.ts'

const trees: Readonly<Record<string, string>> = {
  old: 'f /usr/share/old/file "old"\nf /usr/share/both "old"\nf /usr/bin/third "old"',
  other: 'f /usr/share/other/file "other"\nf /usr/lib/other "other"',
  one: `
f 4755 /usr/bin/tool          "1" ${isRoot ? 'cap=cap_net_raw+ep' : ''}
h      /usr/bin/tool-too      == /usr/bin/tool
h      /opt/one/tool          == /usr/bin/tool
f      /usr/share/same        "same"
f      /usr/share/metadata    "same" user.note="1"
f      /usr/share/obsolete/a/b "goes"
f      /usr/share/link/file   "a directory first"
f 4755 /usr/share/link/set-id "a directory first"
f      /usr/share/directory   "a file first"
f      /usr/lib/own/file      "stays"
f      /etc/edited            "1"
f      /etc/untouched         "1"
f      /etc/deleted           "1"
f      /srv/given-back        "1"
l      /usr/bin/link          -> tool
p      /run/fifo`,
  two: `
f 4755 /usr/bin/tool          "2"
h      /usr/bin/tool-too      == /usr/bin/tool
h      /opt/two/new/tool      == /usr/bin/tool
h      /usr/lib/tool          == /usr/bin/tool
f      /usr/share/same        "same"
f 0600 /usr/share/metadata    "same" user.note="2"
l      /usr/share/link        -> other
f      /usr/share/directory/file "a directory now"
d 2750 /usr/lib/own
f      /usr/lib/own/file      "stays"
f      /etc/edited            "2"
f      /etc/untouched         "2"
f      /etc/deleted           "2"
f      /srv/replaced          "2" hole:1M
f      /usr/share/both        "2"
l      /usr/bin/link          -> tool-too
l      /run/fifo              -> elsewhere`,
  third: 'f /opt/two/new/third "third"\nf /usr/bin/third "third"\nf /etc/third "third"',
}

const scenario: Scenario = {
  title: 'everything at once',
  prepare: async (directory) => {
    const root = join(directory, 'root')
    for (const [name, tree] of Object.entries({ ...trees, root: '' })) {
      fs.mkdirSync(join(directory, name))
      writeTree(join(directory, name), tree)
    }
    writeTree(
      root,
      'f 0640 /srv/given-back "mine"\nf /srv/replaced "mine"\nf /usr/share/mine "mine"\nd /usr/share/obsolete/mine',
    )
    const merge = (name: string, more: Partial<MergeOptions> = {}) =>
      mergeImages(contextOf(linuxKernel()), { root, image: join(directory, name), package: name, ...more })
    await merge('old')
    await merge('other')
    await merge('one', { package: 'package', collisions: 'replace-unowned', protect: ['/etc'] })
    execFileSync('setfacl', ['-d', '-m', 'u:7:rwx', join(root, 'usr/share')])
    fs.writeFileSync(join(root, 'etc/edited'), 'by the admin')
    fs.rmSync(join(root, 'etc/deleted'))
  },
  operate: (engine, directory) =>
    mergeImages(engine, {
      root: join(directory, 'root'),
      images: [
        { image: join(directory, 'two'), package: 'package' },
        { image: join(directory, 'third'), package: 'third' },
      ],
      mode: 'move',
      replaces: ['old'],
      collisions: 'replace-unowned',
      protect: ['/etc'],
      jobs: 1,
    }),
  words: () => [],
}

const codes: readonly ErrnoName[] = ['EIO', 'ENOSPC', 'EACCES']

describe('a merge of everything at once', function () {
  this.timeout(3_600_000)

  it('that dies is recovered to before or after', () =>
    withScenario(scenario, async (prepared) => {
      const outcomes = { before: 0, after: 0 }
      const all = await changesOf(scenario, prepared)
      for (let n = 1; n <= all; n += full ? 1 : 8) {
        for (const undo of [false, true]) {
          const { seen } = await runOnce(scenario, prepared, (kernel) => crashAtChange(kernel, n))
          recover(prepared.work, linuxKernel(), undo)
          const where = `after dying at change ${n} (${seen.hit})${undo ? ', undoing' : ''}`
          outcomes[checkOutcome(prepared.work, prepared, where)]++
        }
      }
      tell(`died at ${all} changes`, outcomes)
      assert.ok(outcomes.before > 10 && outcomes.after > 10, JSON.stringify(outcomes))
    }))

  it('that fails leaves the root as it was, or is recovered, or tells what is left', () =>
    withScenario(scenario, async (prepared) => {
      const outcomes = { before: 0, after: 0, told: 0 }
      for (let n = 1; ; n += full ? 1 : 37) {
        const code = codes[n % codes.length] as ErrnoName
        const { seen, leaked, leftOvers } = await runOnce(scenario, prepared, (kernel) => failNth(kernel, n, code))
        if (seen.hit === undefined) break
        const where = `after ${code} at call ${n} (${seen.hit})`
        assert.deepEqual(leaked, [], where)
        if (leftOvers.length > 0) {
          outcomes.told++
          checkLeftOvers(prepared, leftOvers, where)
          continue
        }
        recover(prepared.work)
        outcomes[checkOutcome(prepared.work, prepared, where)]++
      }
      tell('failed', outcomes)
      assert.ok(outcomes.before > 10 && outcomes.after > 0, JSON.stringify(outcomes))
    }))
})
