import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import type { MergeOptions } from '../../src/merge/index.ts'
import { type Kernel, linuxKernel } from '../../src/sys/index.ts'
import { itAsRoot } from '../support/asRoot.ts'
import { crashAt, declining, failNth } from '../support/kernelDoubles.ts'
import { mergeImages, unmergePackages, verifyPackages } from '../support/operations.ts'
import { withDirectory } from '../support/scratch.ts'
import { writeTree } from '../support/tree.ts'
import { contextOf, mortal } from './scenarios.ts'

/** A root that is empty, or has what `writeTree` made of it, and merges into it. */
class Bench {
  readonly root: string
  readonly #directory: string

  constructor(directory: string) {
    this.#directory = directory
    this.root = join(directory, 'root')
    fs.mkdirSync(this.root)
  }

  merge(name: string, tree: string, kernel: Kernel = linuxKernel(), more: Partial<MergeOptions> = {}) {
    const image = fs.mkdtempSync(join(this.#directory, 'image-'))
    writeTree(image, tree)
    const options = { root: this.root, image, package: name, durability: 'none', ...more }
    return mergeImages(contextOf(kernel), options as MergeOptions)
  }

  unmerge(packages: string[], state?: string) {
    const options = {
      root: this.root,
      packages,
      durability: 'none',
      ...(state === undefined ? {} : { state }),
    } as const
    return unmergePackages(contextOf(linuxKernel()), options)
  }

  verify() {
    return verifyPackages(contextOf(linuxKernel()), { root: this.root })
  }

  /** Mode and owner of a directory, as a tree's line has them. */
  metadata(name: string): string {
    const { mode, uid, gid } = fs.statSync(join(this.root, name))
    return `${(mode & 0o7777).toString(8)} ${uid}:${gid}`
  }

  /** Every name below the root, without what is in the state. */
  names(state = 'var/lib/rootmerge'): string[] {
    const all = fs.readdirSync(this.root, { recursive: true, encoding: 'utf8' })
    return all.filter((name) => !name.startsWith(`${state}/`)).sort()
  }
}

function withBench(body: (bench: Bench) => Promise<void>): () => Promise<void> {
  return () => withDirectory((directory) => body(new Bench(directory)))
}

const chain = ['var', 'var/lib', 'var/lib/rootmerge']
const owner = `${process.getuid?.()}:${process.getgid?.()}`
const own = `755 ${owner}`

describe('the directories above the state that a merge has to make', () => {
  itAsRoot(
    'take the metadata of the first image that brings them, and of no other',
    withBench(async (bench) => {
      await bench.merge('before', 'f /usr/file "1"')
      assert.deepEqual([bench.metadata('var'), bench.metadata('var/lib')], [own, own])
      await bench.merge('first', 'd 0750 0:12 /var\nd 1770 7:0 /var/lib\nf /var/lib/one "1"')
      await bench.merge('second', 'd 0700 0:0 /var\nd 0700 0:0 /var/lib\nf /var/lib/two "2"')
      assert.deepEqual([bench.metadata('var'), bench.metadata('var/lib')], ['750 0:12', '1770 7:0'])
      assert.deepEqual(bench.verify(), [])
    }),
  )

  itAsRoot(
    'take them in the very merge that made them, and follow their package from then on',
    withBench(async (bench) => {
      await bench.merge('p', 'd 0750 0:12 /var\nf /var/one "1"')
      assert.deepEqual([bench.metadata('var'), bench.metadata('var/lib')], ['750 0:12', own])
      await bench.merge('p', 'd 0711 0:0 /var\nf /var/one "1"')
      assert.equal(bench.metadata('var'), '711 0:0')
      assert.deepEqual(bench.verify(), [])
    }),
  )

  it(
    "stay when everything is unmerged, with nothing else, and are the next image's to change",
    withBench(async (bench) => {
      await bench.merge('a', 'd 0750 /var\nf /var/lib/one "1"\nf /var/cache/one "1"')
      await bench.merge('b', 'd 0700 /var\nf /var/lib/two "2"')
      await bench.unmerge(['a', 'b'])
      assert.deepEqual(bench.names(), chain)
      await bench.merge('c', 'd 0711 /var\nf /var/three "3"')
      assert.equal(bench.metadata('var'), `711 ${owner}`)
      await bench.merge('c', 'f /usr/three "3"') // its new version has no /var
      await bench.merge('d', 'd 0701 /var\nf /var/four "4"')
      assert.equal(bench.metadata('var'), `701 ${owner}`)
      assert.deepEqual(bench.verify(), [])
      await bench.unmerge(['c', 'd'])
      assert.deepEqual(bench.names(), chain)
    }),
  )

  itAsRoot(
    "are the administrator's once he changed them",
    withBench(async (bench) => {
      await bench.merge('before', 'f /usr/file "1"')
      fs.chmodSync(join(bench.root, 'var'), 0o700)
      await bench.merge('first', 'd 0750 0:12 /var\nd 0750 /var/lib\nf /var/lib/one "1"')
      assert.deepEqual([bench.metadata('var'), bench.metadata('var/lib')], ['700 0:0', '750 0:0'])
    }),
  )

  itAsRoot(
    "are the administrator's where he made them",
    withBench(async (bench) => {
      fs.mkdirSync(join(bench.root, 'var'))
      await bench.merge('first', 'd 0750 0:12 /var\nd 0750 /var/lib\nf /var/lib/one "1"')
      assert.deepEqual([bench.metadata('var'), bench.metadata('var/lib')], [own, '750 0:0'])
      await bench.unmerge(['first'])
      assert.deepEqual(bench.names(), chain)
    }),
  )

  it(
    'go when they are empty, since the state was moved away',
    withBench(async (bench) => {
      await bench.merge('a', 'f /usr/one "1"')
      fs.mkdirSync(join(bench.root, 'var/spool'))
      fs.renameSync(join(bench.root, 'var/lib/rootmerge'), join(bench.root, 'state'))
      await bench.merge('b', 'f /usr/two "2"', linuxKernel(), { state: 'state' })
      await bench.unmerge(['a'], 'state')
      assert.deepEqual(bench.names('state'), ['state', 'usr', 'usr/two', 'var', 'var/spool'])
      await bench.unmerge(['b'], 'state')
      assert.deepEqual(bench.names('state'), ['state', 'var', 'var/spool']) // not empty once: not ours any more
    }),
  )

  itAsRoot(
    'stay, moved away or not, where a package has them',
    withBench(async (bench) => {
      await bench.merge('a', 'f /usr/one "1"')
      await bench.merge('b', 'd 0750 /var/lib')
      fs.renameSync(join(bench.root, 'var/lib/rootmerge'), join(bench.root, 'state'))
      await bench.unmerge(['a'], 'state')
      assert.deepEqual(bench.names('state'), ['state', 'var', 'var/lib'])
      await bench.unmerge(['b'], 'state')
      assert.deepEqual(bench.names('state'), ['state'])
    }),
  )

  itAsRoot('are remembered whenever a merge that makes them dies', async () => {
    let calls = 0
    for (let n = 1, goesOn = true; goesOn; n++) {
      await withDirectory(async (directory) => {
        const bench = new Bench(directory)
        const process = mortal()
        const { kernel, seen } = crashAt(process.kernel, n)
        await bench.merge('a', 'f /usr/one "1"', kernel).catch(() => {})
        goesOn = seen.hit !== undefined && !fs.existsSync(join(bench.root, 'var/lib/rootmerge/id'))
        process.bury()
        await bench.merge('b', 'd 0750 0:12 /var\nd 0750 /var/lib\nf /var/lib/two "2"')
        const where = `after a death at call ${n}`
        assert.deepEqual([bench.metadata('var'), bench.metadata('var/lib')], ['750 0:12', '750 0:0'], where)
        assert.deepEqual(
          bench.names().filter((name) => name.includes('.rootmerge-')),
          [],
          where,
        )
      })
      calls = n
    }
    assert.ok(calls > 20, `only ${calls} calls`)
  })

  it('are made in place, and belong to nobody, where they cannot be made aside', async () => {
    const ways: [title: string, kernelOf: () => Kernel][] = [
      ['no RENAME_NOREPLACE', () => declining(linuxKernel(), 'renameat', 'EINVAL')],
      ...Array.from({ length: 12 }, (_, n): [string, () => Kernel] => [
        `ENOSPC at call ${n + 1}`,
        () => failNth(linuxKernel(), n + 1, 'ENOSPC').kernel,
      ]),
    ]
    for (const [title, kernelOf] of ways) {
      await withDirectory(async (directory) => {
        const bench = new Bench(directory)
        await bench.merge('a', 'f /usr/one "1"', kernelOf()).catch(() => {})
        assert.deepEqual(
          bench.names().filter((name) => name.includes('.rootmerge-')),
          [],
          title,
        )
        await bench.merge('b', 'f /usr/two "2"')
        assert.ok(fs.existsSync(join(bench.root, 'usr/two')), title)
      })
    }
  })
})
