import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { Folding } from '../../src/merge/folding.ts'
import { CollisionError, type MergeOptions } from '../../src/merge/index.ts'
import { Root } from '../../src/merge/root.ts'
import { FS_CASEFOLD_FL, type Kernel, linuxKernel, toName } from '../../src/sys/index.ts'
import { foldingCase } from '../support/foldingKernel.ts'
import { mergeImages, unmergePackages, verifyPackages } from '../support/operations.ts'
import { withDirectory } from '../support/scratch.ts'
import { writeTree } from '../support/tree.ts'
import { contextOf } from './scenarios.ts'

/** Images of one call, into a root that folds case or not; what is in the root afterwards, but for the state. */
class Bench {
  readonly root: string
  readonly #directory: string
  readonly #context: ReturnType<typeof contextOf>

  constructor(directory: string, through = foldingCase) {
    this.#directory = directory
    this.root = join(directory, 'root')
    fs.mkdirSync(this.root)
    this.#context = contextOf(through(linuxKernel(), this.root))
  }

  merge(trees: Readonly<Record<string, string>>, more: Partial<MergeOptions> = {}) {
    const images = Object.entries(trees).map(([name, tree]) => {
      const image = fs.mkdtempSync(join(this.#directory, 'image-'))
      writeTree(image, tree)
      return { image, package: name }
    })
    return mergeImages(this.#context, { root: this.root, images, durability: 'none', ...more } as MergeOptions)
  }

  unmerge(...packages: string[]) {
    return unmergePackages(this.#context, { root: this.root, packages, durability: 'none' })
  }

  differing() {
    return verifyPackages(this.#context, { root: this.root })
  }

  names(): string[] {
    const all = fs.readdirSync(this.root, { recursive: true, encoding: 'utf8' })
    return all.filter((name) => !name.startsWith('var')).sort()
  }
}

const withBench = (body: (bench: Bench) => unknown) => withDirectory((directory) => body(new Bench(directory)))
const at = 'mtime=1600000000'

/** The names that a merge is refused for, and the remedies. */
async function refusalsOf(merge: Promise<unknown>): Promise<string[]> {
  const error = await merge.then(
    () => assert.fail('it was merged'),
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof CollisionError, String(error))
  return error.collisions.map(({ name, remedy }) => `${name} ${remedy}`)
}

describe('two spellings of a new name, where case is folded', () => {
  it('are one name of two images, in a new directory, in an old one and at the top', () =>
    withBench(async (bench) => {
      await bench.merge({ old: 'f /old/file "x"' })
      const trees = {
        a: 'f /new/Name "1"\nf /old/Name "1"\nf /Name "1"',
        b: 'f /new/name "2"\nf /old/name "2"\nf /name "2"',
      }
      const refusals = await refusalsOf(bench.merge(trees))
      assert.deepEqual(refusals.sort(), [
        "name is one name with 'Name' of a, and not the same: leave one of them out",
        "new/name is one name with 'new/Name' of a, and not the same: leave one of them out",
        "old/name is one name with 'old/Name' of a, and not the same: leave one of them out",
      ])
      assert.deepEqual(bench.names(), ['old', 'old/file'])
    }))

  it('are one name of one image too', () =>
    withBench(async (bench) => {
      const refusals = await refusalsOf(bench.merge({ a: 'f /d/Name "1"\nf /d/name "2"' }))
      assert.deepEqual(refusals, [
        "d/name is one name with 'd/Name' of the same image, and not the same: leave one of them out",
      ])
    }))

  it('are owned together where they are identical and that is asked for', () =>
    withBench(async (bench) => {
      const trees = { a: `f /d/Name "1" ${at}`, b: `f /d/name "1" ${at}` }
      assert.match((await refusalsOf(bench.merge(trees))).join(), /^d\/name is one name .* share it with/)
      await bench.merge(trees, { shareIdentical: true })
      assert.deepEqual([bench.names(), bench.differing()], [['d', 'd/Name'], []])
      await bench.unmerge('a')
      assert.deepEqual([bench.names(), bench.differing()], [['d', 'd/Name'], []])
      await bench.unmerge('b')
      assert.deepEqual(bench.names(), [])
    }))

  it('are one directory, with what both bring', () =>
    withBench(async (bench) => {
      await bench.merge({ a: 'f /Dir/Deep/one "1"', b: 'f /dir/deep/two "2"', c: 'f /DIR/deep/three "3"' })
      assert.deepEqual(bench.names(), ['Dir', 'Dir/Deep', 'Dir/Deep/one', 'Dir/Deep/three', 'Dir/Deep/two'])
      assert.deepEqual(bench.differing(), [])
      await bench.unmerge('a', 'b', 'c')
      assert.deepEqual(bench.names(), [])
    }))

  it('are one name of what is there already', () =>
    withBench(async (bench) => {
      await bench.merge({ a: 'f /d/Name "1"' })
      const refusals = await refusalsOf(bench.merge({ a: 'f /d/Name "2"', b: 'f /d/NAME "3"' }))
      assert.match(refusals.join(), /^d\/NAME is one name with 'd\/Name' of a/)
    }))

  it('are two names where it is not', () =>
    withDirectory(async (directory) => {
      const bench = new Bench(directory, (kernel) => kernel)
      await bench.merge({ a: 'f /d/Name "1"\nf /D/x "1"', b: 'f /d/name "2"' })
      assert.deepEqual(bench.names(), ['D', 'D/x', 'd', 'd/Name', 'd/name'])
    }))
})

describe('Folding.in()', () => {
  function folds(directory: string, names: readonly string[], through: (kernel: Kernel, top: string) => Kernel) {
    const root = new Root(through(linuxKernel(), directory), toName(directory))
    try {
      const folding = new Folding(root)
      return names.map((name) => folding.in(toName(name)))
    } finally {
      root.close()
    }
  }
  const plain = (kernel: Kernel) => kernel
  const flagged = (kernel: Kernel): Kernel => ({ ...kernel, getInodeFlags: () => FS_CASEFOLD_FL })

  it('knows it by the flag, or by the names in one directory of a file system', () =>
    withDirectory((directory) => {
      assert.deepEqual(folds(directory, [''], foldingCase), [false], 'nothing is there that could tell')
      assert.deepEqual(folds(directory, [''], flagged), [true])
      writeTree(directory, 'f /1 "1"\nd /usr/3\nf /usr/A "a"\nh /usr/a == /usr/A')
      for (const through of [foldingCase, flagged])
        assert.deepEqual(folds(directory, ['', 'usr', 'usr/3', 'absent'], through), [true, true, true, false])
      assert.deepEqual(folds(directory, ['', 'usr', 'usr/3'], plain), [false, false, false])
    }))
})
