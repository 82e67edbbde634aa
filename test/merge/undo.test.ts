// Undoing finished transactions: the root is what it was before them, to the last attribute; or it is refused.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { CannotUndoError, RecoveryPendingError } from '../../src/merge/errors.ts'
import type { MergeOptions } from '../../src/merge/options.ts'
import type { LeftOver } from '../../src/merge/transaction.ts'
import { MetadataLostError } from '../../src/movefile/index.ts'
import type { EngineContext } from '../../src/sys/engineThread.ts'
import { type Kernel, linuxKernel } from '../../src/sys/index.ts'
import { isRoot } from '../support/asRoot.ts'
import { itOnEach } from '../support/filesystems.ts'
import { type CountingKernel, crashAtChange, declining, failNth } from '../support/kernelDoubles.ts'
import { listHistory, mergeImages, undoTransaction, unmergePackages, verifyPackages } from '../support/operations.ts'
import { withDirectory } from '../support/scratch.ts'
import { differencesBetween, type Snapshot, snapshot } from '../support/snapshot.ts'
import { writeTree } from '../support/tree.ts'
import { checkTold, memory, recordsPath, tell } from './outcome.ts'
import {
  contextOf,
  copyOf,
  mortal,
  recordsSnapshot,
  recover,
  type Scenario,
  scenarioOf,
  stagingNames,
} from './scenarios.ts'
import { full } from './sweeping.ts'

type Keeping = Pick<MergeOptions, 'root' | 'keepUndo'>
type KeepingOperation = (engine: EngineContext, directory: string, keeping: Keeping) => unknown

const merging =
  (image: string, more: Pick<MergeOptions, 'protect'> = {}): KeepingOperation =>
  (engine, directory, keeping) =>
    mergeImages(engine, { ...keeping, ...more, image: join(directory, image), package: 'package' })

const unmerging: KeepingOperation = (engine, _, keeping) =>
  unmergePackages(engine, { ...keeping, packages: ['package'] })

const operations: Readonly<Record<string, KeepingOperation>> = {
  'a fresh merge': merging('one'),
  'an upgrade with removals and changes of type': merging('two'),
  'an unmerge': unmerging,
}

const configOperations: Readonly<Record<string, KeepingOperation>> = {
  'an upgrade of edited configuration': merging('config-2', { protect: ['/etc'] }),
  ...(full && { 'an unmerge of edited configuration': unmerging }),
}

/** A merge or unmerge of the sweeps' scenarios, with everything kept that it displaces. */
function keepingScenario(title: string): Scenario {
  const operation = operations[title] ?? configOperations[title]
  return {
    ...scenarioOf(title),
    operate: async (engine, directory) =>
      operation?.(engine, directory, { root: join(directory, 'root'), keepUndo: 3 }),
  }
}

const titles = Object.keys(operations)
const configTitles = Object.keys(configOperations)
/** Configuration is swept in the long form alone. */
const sweptTitles = full ? [...titles, ...configTitles] : titles

function undo(kernel: Kernel, directory: string, id?: string) {
  return undoTransaction(contextOf(kernel), { root: join(directory, 'root'), ...(id === undefined ? {} : { id }) })
}

const rootOf = (directory: string): Snapshot =>
  snapshot(join(directory, 'root'), { without: ['var'], directoryTimes: false })
async function prepared(scenario: Scenario, directory: string): Promise<void> {
  await scenario.prepare(directory)
  const tool = join(directory, 'root/usr/bin/tool')
  if (fs.existsSync(tool) && process.getuid?.() === 0) execFileSync('setcap', ['cap_net_raw=ep', tool])
}

describe('undo()', function () {
  this.timeout(600_000)
  for (const title of [...titles, ...configTitles]) {
    itOnEach(`makes the root what it was before ${title}`, async (directory) => {
      const scenario = keepingScenario(title)
      await prepared(scenario, directory)
      const before = { root: rootOf(directory), records: recordsSnapshot(directory) }
      await scenario.operate(contextOf(linuxKernel()), directory)
      assert.notDeepEqual(rootOf(directory), before.root)
      const [entry] = listHistory(contextOf(linuxKernel()), { root: join(directory, 'root') })
      assert.deepEqual(entry?.packages, ['package'])
      assert.equal(undo(linuxKernel(), directory).undone.id, entry?.id)
      assert.deepEqual(differencesBetween(rootOf(directory), before.root), [])
      assert.deepEqual(differencesBetween(recordsSnapshot(directory), before.records), [])
      assert.deepEqual(listHistory(contextOf(linuxKernel()), { root: join(directory, 'root') }), [])
      assert.deepEqual(fs.readdirSync(join(directory, 'root/var/lib/rootmerge/backups')), [])
      assert.throws(() => undo(linuxKernel(), directory), { code: 'ERR_ROOTMERGE_INVALID_ARGUMENT' })
    })
  }

  for (const title of sweptTitles) {
    it(`of ${title} that dies at any call is recovered to before or after`, () =>
      withUndoing(title, async (undoing) => {
        const outcomes = { before: 0, after: 0 }
        for (let n = 1; ; n++) {
          const die = (kernel: Kernel) => crashAtChange(kernel, n)
          if ((await undoing.run(die)).seen.hit === undefined) break
          recover(undoing.work)
          outcomes[undoing.check(`after dying at change ${n}`)]++
          const { seen } = await undoing.run(die)
          recover(undoing.work, linuxKernel(), true)
          outcomes[undoing.check(`after dying at change ${n} (${seen.hit}), recovered by undoing`)]++
        }
        tell(`died at ${outcomes.before + outcomes.after} changes, recovered both ways`, outcomes)
        assert.ok(outcomes.before > 10 && outcomes.after > 2, JSON.stringify(outcomes))
      }))

    it(`of ${title} leaves the root as it was when any call fails`, () =>
      withUndoing(title, async (undoing) => {
        const outcomes = { before: 0, after: 0, pending: 0, leftOver: 0 }
        for (let n = 3; ; n += full ? 1 : 9) {
          const { seen, error, leaked, leftOvers } = await undoing.run((kernel) => failNth(kernel, n, 'EIO'))
          if (seen.hit === undefined) break
          const where = `after EIO at call ${n} (${seen.hit}): ${String(error)}`
          assert.deepEqual(leaked, [], where)
          if (leftOvers.length > 0) {
            outcomes.leftOver++
            undoing.checkLeftOvers(leftOvers, where)
          } else if (error instanceof RecoveryPendingError) {
            outcomes.pending++
            recover(undoing.work)
            undoing.check(where)
          } else {
            const outcome = undoing.check(where)
            assert.equal(outcome, error === undefined ? 'after' : 'before', where)
            outcomes[outcome]++
          }
        }
        tell(`failed ${Object.values(outcomes).reduce((sum, each) => sum + each)} calls`, outcomes)
        assert.ok(outcomes.before > 10, JSON.stringify(outcomes))
      }))
  }
})

describe('a merge that keeps what it displaces', function () {
  this.timeout(600_000)
  for (const title of sweptTitles) {
    it(`is recovered when it dies at any call of ${title}, and can be undone when it was finished`, () =>
      withDirectory(async (scratch) => {
        const scenario = keepingScenario(title)
        const [directory, work] = [join(scratch, 'prepared'), join(scratch, 'work')]
        fs.mkdirSync(directory)
        await scenario.prepare(directory)
        copyOf(directory, work)
        const before = rootOf(work)
        await scenario.operate(contextOf(linuxKernel()), work)
        const after = rootOf(work)
        const outcomes = { before: 0, after: 0 }
        for (let n = 1; ; n++) {
          copyOf(directory, work)
          const dying = mortal()
          const { kernel, seen } = crashAtChange(dying.kernel, n)
          await scenario.operate(contextOf(kernel), work).catch(() => {})
          dying.bury()
          if (seen.hit === undefined) break
          recover(work)
          const isBefore = differencesBetween(rootOf(work), before).length === 0
          const where = `after dying at change ${n} (${seen.hit})`
          assert.deepEqual(namesOfTransactions(work), [], where)
          if (!isBefore) {
            assert.deepEqual(differencesBetween(rootOf(work), after), [], where)
            undo(linuxKernel(), work)
            assert.deepEqual(differencesBetween(rootOf(work), before), [], `undone ${where}`)
          }
          outcomes[isBefore ? 'before' : 'after']++
        }
        tell(`died at ${outcomes.before + outcomes.after} changes`, outcomes)
        assert.ok(outcomes.before > 10 && outcomes.after > 2, JSON.stringify(outcomes))
      }, memory))
  }
})

interface Undoing {
  readonly work: string
  /** Merges anew (a copy of a merged root has other inodes) and undoes that with a double. */
  run(double: (kernel: Kernel) => CountingKernel): Promise<{
    readonly seen: CountingKernel['seen']
    readonly error: unknown
    readonly leaked: readonly string[]
    readonly leftOvers: readonly LeftOver[]
  }>
  /** Demands that the root is merged, and can still be undone, or undone. */
  check(where: string): 'before' | 'after'
  /** Demands that the root is undone but for what was told. */
  checkLeftOvers(leftOvers: readonly LeftOver[], where: string): void
}

async function withUndoing(title: string, body: (undoing: Undoing) => Promise<void>): Promise<void> {
  await withDirectory(async (scratch) => {
    const scenario = keepingScenario(title)
    const [directory, work] = [join(scratch, 'prepared'), join(scratch, 'work')]
    fs.mkdirSync(directory)
    await scenario.prepare(directory)
    copyOf(directory, work)
    const undone = [rootOf(work), recordTexts(work)] as const
    await scenario.operate(contextOf(linuxKernel()), work)
    const merged = [rootOf(work), recordTexts(work)] as const
    const differs = ([root, records]: readonly [Snapshot, Snapshot]) => [
      ...differencesBetween(rootOf(work), root),
      ...differencesBetween(recordTexts(work), records),
    ]
    const check = (where: string) => {
      assert.deepEqual(namesOfTransactions(work), [], where)
      if (differs(undone).length === 0) return 'after'
      assert.deepEqual(differs(merged), [], `neither merged nor undone ${where}`)
      undo(linuxKernel(), work)
      assert.deepEqual(differs(undone), [], `could not be undone ${where}`)
      return 'before'
    }
    const checkLeftOvers = (leftOvers: readonly LeftOver[], where: string) => {
      const parts = [
        ['root', rootOf(work), undone[0]],
        [recordsPath, recordTexts(work), undone[1]],
      ] as const
      checkTold({ work, leftOvers, staging: namesOfTransactions(work), parts }, where)
    }
    const run = async (double: (kernel: Kernel) => CountingKernel) => {
      copyOf(directory, work)
      await scenario.operate(contextOf(linuxKernel()), work)
      const dying = mortal()
      const { kernel, seen } = double(dying.kernel)
      let error: unknown
      let leftOvers: readonly LeftOver[] = []
      try {
        leftOvers = undo(kernel, work).leftOvers
      } catch (thrown) {
        error = thrown
      }
      const leaked = [...dying.open.values()]
      dying.bury()
      return { seen, error, leaked, leftOvers }
    }
    await body({ work, run, check, checkLeftOvers })
  }, memory)
}

/** A record's own mtime is of no meaning, nor is a package's directory without a record. */
function recordTexts(directory: string): Snapshot {
  const all = recordsSnapshot(directory)
  const told = [...all].filter(([name, line]) => !line.startsWith('directory') || all.has(`${name}/record`))
  return new Map(told.map(([name, line]) => [name, line.replace(/mtime=\S+ /, '')]))
}

/** Staging names, but not those under which a backup keeps things. */
function namesOfTransactions(directory: string): string[] {
  return stagingNames(directory).filter((name) => !name.includes('.rootmerge-kept-'))
}

describe('undo() of an unmerge', () => {
  const withUnmerged = (body: (directory: string, own: string) => void) =>
    withDirectory(async (directory) => {
      const scenario = keepingScenario('an unmerge')
      await scenario.prepare(directory)
      const own = join(directory, 'root/usr/lib/own')
      fs.mkdirSync(join(directory, 'root/usr/lib/of-the-admin'))
      execFileSync('setfattr', ['-n', 'user.note', '-v', 'x', own])
      execFileSync('setfacl', ['-d', '-m', 'u:7:rwx', join(own, '..')]) // what is made below inherits that
      if (isRoot) execFileSync('chattr', ['+d', own])
      await body(directory, own)
    })
  const unmerge = (directory: string) =>
    unmergePackages(contextOf(linuxKernel()), { root: join(directory, 'root'), packages: ['package'], keepUndo: 1 })
  const attributesOf = (path: string) =>
    [
      execFileSync('getfacl', ['-p', path], { encoding: 'utf8' }),
      execFileSync('getfattr', ['-d', '--absolute-names', path], { encoding: 'utf8' }),
      isRoot && execFileSync('lsattr', ['-d', path], { encoding: 'utf8' }),
    ] as const

  it('makes a directory again with all its attributes, and none that its parent gives it', () =>
    withUnmerged((directory, own) => {
      const before = attributesOf(own)
      unmerge(directory)
      assert.ok(!fs.existsSync(own))
      undo(linuxKernel(), directory)
      assert.deepEqual(attributesOf(own), before)
    }))

  it('leaves the root as it was where an attribute is refused', () =>
    withUnmerged((directory) => {
      unmerge(directory)
      const before = rootOf(directory)
      assert.throws(() => undo(declining(linuxKernel(), 'setXattr', 'EPERM'), directory), MetadataLostError)
      assert.deepEqual(differencesBetween(rootOf(directory), before), [])
    }))
})

describe('undo() of a root that was changed since', () => {
  const withMerged = (body: (directory: string, root: string) => Promise<void> | void) =>
    withDirectory(async (directory) => {
      const scenario = keepingScenario('an upgrade with removals and changes of type')
      await scenario.prepare(directory)
      await scenario.operate(contextOf(linuxKernel()), directory)
      await body(directory, join(directory, 'root'))
    })

  it('lists every reason and changes nothing', () =>
    withMerged((directory, root) => {
      fs.appendFileSync(join(root, 'usr/bin/tool'), 'by the admin')
      fs.appendFileSync(join(root, 'usr/share/new/deep/file'), 'by the admin')
      fs.writeFileSync(join(root, 'usr/share/new/theirs'), 'by the admin')
      fs.mkdirSync(join(root, 'usr/share/obsolete'))
      fs.writeFileSync(join(root, 'usr/share/obsolete/file'), 'by the admin')
      fs.rmSync(join(root, 'opt/own/file'))
      const before = rootOf(directory)
      assert.throws(
        () => undo(linuxKernel(), directory),
        (error: CannotUndoError) => {
          assert.ok(error instanceof CannotUndoError)
          assert.deepEqual(error.obstacles.map(({ name, reason }) => `${name} ${reason}`).sort(), [
            'opt/own/file is not there any more',
            'usr/bin/tool was changed',
            'usr/bin/tool-too was changed',
            'usr/share/new/deep/file was changed',
            'usr/share/new/theirs was put there',
            'usr/share/obsolete/file was made anew',
          ])
          return true
        },
      )
      assert.deepEqual(differencesBetween(rootOf(directory), before), [])
    }))

  it('is refused for a transaction whose package was merged again, until that is undone', () =>
    withMerged(async (directory, root) => {
      const [first] = listHistory(contextOf(linuxKernel()), { root })
      await mergeImages(contextOf(linuxKernel()), {
        root,
        image: join(directory, 'one'),
        package: 'package',
        keepUndo: 3,
      })
      assert.throws(() => undo(linuxKernel(), directory, first?.id), CannotUndoError)
      undo(linuxKernel(), directory)
      undo(linuxKernel(), directory, first?.id)
      assert.equal(fs.readFileSync(join(root, 'usr/bin/tool'), 'utf8'), 'tool 1')
    }))

  for (const [title, tree, reasons] of [
    ['a file that another package shares by now', 'f /opt/own/file "elsewhere" mtime=1000000', ['opt/own/file']],
    ['a directory that another package has too', 'd /usr/share/new/deep', ['usr/share/new', 'usr/share/new/deep']],
  ] as const) {
    it(`is refused for ${title}`, () =>
      withMerged(async (directory, root) => {
        const [first] = listHistory(contextOf(linuxKernel()), { root })
        const image = join(directory, 'sharing')
        fs.mkdirSync(image)
        writeTree(image, tree)
        await mergeImages(contextOf(linuxKernel()), { root, image, package: 'sharing', shareIdentical: true })
        const before = rootOf(directory)
        assert.throws(
          () => undo(linuxKernel(), directory, first?.id),
          (error: CannotUndoError) => {
            const told = error.obstacles.map(({ name, reason }) => `${name} ${reason}`)
            for (const name of reasons) assert.ok(told.includes(`${name} belongs to sharing`), told.join(', '))
            return true
          },
        )
        assert.deepEqual(differencesBetween(rootOf(directory), before), [])
        assert.deepEqual(verifyPackages(contextOf(linuxKernel()), { root, packages: ['sharing'] }), [])
      }))
  }

  it('forgets the oldest transactions, with everything that was kept of them', () =>
    withMerged(async (directory, root) => {
      const merge = (image: string, keepUndo: number) =>
        mergeImages(contextOf(linuxKernel()), { root, image: join(directory, image), package: 'package', keepUndo })
      for (const image of ['one', 'two', 'one']) await merge(image, 2)
      const kept = listHistory(contextOf(linuxKernel()), { root }).map(({ id }) => id)
      assert.equal(kept.length, 2)
      assert.deepEqual(fs.readdirSync(join(root, 'var/lib/rootmerge/backups')).sort(), kept.toSorted())
      await merge('two', 0)
      assert.deepEqual(fs.readdirSync(join(root, 'var/lib/rootmerge/backups')), [])
    }))

  it('keeps no set-id bits in its backups', () =>
    withMerged((_, root) => {
      const backups = snapshot(join(root, 'var/lib/rootmerge/backups'))
      assert.ok(backups.size > 5)
      for (const [name] of backups) {
        const { mode } = fs.lstatSync(join(root, 'var/lib/rootmerge/backups', name))
        assert.equal(mode & 0o6000, 0, name)
      }
    }))
})
