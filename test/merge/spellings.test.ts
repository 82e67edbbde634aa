import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { CollisionError, type MergeOptions } from '../../src/merge/index.ts'
import { linuxKernel } from '../../src/sys/index.ts'
import { foldingCase } from '../support/foldingKernel.ts'
import { findOwners, importPackages, mergeImages, unmergePackages, verifyPackages } from '../support/operations.ts'
import { withDirectory } from '../support/scratch.ts'
import { rpmOf } from '../support/specRpm.ts'
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

  /** Merges an rpm that owns a name without bringing it. */
  mergeGhost(path: string, more: Partial<MergeOptions> = {}) {
    const image = join(fs.mkdtempSync(join(this.#directory, 'rpm-')), 'ghost.rpm')
    const files = [{ path }, { path: '/opt/real', data: 'real' }]
    const payload = [{ path: '/opt/real', data: 'real' }]
    fs.writeFileSync(image, rpmOf({ files, payload, tags: { 1037: { int32: [64, 0] } } })) // RPMFILE_GHOST
    const options = { root: this.#root, image, package: 'ghost', durability: 'none', ...more }
    return mergeImages(this.#context, options as MergeOptions)
  }

  /** Makes a package known by a CONTENTS of one file. */
  import(name: string) {
    const file = join(this.#directory, 'CONTENTS')
    fs.writeFileSync(file, `obj ${name} 00000000000000000000000000000000 1600000000\n`)
    return importPackages(this.#context, { root: this.#root, file, package: 'imported', durability: 'none' })
  }

  /** Makes pacman's package `theirs` known, which has one file. */
  importPacman(name: string) {
    const directory = join(this.#root, 'var/lib/pacman/local/theirs-1')
    fs.mkdirSync(directory, { recursive: true })
    fs.writeFileSync(join(directory, 'desc'), '%NAME%\ntheirs\n')
    fs.writeFileSync(join(directory, 'files'), `%FILES%\n${name}\n`)
    return importPackages(this.#context, { root: this.#root, manager: 'pacman', durability: 'none' })
  }

  owners(...names: string[]): string[] {
    const found = findOwners(this.#context, { root: this.#root, names })
    return found.map(({ name, packages }) => `${name}: ${packages.join(' ')}`)
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

describe('whose a name is, where case is folded', () => {
  const withBench = (body: (bench: Bench) => Promise<void>) => withDirectory((directory) => body(new Bench(directory)))

  it('is answered in any spelling of what is there', () =>
    withBench(async (bench) => {
      await bench.merge(`f /Dir/Name "1" ${at}\nf /Dir/1 "1"`)
      await bench.merge(`f /dir/NAME "1" ${at}`, { package: 'q', shareIdentical: true })
      assert.deepEqual(bench.owners('dir/name', 'DIR/1', 'Dir/Name', 'dIR', 'dir/other'), [
        'dir/name: p q',
        'DIR/1: p',
        'Dir/Name: p q',
        'dIR: p q',
        'dir/other: ',
      ])
      assert.deepEqual(bench.owners('Dir/N*', 'dir/n*'), ['Dir/Name: p', 'dir/n*: ']) // patterns are of records
    }))

  it('is told to a package that owns it without bringing it', () =>
    withBench(async (bench) => {
      await bench.merge('f /d/Name "1"')
      await assert.rejects(bench.mergeGhost('/d/name'), (error) => {
        assert.ok(error instanceof CollisionError)
        assert.deepEqual(error.collisions[0]?.owners, ['p'])
        return true
      })
      await bench.mergeGhost('/d/name', { collisionIgnore: ['d/name'] })
      assert.deepEqual(bench.owners('d/Name'), ['d/Name: ghost'])
      bench.unmerge('p')
      assert.equal(bench.seen()['d/Name'], '1')
    }))

  it('lets a file stay that the new version only owns, by another spelling', () =>
    withBench(async (bench) => {
      await bench.merge('f /d/Name "1"', { package: 'ghost' })
      await bench.mergeGhost('/d/name')
      assert.equal(bench.seen()['d/Name'], '1')
    }))

  it('is told to an import, which refuses another package’s name in a file', () =>
    withBench(async (bench) => {
      await bench.merge('f /d/Name "1"')
      await assert.rejects(bench.import('/d/name'), (error) => {
        assert.ok(error instanceof CollisionError)
        assert.deepEqual(error.collisions[0]?.owners, ['p'])
        return true
      })
      await bench.import('/d/other')
    }))

  it('is told to an import, which reports what another installer has too', () =>
    withBench(async (bench) => {
      await bench.merge('f /d/Name "1"\nf /d/mine "1"')
      const { shared } = await bench.importPacman('d/NAME')
      assert.deepEqual(shared, [{ name: 'd/Name', packages: ['p', 'pacman:theirs'] }])
      assert.deepEqual(bench.owners('d/name'), ['d/name: p pacman:theirs'])
    }))
})

describe('whose a name is, where case is not folded', () => {
  it('is another question for each spelling', () =>
    withDirectory(async (directory) => {
      const [root, image] = [join(directory, 'root'), join(directory, 'image')]
      for (const made of [root, image]) fs.mkdirSync(made)
      writeTree(image, 'f /d/Name "1"')
      const context = contextOf(linuxKernel())
      await mergeImages(context, { root, image, package: 'p', durability: 'none' })
      fs.writeFileSync(join(root, 'd/name'), 'nobody’s')
      const [one, other] = findOwners(context, { root, names: ['d/Name', 'd/name'] })
      assert.deepEqual([one?.packages, other?.packages], [['p'], []])
    }))
})
