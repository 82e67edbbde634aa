// What a plan says is what then happens: on any root, for any image and options, for merges and unmerges.

import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import { type MergeOptions, type StyleName, styleNames } from '../../src/merge/index.ts'
import type { EncodedPlan } from '../../src/merge/mergeReport.ts'
import { type PlanStep, PlanSteps } from '../../src/merge/planSteps.ts'
import { linuxKernel } from '../../src/sys/index.ts'
import { mergeImages, planImages, planUnmerge, unmergePackages } from '../support/operations.ts'
import { withDirectory } from '../support/scratch.ts'
import { snapshot } from '../support/snapshot.ts'
import { contextOf } from './scenarios.ts'

const runs = process.env.ROOTMERGE_TEST_FULL === undefined ? 60 : 1500

/** Few names, so that they meet: directories to one image and files to another, update and save names of one of them. */
const paths = ['a', 'a/b', 'a/c', 'etc/x', 'etc/x.rpmnew', 'etc/x.rpmsave', 'etc/._cfg0000_x', 'f/g', 'f/h/i'] as const

/** A file's content, a symlink's target, or a directory. */
type Thing = `file ${number}` | `link ${number}` | 'directory' | 'nothing'
type Tree = Partial<Record<(typeof paths)[number], Thing>>

const thing: fc.Arbitrary<Thing> = fc.constantFrom<Thing>('file 1', 'file 1', 'file 2', 'link 1', 'directory')
const tree: fc.Arbitrary<Tree> = fc.dictionary(fc.constantFrom(...paths), thing, { minKeys: 1, maxKeys: 5 })

type Policies = Pick<
  MergeOptions,
  'protect' | 'style' | 'collisions' | 'collisionIgnore' | 'shareIdentical' | 'installMask' | 'exclude' | 'replaces'
>

const policies: fc.Arbitrary<Policies> = fc.record({
  protect: fc.constantFrom<string[]>([], ['/etc'], ['/']),
  style: fc.constantFrom<StyleName>(...styleNames),
  collisions: fc.constantFrom('refuse' as const, 'replace-unowned' as const),
  collisionIgnore: fc.constantFrom<string[]>([], [], ['**']),
  shareIdentical: fc.boolean(),
  installMask: fc.constantFrom<string[]>([], [], ['c'], ['/f/', '-/f/h']),
  replaces: fc.constantFrom<string[]>([], [], ['one'], ['two']),
})

type Act =
  | { readonly kind: 'merge'; readonly package: string; readonly tree: Tree; readonly policies: Policies }
  | { readonly kind: 'unmerge'; readonly package: string; readonly purge: boolean }
  | { readonly kind: 'edit'; readonly tree: Tree }

const packageName = fc.constantFrom('one', 'two')
const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('merge' as const), package: packageName, tree, policies }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('unmerge' as const), package: packageName, purge: fc.boolean() }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('edit' as const),
      tree: fc.dictionary(fc.constantFrom(...paths), fc.oneof(thing, fc.constant<Thing>('nothing')), { maxKeys: 3 }),
    }),
  },
)

/** Makes what a tree wants, where nothing else is in the way. */
function write(top: string, wanted: Tree): void {
  for (const path of paths) {
    const [what, full] = [wanted[path], join(top, path)]
    if (what === undefined || !canBeIn(top, dirname(path)) || isFullDirectory(full)) continue
    fs.rmSync(full, { recursive: true, force: true })
    if (what === 'nothing') continue
    fs.mkdirSync(dirname(full), { recursive: true })
    if (what === 'directory') fs.mkdirSync(full)
    else if (what.startsWith('link')) fs.symlinkSync(what, full)
    else fs.writeFileSync(full, what)
  }
}

function canBeIn(top: string, directory: string): boolean {
  if (directory === '.') return true
  const found = canBeIn(top, dirname(directory)) ? fs.lstatSync(join(top, directory), { throwIfNoEntry: false }) : null
  return found !== null && found?.isDirectory() !== false
}

function isFullDirectory(path: string): boolean {
  return fs.lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true && fs.readdirSync(path).length > 0
}

/** The root's objects by name, without the state. */
function look(root: string): Map<string, string> {
  const found = snapshot(root, { without: ['var'], directoryTimes: false })
  return new Map([...found].filter(([name]) => name !== ''))
}

/** What an operation comes to: its answer, or its error in words. */
async function outcomeOf<T>(operation: () => T | Promise<T>): Promise<T | string> {
  try {
    return await operation()
  } catch (error) {
    const { code, message } = error as { code?: string; message: string }
    if (code?.startsWith('ERR_ROOTMERGE_') !== true) throw error
    return message
  }
}

interface Done {
  readonly changed?: Uint8Array
  readonly counts?: Readonly<Record<string, number>>
  readonly removed?: number
}

/** Demands that a plan told what became of a root. */
function check(plan: EncodedPlan, done: Done, before: Map<string, string>, after: Map<string, string>): void {
  const all = [...new PlanSteps(plan.steps)]
  // The state is in `var`, which is not looked at.
  const stays = ({ action, name }: PlanStep) =>
    action === 'removeDirectory' && (after.has(name) || /^var(\/|$)/.test(name))
  const steps = all.filter((step) => !step.name.startsWith('var/') && !stays(step))
  const changing = steps.filter(({ action }) => action !== 'keep')
  const names = new Set(changing.map(({ name }) => name))
  const changed = Buffer.from(done.changed ?? [])
    .toString()
    .split('\0')
    .filter((name) => name !== '' && !/^var(\/|$)/.test(name))
  assert.deepEqual(
    [...new Set(changed)].sort(),
    [...names].filter((name) => name !== 'var').sort(),
    'the names that were changed',
  )
  for (const name of new Set([...before.keys(), ...after.keys()]))
    if (before.get(name) !== after.get(name))
      assert.ok(isTold(name, names, after), `nobody said that '${name}' changes`)
  const there = new Set(changing.filter(({ action }) => !action.startsWith('remove')).map(({ name }) => name))
  for (const name of there) assert.ok(after.has(name) || name === 'var', `'${name}' should be there`)
  for (const { action, name } of changing)
    if (action === 'remove' && !there.has(name)) assert.ok(!after.has(name), `'${name}' should have gone`)
  const { remove: planned = 0, ...counts } = plan.counts
  const remove = planned - all.filter(stays).length
  if (done.counts !== undefined) assert.deepEqual(done.counts, remove > 0 ? { ...counts, remove } : counts)
  if (done.removed !== undefined) assert.equal(done.removed, remove)
}

/** What was in a directory that goes, or is replaced, as a whole, goes with it. */
function isTold(name: string, names: ReadonlySet<string>, after: ReadonlyMap<string, string>): boolean {
  return names.has(name) || (!after.has(name) && dirname(name) !== '.' && isTold(dirname(name), names, after))
}

describe('a plan', function () {
  this.timeout(600_000)

  it('says what then happens, or is refused as that is', async () => {
    const context = contextOf(linuxKernel())
    let [agreed, refused] = [0, 0]
    const perform = async (root: string, image: string, next: Act) => {
      if (next.kind === 'edit') return write(root, next.tree)
      const before = look(root)
      let plan: EncodedPlan | string
      let done: Done | string
      if (next.kind === 'merge') {
        fs.rmSync(image, { recursive: true, force: true })
        fs.mkdirSync(image)
        write(image, next.tree)
        const options = {
          root,
          image,
          package: next.package,
          durability: 'none' as const,
          listChanged: true,
          ...next.policies,
        }
        plan = await outcomeOf(() => planImages(context, options))
        assert.deepEqual(look(root), before)
        done = await outcomeOf(() => mergeImages(context, options))
      } else {
        const options = {
          root,
          packages: [next.package],
          purge: next.purge,
          durability: 'none' as const,
          listChanged: true,
        }
        plan = await outcomeOf(() => planUnmerge(context, options))
        done = await outcomeOf(() => unmergePackages(context, options))
      }
      if (typeof plan === 'string' || typeof done === 'string') {
        assert.equal(done, plan)
        assert.deepEqual(look(root), before)
        refused++
      } else {
        check(plan, done, before, look(root))
        agreed++
      }
    }
    const property = fc.asyncProperty(fc.array(act, { minLength: 2, maxLength: 10 }), (acts) =>
      withDirectory(async (directory) => {
        const [root, image] = [join(directory, 'root'), join(directory, 'image')]
        fs.mkdirSync(root)
        for (const next of acts) await perform(root, image, next)
      }),
    )
    await fc.assert(property, { numRuns: runs })
    assert.ok(agreed > runs && refused > runs / 4, `${agreed} agreed, ${refused} were refused`)
  })
})
