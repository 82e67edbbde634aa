import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { CollisionError, type MergeOptions } from '../../src/merge/index.ts'
import { linuxKernel } from '../../src/sys/index.ts'
import { foldingCase } from '../support/foldingKernel.ts'
import { mergeImages, unmergePackages, verifyPackages } from '../support/operations.ts'
import { withDirectory } from '../support/scratch.ts'
import { writeTree } from '../support/tree.ts'
import { contextOf } from './scenarios.ts'

class Bench {
  readonly #directory: string
  readonly #root: string
  readonly #context: ReturnType<typeof contextOf>

  constructor(directory: string) {
    this.#directory = directory
    this.#root = join(directory, 'root')
    fs.mkdirSync(this.#root)
    this.#context = contextOf(foldingCase(linuxKernel(), this.#root))
  }

  merge(tree: string, more: Partial<MergeOptions> = {}) {
    const image = fs.mkdtempSync(join(this.#directory, 'image-'))
    writeTree(image, tree)
    const options = { root: this.#root, image, package: 'p', durability: 'none', ...more }
    return mergeImages(this.#context, options as MergeOptions)
  }

  unmerge(name = 'p') {
    return unmergePackages(this.#context, { root: this.#root, packages: [name], durability: 'none' })
  }

  edit(name: string, text: string) {
    fs.writeFileSync(join(this.#root, name), text)
  }

  /** Every file, as it is listed, with what is in it; what differs from the record, too. */
  seen(): Record<string, string> {
    const all = fs.readdirSync(this.#root, { recursive: true, encoding: 'utf8' })
    const files = all.filter((name) => !name.startsWith('var') && fs.statSync(join(this.#root, name)).isFile())
    const differing = verifyPackages(this.#context, { root: this.#root })
    return {
      ...Object.fromEntries(files.map((name) => [name, fs.readFileSync(join(this.#root, name), 'utf8')])),
      ...Object.fromEntries(differing.map(({ name, differences }) => [`${name} differs`, differences.join()])),
    }
  }
}

interface Case {
  readonly title: string
  readonly before: string
  readonly after: string
  readonly expected: Readonly<Record<string, string>>
}

const at = 'mtime=1600000000'

/** The listed spelling stays, as it does when one renames over a name; the record has the new one. */
const cases: readonly Case[] = [
  {
    title: 'a file with other bytes',
    before: 'f /d/Name "1"\nf /d/other "1"',
    after: 'f /d/name "2"\nf /d/other "1"',
    expected: { 'd/Name': '2', 'd/other': '1' },
  },
  {
    title: 'a file that is the same',
    before: `f /d/Name "1" ${at}`,
    after: `f /d/name "1" ${at}`,
    expected: { 'd/Name': '1' },
  },
  {
    title: 'a directory, of which a file goes',
    before: `f /Dir/a "1" ${at}\nf /Dir/b "1" ${at}`,
    after: `f /dir/a "1" ${at}`,
    expected: { 'Dir/a': '1' },
  },
  {
    title: 'a directory and a file in it',
    before: `f /Dir/Deep/A "1" ${at}`,
    after: 'f /dir/deep/a "2"',
    expected: { 'Dir/Deep/A': '2' },
  },
  {
    title: 'a name that is not ASCII',
    before: 'f /\\303\\204pfel "1"',
    after: 'f /\\303\\244pfel "2"',
    expected: { Äpfel: '2' },
  },
  {
    title: 'a file of several names, with other bytes',
    before: 'f /d/Name "1"\nh /d/second == /d/Name',
    after: 'f /d/name "2"\nh /d/second == /d/name',
    expected: { 'd/Name': '2', 'd/second': '2' },
  },
  {
    title: 'a file of several names that is the same',
    before: `f /d/Name "1" ${at}\nh /d/second == /d/Name`,
    after: `f /d/name "1" ${at}\nh /d/second == /d/name`,
    expected: { 'd/Name': '1', 'd/second': '1' },
  },
]

describe('a name whose case changes, where case is folded', () => {
  for (const { title, before, after, expected } of cases) {
    it(`is one object afterwards: ${title}`, () =>
      withDirectory(async (directory) => {
        const bench = new Bench(directory)
        await bench.merge(before)
        await bench.merge(after)
        assert.deepEqual(bench.seen(), expected)
        await bench.merge(after)
        assert.deepEqual(bench.seen(), expected)
        await bench.unmerge()
        assert.deepEqual(bench.seen(), {})
      }))
  }

  it('stays the administrator’s where he edited it and it is protected', () =>
    withDirectory(async (directory) => {
      const bench = new Bench(directory)
      await bench.merge('f /etc/Name "1"')
      bench.edit('etc/Name', 'mine')
      await bench.merge('f /etc/name "2"', { protect: ['/etc'] })
      assert.deepEqual(bench.seen(), {
        'etc/Name': 'mine',
        'etc/._cfg0000_Name': '2',
        'etc/name differs': 'size,digest,mtime',
      })
    }))
})

/** Two packages that have one object by two spellings: p has it first. */
const shared: Readonly<Record<string, { readonly first: string; readonly second: string; readonly file: string }>> = {
  'a file': { first: `f /d/Name "1" ${at}`, second: `f /d/name "1" ${at}`, file: 'd/Name' },
  'a file in a directory': { first: `f /Dir/1 "1" ${at}`, second: `f /dir/1 "1" ${at}`, file: 'Dir/1' },
  'a file of several names': {
    first: `f /d/Name "1" ${at}\nh /d/two == /d/Name`,
    second: `f /d/name "1" ${at}\nh /d/TWO == /d/name`,
    file: 'd/Name',
  },
}

describe('two packages that spell one name in two cases, where case is folded', () => {
  for (const [title, { first, second, file }] of Object.entries(shared)) {
    it(`own it together only where that is allowed, and it stays until both are gone: ${title}`, () =>
      withDirectory(async (directory) => {
        const bench = new Bench(directory)
        await bench.merge(first)
        await assert.rejects(bench.merge(second, { package: 'q' }), (error) => {
          assert.ok(error instanceof CollisionError)
          assert.deepEqual(error.collisions[0]?.owners, ['p'])
          return true
        })
        await bench.merge(second, { package: 'q', shareIdentical: true })
        const both = bench.seen()
        assert.equal(both[file], '1')
        const { kept } = bench.unmerge('p')
        assert.ok(kept.every(({ reason }) => reason === 'owned by another package') && kept.length > 0)
        assert.deepEqual(bench.seen(), both)
        bench.unmerge('q')
        assert.deepEqual(bench.seen(), {})
      }))
  }

  it('collide where their files differ, and a name that is taken over goes with its new owner', () =>
    withDirectory(async (directory) => {
      const bench = new Bench(directory)
      await bench.merge('f /d/Name "1"')
      await assert.rejects(
        bench.merge('f /d/name "2"', { package: 'q', collisions: 'replace-unowned' }),
        CollisionError,
      )
      await bench.merge('f /d/name "2"', { package: 'q', collisionIgnore: ['d/*'] })
      assert.deepEqual(bench.seen(), { 'd/Name': '2' })
      bench.unmerge('p')
      assert.deepEqual(bench.seen(), { 'd/Name': '2' })
      bench.unmerge('q')
      assert.deepEqual(bench.seen(), {})
    }))

  it('keep what the other has where an upgrade of the one no longer brings it', () =>
    withDirectory(async (directory) => {
      const bench = new Bench(directory)
      await bench.merge(`f /d/Name "1" ${at}\nf /d/kept "1"`)
      await bench.merge(`f /d/name "1" ${at}`, { package: 'q', shareIdentical: true })
      await bench.merge('f /d/kept "2"')
      assert.deepEqual(bench.seen(), { 'd/Name': '1', 'd/kept': '2' })
    }))
})
