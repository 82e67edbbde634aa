import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import {
  CollisionError,
  list,
  type MergePlan,
  merge,
  NotApprovedError,
  type PlanStep,
  plan,
  planUnmerge,
  unmerge,
  verify,
} from '../../src/merge/index.ts'
import type { Kept } from '../../src/merge/obsolete.ts'
import { encodeSteps, PlanSteps } from '../../src/merge/planSteps.ts'
import { displayName, nameBytes } from '../../src/sys/index.ts'
import { run } from '../support/command.ts'
import { withDirectory } from '../support/scratch.ts'
import { snapshot } from '../support/snapshot.ts'
import { writeTree } from '../support/tree.ts'

interface Bench {
  readonly root: string
  readonly one: string
  readonly two: string
}

const trees = {
  one: [
    'f /etc/same "same" mtime=1600000000\nf /etc/changes "1"\nf /etc/goes "1"\nl /etc/link -> changes',
    'd 0755 /etc/own\nf /etc/own/x "x" mtime=1600000000\nf /old/deep/file "1"\nf /odd/\\377\\012 "1"',
  ].join('\n'),
  two: [
    'f /etc/same "same" mtime=1600000000\nf /etc/changes "2"\nl /etc/link -> same\nd 0700 /etc/own',
    'f /etc/own/x "x" mtime=1600000000\nf /new/deep/file "2"\nl /new/a -> deep\nf /odd/\\377\\012 "2"',
  ].join('\n'),
}

/** A root with the first image merged, and both images. */
const withBench = (body: (bench: Bench) => Promise<unknown>) => () =>
  withDirectory(async (directory) => {
    const bench = { root: join(directory, 'root'), one: join(directory, 'one'), two: join(directory, 'two') }
    for (const path of Object.values(bench)) fs.mkdirSync(path)
    writeTree(bench.one, trees.one)
    writeTree(bench.two, trees.two)
    await merge({ root: bench.root, image: bench.one, package: 'p' })
    await body(bench)
  })

/** All of a root but who holds its lock, and its index, which is a cache. */
function everything(root: string) {
  return snapshot(root, { without: ['var/lib/rootmerge/lock', 'var/lib/rootmerge/owners'], directoryTimes: false })
}

const told = (steps: Iterable<PlanStep>) => [...steps].map(({ action, name }) => `${action} ${name}`)

describe('plan()', () => {
  it(
    'lists the steps of an upgrade in the order of the commit, and writes nothing',
    withBench(async ({ root, two }) => {
      const before = everything(root)
      const { steps, counts, packages } = await plan({ root, image: two, package: 'p' })
      assert.deepEqual(told(steps), [
        'changeDirectory etc/own',
        'newDirectory new',
        'place new/a',
        'newDirectory new/deep',
        'place new/deep/file',
        'replace etc/changes',
        'replace odd/\\377\\012',
        'replace etc/link',
        'remove old/deep/file',
        'remove etc/goes',
        'removeDirectory old/deep',
        'removeDirectory old',
      ])
      assert.equal(steps.length, 12)
      assert.deepEqual(packages, [{ package: 'p', entries: 12, counts }])
      assert.deepEqual(everything(root), before)
    }),
  )

  it(
    'names the very names that the merge then changes, byte for byte',
    withBench(async ({ root, two }) => {
      const { steps } = await plan({ root, image: two, package: 'p' })
      const planned = [...steps].map(({ bytes }) => Buffer.from(bytes, 'base64').toString('latin1'))
      const { changed, counts } = await merge({ root, image: two, package: 'p', listChanged: true })
      const names = Buffer.from(changed ?? [])
        .toString('latin1')
        .split('\0')
        .slice(0, -1)
      assert.deepEqual(planned.sort(), names.sort())
      const [again] = [await plan({ root, image: two, package: 'p' })]
      assert.deepEqual([...again.steps], [])
      assert.ok((counts.replace ?? 0) > 1)
    }),
  )

  it(
    'lists what an unmerge removes and keeps, with the reason',
    withBench(async ({ root }) => {
      fs.appendFileSync(join(root, 'etc/changes'), 'by the admin')
      const before = everything(root)
      const { steps, packages } = await planUnmerge({ root, packages: ['p'] })
      const kept = [...steps].filter(({ action }) => action === 'keep')
      assert.deepEqual(
        kept.map(({ name, reason }) => [name, reason]),
        [['etc/changes', 'edited']],
      )
      assert.deepEqual(packages, [{ package: 'p', entries: 0, counts: { remove: steps.length - 1 } }])
      assert.deepEqual(everything(root), before)
    }),
  )

  it(
    'is refused as the merge would be',
    withBench(async ({ root, two }) => {
      await assert.rejects(plan({ root, image: two, package: 'other' }), CollisionError)
    }),
  )

  it('encodes names of any bytes, in chunks of any number', () => {
    const byte = fc.integer({ min: 1, max: 255 }).filter((value) => value !== 0x2f)
    const name = fc.array(byte, { minLength: 1, maxLength: 255 }).map((bytes) => Buffer.from(bytes).toString('latin1'))
    fc.assert(
      fc.property(fc.array(name, { maxLength: 3000 }), (names) => {
        const kept = names.map((each) => ({
          packageName: 'p',
          entry: { name: each, type: 'file', size: 7 },
          reason: 'edited',
        }))
        const steps = new PlanSteps(
          encodeSteps({
            packages: [],
            removals: [],
            restorations: [],
            kept: kept as unknown as Kept[],
            config: { saves: [] },
          }),
        )
        assert.equal(steps.length, names.length)
        for (let pass = 0; pass < 2; pass++) {
          const expected = names.map((each) => [displayName(each), nameBytes(each).toString('base64')])
          assert.deepEqual(
            [...steps].map((step) => [step.name, step.bytes]),
            expected,
          )
        }
      }),
      { numRuns: 30 },
    )
  })
})

describe('approve()', () => {
  it(
    'sees the plan, may take its time, and its yes is done',
    withBench(async ({ root, two }) => {
      let seen: MergePlan | undefined
      const approve = async (shown: MergePlan) => {
        await new Promise((resolve) => setTimeout(resolve, 120))
        seen = shown
        return true
      }
      await merge({ root, image: two, package: 'p', approve })
      assert.equal(seen?.steps.length, 12)
      assert.deepEqual(await verify({ root }), [])
      const shown: string[] = []
      await unmerge({ root, packages: ['p'], approve: ({ steps }) => shown.push(...told(steps)) > 0 })
      assert.ok(shown.includes('remove new/deep/file'))
      assert.deepEqual(await list({ root }), [])
    }),
  )

  it(
    'refuses by anything but true, or by what it throws, and nothing is written',
    withBench(async ({ root, two }) => {
      const before = everything(root)
      const reason = new Error('the user has gone')
      const merging = (approve: () => never | boolean | Promise<boolean>) =>
        merge({ root, image: two, package: 'p', approve })
      await assert.rejects(
        merging(() => false),
        NotApprovedError,
      )
      await assert.rejects(
        merging(async () => 'yes' as unknown as boolean),
        NotApprovedError,
      )
      await assert.rejects(
        merging(() => {
          throw reason
        }),
        reason,
      )
      await assert.rejects(unmerge({ root, packages: ['p'], approve: () => false }), NotApprovedError)
      assert.deepEqual(everything(root), before)
    }),
  )

  it(
    'is not waited for any longer when the merge is cancelled',
    withBench(async ({ root, two }) => {
      const controller = new AbortController()
      const reason = new Error('enough')
      const approve = () => {
        setTimeout(() => controller.abort(reason), 20)
        return new Promise<boolean>(() => {})
      }
      await assert.rejects(merge({ root, image: two, package: 'p', approve, signal: controller.signal }), reason)
      assert.deepEqual(await verify({ root }), [])
    }),
  )
})

describe('--dry-run', function () {
  this.timeout(30_000)

  it(
    'prints the steps, as lines and as events, and writes nothing',
    withBench(async ({ root, two }) => {
      const before = everything(root)
      const lines = run('merge', two, '--package', 'p', '--root', root, '--dry-run')
      assert.equal(lines.status, 0, lines.stderr)
      assert.match(lines.stdout, /^make +new {2}\(directory\)$/m)
      assert.match(lines.stdout, /^replace +etc\/changes {2}\(file of 1 B\)$/m)
      assert.match(lines.stdout, /^12 steps, nothing was written$/m)
      const events = run('unmerge', 'p', '--root', root, '--dry-run', '--json').stdout.trim().split('\n')
      const steps = events.map((line) => JSON.parse(line)).filter(({ event }) => event === 'step')
      assert.ok(steps.some(({ action, name }) => action === 'remove' && name === 'etc/goes'))
      assert.equal(JSON.parse(events.at(-1) ?? '').steps, steps.length)
      assert.equal(run('merge', two, '--root', root, '--dry-run', '--changed', 'x').status, 2)
      assert.deepEqual(everything(root), before)
    }),
  )
})
