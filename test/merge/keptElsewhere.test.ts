// What is kept where the backup cannot take it, since that is on another file system: beside its name, but in no directory
// that is to go; found again by undo, and gone without a trace when it is forgotten.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { type Kernel, linuxKernel, SyscallError } from '../../src/sys/index.ts'
import { itAsRoot } from '../support/asRoot.ts'
import { crashAtChange, wrapKernel } from '../support/kernelDoubles.ts'
import { mergeImages, undoTransaction, unmergePackages } from '../support/operations.ts'
import { withDirectory } from '../support/scratch.ts'
import { differencesBetween, type Snapshot, snapshot } from '../support/snapshot.ts'
import { writeTree } from '../support/tree.ts'
import { memory, tell } from './outcome.ts'
import { contextOf, copyOf, mortal, recover, scenarioOf, stagingNames } from './scenarios.ts'

/** A kernel to which the backups are on another file system. */
function elsewhere(kernel: Kernel): Kernel {
  return wrapKernel(kernel, (call, args, proceed) => {
    const isIntoBackup = call === 'renameat' && /^[0-9a-f]{16}\//.test(String(args[3]))
    if (isIntoBackup) throw new SyscallError('EXDEV', 'renameat2')
    return proceed(...args)
  })
}

type Operation = (kernel: Kernel, directory: string, keepUndo?: number) => Promise<unknown>

const operations: Readonly<Record<string, Operation>> = {
  'an upgrade with removals and changes of type': async (kernel, directory, keepUndo) =>
    mergeImages(contextOf(kernel), {
      ...keeping(directory, keepUndo),
      image: join(directory, 'two'),
      package: 'package',
    }),
  'an unmerge': async (kernel, directory, keepUndo) =>
    unmergePackages(contextOf(kernel), { ...keeping(directory, keepUndo), packages: ['package'] }),
}

function keeping(directory: string, keepUndo: number | undefined) {
  return { root: join(directory, 'root'), ...(keepUndo !== undefined && { keepUndo }) }
}

const undo = (kernel: Kernel, directory: string) =>
  undoTransaction(contextOf(kernel), { root: join(directory, 'root') })

/** Names of what is kept have the transaction's in them. */
function rootOf(directory: string): Snapshot {
  const all = snapshot(join(directory, 'root'), { without: ['var'], directoryTimes: false })
  const plain = (text: string) => text.replace(/kept-[0-9a-f]{16}/g, 'kept')
  return new Map([...all].map(([name, line]) => [plain(name), plain(line)]))
}

const isKept = (name: string) => name.includes('.rootmerge-kept')
const withoutKept = (root: Snapshot): Snapshot => new Map([...root].filter(([name]) => !isKept(name)))
const namesLeft = (directory: string) => stagingNames(directory).filter((name) => !isKept(name))

interface Bench {
  readonly work: string
  /** A new copy of the root before the operation. */
  fresh(): void
  readonly before: Snapshot
  /** Done with everything kept, and with nothing. */
  readonly kept: Snapshot
  readonly plain: Snapshot
}

async function withBench(title: string, body: (bench: Bench, operate: Operation) => Promise<void>): Promise<void> {
  const operate = operations[title] as Operation
  await withDirectory(async (scratch) => {
    const [directory, work] = [join(scratch, 'prepared'), join(scratch, 'work')]
    fs.mkdirSync(directory)
    await scenarioOf(title).prepare(directory)
    const fresh = () => copyOf(directory, work)
    fresh()
    const before = rootOf(work)
    await operate(linuxKernel(), work)
    const plain = rootOf(work)
    fresh()
    await operate(elsewhere(linuxKernel()), work, 3)
    await body({ work, fresh, before, plain, kept: rootOf(work) }, operate)
  }, memory)
}

describe('what is kept where the backups are on another file system', function () {
  this.timeout(600_000)
  for (const title of Object.keys(operations)) {
    it(`after ${title} lies in no directory that goes, comes back by undo, and is forgotten without a trace`, () =>
      withBench(title, async ({ work, before, kept, plain }, operate) => {
        assert.ok([...kept.keys()].filter(isKept).length > 3)
        assert.deepEqual(differencesBetween(withoutKept(kept), plain), [])
        undo(elsewhere(linuxKernel()), work)
        assert.deepEqual(differencesBetween(rootOf(work), before), [])
        await operate(elsewhere(linuxKernel()), work, 1)
        const again = { ...keeping(work, 1), image: join(work, 'other'), package: 'other' }
        await mergeImages(contextOf(elsewhere(linuxKernel())), again)
        assert.deepEqual(differencesBetween(rootOf(work), plain), [])
      }))

    it(`is recovered when ${title} dies at any change, and can be undone`, () =>
      withBench(title, async ({ work, fresh, before, kept }, operate) => {
        const outcomes = { before: 0, after: 0 }
        for (let n = 1; ; n++) {
          fresh()
          const dying = mortal()
          const { kernel, seen } = crashAtChange(elsewhere(dying.kernel), n)
          await operate(kernel, work, 3).catch(() => {})
          dying.bury()
          if (seen.hit === undefined) break
          recover(work, elsewhere(linuxKernel()))
          const where = `after dying at change ${n} (${seen.hit})`
          assert.deepEqual(namesLeft(work), [], where)
          const isBefore = differencesBetween(rootOf(work), before).length === 0
          outcomes[isBefore ? 'before' : 'after']++
          if (isBefore) continue
          assert.deepEqual(differencesBetween(rootOf(work), kept), [], where)
          undo(elsewhere(linuxKernel()), work)
          assert.deepEqual(differencesBetween(rootOf(work), before), [], `undone ${where}`)
        }
        tell(`died at ${outcomes.before + outcomes.after} changes`, outcomes)
        assert.ok(outcomes.before > 10 && outcomes.after > 2, JSON.stringify(outcomes))
      }))

    it(`is recovered when the undo of ${title} dies at any change`, () =>
      withBench(title, async ({ work, fresh, before, kept }, operate) => {
        const outcomes = { before: 0, after: 0 }
        for (let n = 1; ; n++) {
          fresh()
          await operate(elsewhere(linuxKernel()), work, 3)
          const dying = mortal()
          const { kernel, seen } = crashAtChange(elsewhere(dying.kernel), n)
          try {
            undo(kernel, work)
          } catch {
            // it died
          }
          dying.bury()
          if (seen.hit === undefined) break
          recover(work, elsewhere(linuxKernel()))
          const where = `after dying at change ${n} (${seen.hit})`
          assert.deepEqual(namesLeft(work), [], where)
          const isUndone = differencesBetween(rootOf(work), before).length === 0
          outcomes[isUndone ? 'after' : 'before']++
          if (!isUndone) assert.deepEqual(differencesBetween(rootOf(work), kept), [], where)
        }
        tell(`died at ${outcomes.before + outcomes.after} changes`, outcomes)
        assert.ok(outcomes.before > 10 && outcomes.after > 2, JSON.stringify(outcomes))
      }))
  }

  itAsRoot('really is on another one', () =>
    withDirectory(async (directory) => {
      const [root, image] = [join(directory, 'root'), join(directory, 'image')]
      const state = join(root, 'var/lib/rootmerge')
      fs.mkdirSync(state, { recursive: true })
      writeTree(image, 'f /usr/share/package/deep/file "1"\nf /usr/share/package/other "2"')
      execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', state])
      try {
        const merging = { root, image, package: 'package', durability: 'none' as const }
        await mergeImages(contextOf(linuxKernel()), merging)
        const merged = rootOf(directory)
        unmergePackages(contextOf(linuxKernel()), { root, packages: ['package'], keepUndo: 1, durability: 'none' })
        assert.deepEqual([...withoutKept(rootOf(directory)).keys()], [''])
        assert.deepEqual([...rootOf(directory).keys()].filter(isKept).length, 2)
        undo(linuxKernel(), directory)
        assert.deepEqual(differencesBetween(rootOf(directory), merged), [])
      } finally {
        execFileSync('umount', [state])
      }
    }),
  )
})
