import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { list, merge, owner, plan, recover, unmerge } from '../../src/merge/index.ts'
import { withOwners } from '../../src/merge/owners.ts'
import {
  type Coverage,
  emptyIndex,
  grownIndex,
  type IndexedPackage,
  NameHashes,
  numbersOf,
  type OwnersIndex,
} from '../../src/merge/ownersIndex.ts'
import { findIndex, refreshIndex } from '../../src/merge/refreshIndex.ts'
import { type Kernel, linuxKernel } from '../../src/sys/index.ts'
import { declining, type RecordedCall, recording } from '../support/kernelDoubles.ts'
import { mergeImages } from '../support/operations.ts'
import { withDirectory } from '../support/scratch.ts'
import { writeTree } from '../support/tree.ts'
import { addBallast, indexAll, withState } from './ballast.ts'
import { contextOf } from './scenarios.ts'

interface Bench {
  readonly root: string
  readonly index: string
  merge(name: string, tree: string, kernel?: Kernel): Promise<unknown>
}

function withBench(body: (bench: Bench) => Promise<void>): () => Promise<void> {
  return () =>
    withDirectory(async (directory) => {
      const root = join(directory, 'root')
      fs.mkdirSync(join(root, 'var/lib'), { recursive: true }) // else they had a record, too
      let images = 0
      const mergeTree = (name: string, tree: string, kernel: Kernel = linuxKernel()) => {
        const image = join(directory, `image-${images++}`)
        fs.mkdirSync(image)
        writeTree(image, tree)
        return mergeImages(contextOf(kernel), { root, image, package: name, durability: 'none' })
      }
      await body({ root, index: join(root, 'var/lib/rootmerge/owners'), merge: mergeTree })
    })
}

/** Whether a root's index is asked, and none of its records. */
function asksIndex(root: string): boolean {
  const { kernel, calls } = recording(linuxKernel())
  withState(root, (state) => withOwners(state, 'reading', (owners) => owners.of('usr/bin/one')), kernel)
  return recordsOpened(calls) === 0
}

function recordsOpened(calls: readonly RecordedCall[]): number {
  return calls.filter(
    ({ call, args, outcome }) => call === 'openat' && args[1] === 'record' && typeof outcome === 'number',
  ).length
}

/** What an index says, whatever the numbers of its packages are. */
function pairsOf({ packages, rows }: OwnersIndex): string[] {
  const pairs: string[] = []
  for (let at = 0; at < rows.length; at += 5) {
    pairs.push(`${rows.subarray(at, at + 4).join('-')} ${packages[rows[at + 4] ?? -1]?.name}`)
  }
  return pairs.sort()
}

async function ownersOf(root: string, ...names: (string | Uint8Array)[]): Promise<(readonly string[])[]> {
  return (await owner({ root, names })).map(({ packages }) => packages)
}

const one = `
f /usr/bin/one   "1"
f /usr/bin/odd\\377\\012   "odd"
`
const two = 'f /usr/bin/two   "2"'

describe('OwnersIndex', () => {
  const nameOf = (n: number) => `usr/share/${'long/'.repeat(n % 300)}name-${n}\xff\n`
  const grow = (index: OwnersIndex, known: Coverage['known'], names: Record<string, number[]>) =>
    grownIndex(
      index,
      { known, outside: new Map() },
      Object.entries(names).map(([name, numbers]) => {
        const hashes = new NameHashes()
        for (const n of numbers) hashes.add(nameOf(n))
        return { package: { name, stamp: '' }, names: hashes }
      }),
    )
  const ownersOf = (index: OwnersIndex, n: number) =>
    numbersOf(index, nameOf(n))
      .map((number) => index.packages[number]?.name)
      .sort()

  it('knows every row of many that it was given, in several goes, and no other', () => {
    const all = Array.from({ length: 3000 }, (_, n) => n)
    let index = emptyIndex
    for (const go of ['a', 'b', 'c']) {
      const even = all.filter((n) => n % 2 === 0)
      index = grow(index, index.packages, { [`${go}-all`]: all, [`${go}-even`]: even, [`${go}-none`]: [] })
    }
    assert.equal(index.rows.length, 3 * 4500 * 5)
    for (const n of all) {
      const expected =
        n % 2 === 0 ? ['a-all', 'a-even', 'b-all', 'b-even', 'c-all', 'c-even'] : ['a-all', 'b-all', 'c-all']
      assert.deepEqual(ownersOf(index, n), expected, nameOf(n))
      assert.deepEqual(ownersOf(index, n + 3000), [])
    }
  })

  it('loses the rows of packages that are gone, and gives their numbers to others', () => {
    const everything = grow(emptyIndex, [], { a: [1, 2], b: [2, 3], c: [3, 1] })
    const known: (IndexedPackage | undefined)[] = everything.packages.map((each) =>
      each.name === 'b' ? undefined : each,
    )
    const index = grow(everything, known, { d: [3, 4] })
    assert.equal(index.rows.length, 6 * 5)
    assert.deepEqual(
      [1, 2, 3, 4, 5].map((n) => ownersOf(index, n)),
      [['a', 'c'], ['a'], ['c', 'd'], ['d'], []],
    )
  })

  it('finds nothing in an index without rows', () => {
    assert.deepEqual(numbersOf(emptyIndex, 'name'), [])
    assert.deepEqual(numbersOf(grow(emptyIndex, [], { a: [] }), 'name'), [])
  })
})

describe('the owners index of a root', function () {
  this.timeout(120_000)

  it('is not made for a root with few names, which its records answer faster', () =>
    withDirectory(async (directory) => {
      const [root, image] = [join(directory, 'root'), join(directory, 'image')]
      for (const each of [root, image]) fs.mkdirSync(each)
      fs.writeFileSync(join(image, 'file'), 'x')
      await merge({ root, image, package: 'p', durability: 'none' })
      assert.ok(!fs.existsSync(join(root, 'var/lib/rootmerge/owners')))
      assert.deepEqual(await ownersOf(root, 'file'), [['p']])
    }))

  it(
    'is asked instead of the records after merges, upgrades and unmerges, and says the same',
    withBench(async (bench) => {
      const odd = Buffer.from('usr/bin/odd\xff\n', 'latin1')
      await bench.merge('one', one)
      await bench.merge('two', two)
      indexAll(bench.root)
      assert.ok(asksIndex(bench.root))
      assert.deepEqual(await ownersOf(bench.root, 'usr/bin/one', 'usr/bin', odd, 'no'), [
        ['one'],
        ['one', 'two'],
        ['one'],
        [],
      ])
      await bench.merge('one', 'f /usr/bin/other "1.1"')
      indexAll(bench.root)
      assert.ok(asksIndex(bench.root))
      assert.deepEqual(await ownersOf(bench.root, 'usr/bin/one', 'usr/bin/other', 'usr/bin'), [
        [],
        ['one'],
        ['one', 'two'],
      ])
      await unmerge({ root: bench.root, packages: ['one'], durability: 'none' })
      assert.ok(asksIndex(bench.root))
      assert.deepEqual(await ownersOf(bench.root, 'usr/bin/other', 'usr/bin'), [[], ['two']])
    }),
  )

  it(
    'answers together with the records that it does not know: it is not written anew for each of them',
    withBench(async (bench) => {
      await bench.merge('one', one)
      await bench.merge('two', two)
      indexAll(bench.root)
      const before = fs.readFileSync(bench.index)
      await bench.merge('two', 'f /usr/bin/two "2.1"\nf /usr/bin/more "2.1"')
      await bench.merge('three', 'f /usr/bin/three "3"')
      assert.ok(fs.readFileSync(bench.index).equals(before))
      assert.ok(!asksIndex(bench.root))
      assert.deepEqual(await ownersOf(bench.root, 'usr/bin', 'usr/bin/two', 'usr/bin/more', 'usr/bin/three', 'no'), [
        ['one', 'three', 'two'],
        ['two'],
        ['two'],
        ['three'],
        [],
      ])
      await unmerge({ root: bench.root, packages: ['two'], durability: 'none' })
      assert.deepEqual(await ownersOf(bench.root, 'usr/bin', 'usr/bin/two'), [['one', 'three'], []])
      assert.equal(indexAll(bench.root).packages.length, 3)
    }),
  )

  it(
    'takes the names of a large merge without reading its record, and is what it would be made from that',
    withBench(async (bench) => {
      fs.mkdirSync(join(bench.root, 'usr/lib'), { recursive: true })
      fs.symlinkSync('usr/lib', join(bench.root, 'lib'))
      const names = (directory: string) =>
        Array.from({ length: 700 }, (_, n) => `f ${directory}/${'long-'.repeat(48)}${n} "x"`).join('\n')
      const images: [packageName: string, tree: string, recordsRead: number][] = [
        ['straight', `${names('/usr/share/straight')}\n${one}`, 0],
        ['behind', names('/lib/behind'), 1],
        ['another', `${names('/usr/share/another')}\n${two}`, 0],
      ]
      for (const [packageName, tree, expected] of images) {
        const { kernel, calls } = recording(linuxKernel())
        await bench.merge(packageName, tree, kernel)
        assert.equal(recordsOpened(calls), expected, packageName)
        assert.ok(asksIndex(bench.root))
        const grown = withState(bench.root, findIndex)
        fs.rmSync(bench.index)
        const made = withState(bench.root, refreshIndex)
        assert.deepEqual(pairsOf(grown), pairsOf(made), packageName)
      }
      assert.deepEqual(await ownersOf(bench.root, `usr/lib/behind/${'long-'.repeat(48)}7`), [['behind']])
    }),
  )

  it(
    'finds a name by what the record says and by where it is behind a symlinked directory',
    withBench(async (bench) => {
      fs.mkdirSync(join(bench.root, 'usr/lib'), { recursive: true })
      fs.symlinkSync('usr/lib', join(bench.root, 'lib'))
      await bench.merge('one', 'f /lib/one "1"')
      assert.deepEqual(await ownersOf(bench.root, 'lib/one', 'usr/lib/one', '/lib/one'), [['one'], ['one'], ['one']])
      indexAll(bench.root)
      assert.ok(asksIndex(bench.root))
      assert.deepEqual(await ownersOf(bench.root, 'lib/one', 'usr/lib/one'), [['one'], ['one']])
      await assert.rejects(bench.merge('two', 'f /usr/lib/one "another"'), /one/)
    }),
  )

  it(
    'never answers from bytes that were changed, cut or replaced: the records do, and the next merge mends it',
    withBench(async (bench) => {
      await bench.merge('one', one)
      await bench.merge('two', two)
      indexAll(bench.root)
      const whole = fs.readFileSync(bench.index)
      const cuts = [0, 1, 27, 28, 100, whole.length - 20, whole.length - 1]
      const damages: [title: string, bytes: Buffer][] = [
        ...cuts.map((cut): [string, Buffer] => [`cut to ${cut}`, whole.subarray(0, cut)]),
        ...Array.from(whole, (byte, at): [string, Buffer] => {
          const damaged = Buffer.from(whole)
          damaged[at] = byte ^ (1 << (at % 8))
          return [`byte ${at} changed`, damaged]
        }),
        ['longer', Buffer.concat([whole, Buffer.alloc(20)])],
        ['zeros', Buffer.alloc(whole.length)],
      ]
      for (const [title, bytes] of damages) {
        fs.writeFileSync(bench.index, bytes)
        assert.equal(withState(bench.root, findIndex).packages.length, 0, title)
      }
      assert.ok(!asksIndex(bench.root))
      assert.deepEqual(await ownersOf(bench.root, 'usr/bin/one', 'usr/bin/two', 'usr/bin/no'), [['one'], ['two'], []])
      await bench.merge('three', 'f /usr/bin/three "3"')
      assert.deepEqual(withState(bench.root, findIndex).packages.length, 3)
    }),
  )

  it(
    'is stale once a record was replaced or taken away by hand',
    withBench(async (bench) => {
      await bench.merge('one', one)
      await bench.merge('two', two)
      indexAll(bench.root)
      assert.deepEqual(await ownersOf(bench.root, 'usr/bin/two', 'usr/bin'), [['two'], ['one', 'two']])
      const record = join(bench.root, 'var/lib/rootmerge/packages/one/record')
      fs.copyFileSync(record, `${record}.restored`)
      fs.renameSync(`${record}.restored`, record)
      assert.ok(!asksIndex(bench.root))
      fs.rmSync(join(bench.root, 'var/lib/rootmerge/packages/two'), { recursive: true })
      assert.deepEqual(await ownersOf(bench.root, 'usr/bin/two', 'usr/bin'), [[], ['one']])
      assert.deepEqual(await list({ root: bench.root }), ['ballast', 'one'])
    }),
  )

  it(
    'is written by nobody who only reads',
    withBench(async (bench) => {
      await bench.merge('one', one)
      addBallast(bench.root)
      fs.rmSync(bench.index, { force: true })
      assert.deepEqual(await ownersOf(bench.root, 'usr/bin/one'), [['one']])
      await plan({ root: bench.root, image: bench.root, package: 'dry', exclude: ['var'] }).catch(() => {})
      assert.ok(!fs.existsSync(bench.index))
    }),
  )

  it(
    'stands for nothing: a merge whose index cannot be written is merged',
    withBench(async (bench) => {
      await bench.merge('one', one)
      fs.rmSync(bench.index, { force: true })
      fs.mkdirSync(bench.index)
      addBallast(bench.root)
      await bench.merge('two', two)
      assert.deepEqual(await ownersOf(bench.root, 'usr/bin/two', 'usr/bin'), [['two'], ['one', 'two']])
      assert.deepEqual(fs.readdirSync(bench.index), [])
      fs.rmdirSync(bench.index)
      for (const call of ['fchmod', 'write', 'renameat'] as const) {
        withState(bench.root, refreshIndex, declining(linuxKernel(), call, 'EROFS'))
        assert.ok(!asksIndex(bench.root))
        const left = fs.readdirSync(join(bench.root, 'var/lib/rootmerge')).filter((name) => name.startsWith('owners'))
        assert.deepEqual(left, [], call)
      }
    }),
  )

  it(
    'is never believed after it was killed at any moment of its making',
    withBench(async (bench) => {
      for (let n = 0; n < 40; n++) await bench.merge(`p${n}`, `f /usr/bin/${n} "x"`)
      addBallast(bench.root)
      const script = `
        const { refreshIndex } = await import(${JSON.stringify(new URL('../../src/merge/refreshIndex.js', import.meta.url).href)})
        const { Root } = await import(${JSON.stringify(new URL('../../src/merge/root.js', import.meta.url).href)})
        const { State } = await import(${JSON.stringify(new URL('../../src/merge/state.js', import.meta.url).href)})
        const { openKernel } = await import(${JSON.stringify(new URL('../../src/sys/index.js', import.meta.url).href)})
        const { rmSync } = await import('node:fs')
        const state = new State(new Root(await openKernel(), process.argv[1]))
        process.stdout.write('.')
        for (;;) { rmSync(process.argv[2], { force: true }); refreshIndex(state) }`
      for (let kill = 0; kill < 12; kill++) {
        const child = spawn(process.execPath, ['--input-type=module', '-e', script, bench.root, bench.index], {
          stdio: ['ignore', 'pipe', 'inherit'],
        })
        await new Promise((resolve) => child.stdout.once('data', resolve))
        await new Promise((resolve) => setTimeout(resolve, 5 + kill * 7))
        child.kill('SIGKILL')
        await new Promise((resolve) => child.once('close', resolve))
        const expected = Array.from({ length: 40 }, (_, n) => [`p${n}`])
        assert.deepEqual(await ownersOf(bench.root, ...Array.from({ length: 40 }, (_, n) => `usr/bin/${n}`)), expected)
      }
      withState(bench.root, refreshIndex)
      assert.ok(asksIndex(bench.root))
      const left = fs.readdirSync(join(bench.root, 'var/lib/rootmerge')).filter((name) => name.startsWith('owners'))
      assert.deepEqual(left, ['owners'])
    }),
  )

  it('is asked by an ordinary user who may not write, who leaves nothing there', async function () {
    if (process.getuid?.() !== 0) {
      process.stdout.write('      only root can become another user\n')
      this.skip()
    }
    await withBench(async (bench) => {
      await bench.merge('one', one)
      indexAll(bench.root)
      const before = fs.readdirSync(join(bench.root, 'var/lib/rootmerge'))
      fs.chmodSync(join(bench.root, '..'), 0o755)
      process.seteuid?.(65534)
      try {
        assert.ok(asksIndex(bench.root))
      } finally {
        process.seteuid?.(0)
      }
      assert.deepEqual(fs.readdirSync(join(bench.root, 'var/lib/rootmerge')), before)
    })()
  })

  it(
    'is known to be current after recovery too',
    withBench(async (bench) => {
      await bench.merge('one', one)
      addBallast(bench.root)
      await recover({ root: bench.root })
      assert.ok(asksIndex(bench.root))
    }),
  )
})
