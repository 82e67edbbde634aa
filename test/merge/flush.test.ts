// What a marker promises has been flushed before it: every directory in which a name was given or taken. Shown of small
// transactions, which flush one by one; the others flush whole file systems.

import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import type { EngineContext } from '../../src/sys/engineThread.ts'
import { type Kernel, linuxKernel } from '../../src/sys/index.ts'
import { wrapKernel } from '../support/kernelDoubles.ts'
import { mergeImages, undoTransaction, unmergePackages } from '../support/operations.ts'
import { withDirectory } from '../support/scratch.ts'
import { noticingNames } from '../support/unflushedNames.ts'
import { contextOf, type Scenario, scenarioOf, scenarios } from './scenarios.ts'

/** Looks at what is not flushed whenever a marker is written; an image that is taken may be on the way. */
function checking(kernel: Kernel, root: string): { kernel: Kernel; markers: string[]; missing: string[] } {
  const noticing = noticingNames(kernel)
  const [markers, missing]: string[][] = [[], []]
  const checked = wrapKernel(noticing.kernel, (call, args, proceed) => {
    const text = call === 'pwrite' ? Buffer.from(args[1] as Uint8Array).toString('latin1') : ''
    const marker = /\{"kind":"(commit|final|end)"\}/.exec(text)?.[1]
    const isAgain = args[2] === 0 // the end is written once more, at the start
    if (marker !== undefined && !isAgain) {
      markers?.push(marker)
      for (const [directory, change] of noticing.unflushed())
        if (directory.startsWith(root) && !/^openat (lock|id)$/.test(change))
          missing?.push(`${marker}: ${change} in ${directory.slice(root.length)}`)
    }
    return proceed(...args)
  })
  return { kernel: checked, markers: markers ?? [], missing: missing ?? [] }
}

type Operation = (engine: EngineContext, root: string) => unknown

async function checkAll(scenario: Scenario, operations: readonly Operation[]): Promise<void> {
  await withDirectory(async (directory) => {
    await scenario.prepare(directory)
    const root = join(directory, 'root')
    for (const operation of operations) {
      const { kernel, markers, missing } = checking(linuxKernel(), root)
      await operation(contextOf(kernel), root)
      assert.deepEqual(missing, [])
      assert.deepEqual(markers, ['commit', 'final', 'end'])
    }
  })
}

describe('before each marker every changed directory was flushed', function () {
  this.timeout(60_000)
  for (const scenario of scenarios) {
    it(`in ${scenario.title}`, () => checkAll(scenario, [(engine, root) => scenario.operate(engine, join(root, '..'))]))
  }

  it('in an upgrade and an unmerge that keep what they displace, and their undos', () =>
    checkAll(scenarioOf('an upgrade with removals and changes of type'), [
      (engine, root) => mergeImages(engine, { root, image: join(root, '../two'), package: 'package', keepUndo: 2 }),
      (engine, root) => unmergePackages(engine, { root, packages: ['package'], keepUndo: 2 }),
      (engine, root) => undoTransaction(engine, { root }),
      (engine, root) => undoTransaction(engine, { root }),
    ]))

  it('in a merge that replaces what belonged to nobody, and the unmerge that gives it back', () =>
    checkAll(scenarioOf('a fresh merge'), [
      (engine, root) => {
        fs.mkdirSync(join(root, 'usr/bin'), { recursive: true })
        fs.writeFileSync(join(root, 'usr/bin/tool'), 'of nobody')
        const more = { collisions: 'replace-unowned' } as const
        return mergeImages(engine, { root, image: join(root, '../one'), package: 'package', ...more })
      },
      (engine, root) => unmergePackages(engine, { root, packages: ['package'] }),
    ]))
})
