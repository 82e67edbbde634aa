// Trees that are staged as a whole: what the members save each other, and must not miss.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import type { Kernel } from '../../src/sys/index.ts'
import { compareTrees } from '../support/compareTrees.ts'
import { recording, wrapKernel } from '../support/kernelDoubles.ts'
import { withScene } from '../support/twoFileSystems.ts'

/** Does something once, right before a file of the source is opened: its directory has been read by then. */
function beforeOpening(name: string, work: () => void): (kernel: Kernel) => Kernel {
  let isDone = false
  return (kernel) =>
    wrapKernel(kernel, (call, args, proceed) => {
      if (call === 'openat' && args[1] === name && !isDone) {
        isDone = true
        work()
      }
      return proceed(...args)
    })
}

describe('a tree that is moved to another file system', () => {
  it('takes 12 calls for a small file of it', () =>
    withScene({ source: 'd /tree\nf /tree/1 "1"\nd /tree/sub\nf /tree/sub/2 "2"\nf /tree/sub/3 "3"' }, (scene) => {
      const { kernel, calls } = recording(scene.kernel)
      scene.mover({}, () => kernel).move(scene.source('tree'), scene.target('tree'))
      const opened = calls.filter(({ call, args }) => call === 'openat' && ['1', '2', '3'].includes(args[1] as string))
      // Whichever file of the tree comes last: what new files are given was asked by another.
      const last = opened.at(-1)?.args[1]
      const fromOpening = calls.slice(calls.findIndex(({ call, args }) => call === 'openat' && args[1] === last))
      const closed = fromOpening.findIndex(
        ({ call }, index) => call === 'close' && fromOpening[index - 1]?.call === call,
      )
      assert.deepEqual(
        fromOpening.slice(0, closed + 1).map(({ call }) => call),
        ['openat', 'openat', 'pread', 'pwrite', 'fstat', 'listXattrs', 'futimens', 'close', 'close'],
      )
      const byName = calls.filter(({ call, args }) => call !== 'openat' && args[1] === last)
      assert.deepEqual(
        byName.map(({ call }) => call),
        ['statat', 'findat', 'unlinkat'],
      )
    }))

  it('copies a file that changed after its directory was read as it is by then', () =>
    withScene({ source: 'd /tree\nf 0600 /tree/file "short"' }, (scene) => {
      const path = join(scene.from, 'tree/file')
      const growing = beforeOpening('file', () => {
        fs.writeFileSync(path, 'longer than it was')
        fs.chmodSync(path, 0o640)
      })
      const report = scene.mover({}, growing).copy(scene.source('tree'), scene.target('tree'))
      assert.equal(report.copy?.bytes, 'longer than it was'.length)
      assert.deepEqual(compareTrees(join(scene.from, 'tree'), join(scene.to, 'tree')), [])
      assert.deepEqual(fs.readdirSync(scene.to), ['tree'])
    }))

  it('gives each member its own mode, owner and attributes, wherever it lies', () => {
    const modes = ['0644', '0600', '0666', '0444', '4755', '2644', '0777', '0000']
    const directories = ['d 2755 /tree/shared', 'd 1777 /tree/sticky', 'd 0700 /tree/closed']
    const files = ['shared', 'sticky', 'closed'].flatMap((directory) =>
      modes.map((mode, index) => `f ${mode} /tree/${directory}/${index} "${index}"`),
    )
    const source = ['d /tree', ...directories, ...files].join('\n')
    return withScene({ source }, (expected) =>
      withScene({ source }, (scene) => {
        fs.chmodSync(scene.to, 0o2777)
        execFileSync('setfacl', ['-d', '-m', 'u:bin:rwx', scene.to])
        scene.mover().move(scene.source('tree'), scene.target('tree'))
        assert.deepEqual(compareTrees(join(expected.from, 'tree'), join(scene.to, 'tree')), [])
      }),
    )
  })
})
