import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import {
  CollisionError,
  CorruptImageError,
  InvalidArgumentError,
  list,
  listEntries,
  merge,
  unmerge,
  verify,
} from '../../src/merge/index.ts'
import { linuxKernel } from '../../src/sys/index.ts'
import { compareTrees } from '../support/compareTrees.ts'
import { wrapKernel } from '../support/kernelDoubles.ts'
import { mergeImages } from '../support/operations.ts'
import { withDirectory } from '../support/scratch.ts'
import { snapshot } from '../support/snapshot.ts'
import { writeTree } from '../support/tree.ts'
import { contextOf } from './scenarios.ts'

const at = 'mtime=1600000000.000000001'

/** A root, and one image for each tree. */
async function withImages(
  trees: Readonly<Record<string, string>>,
  body: (bench: { root: string; image: (name: string) => string; directory: string }) => Promise<void>,
): Promise<void> {
  await withDirectory(async (directory) => {
    const root = join(directory, 'root')
    fs.mkdirSync(root)
    const image = (name: string) => join(directory, name)
    for (const [name, tree] of Object.entries(trees)) {
      fs.mkdirSync(image(name))
      writeTree(image(name), tree)
    }
    await body({ root, image, directory })
  })
}

/** Every name of the root but the state's. */
function namesIn(root: string): string[] {
  return [...snapshot(root, { without: ['var'] }).keys()].filter((name) => name !== '').sort()
}

describe('merge() of several images', () => {
  it('is one transaction with one flush of each kind, and a report for each package', () =>
    withImages({ a: 'f /usr/bin/a "a"', b: 'f /usr/bin/b "b"', c: 'f /etc/c "c"' }, async ({ root, image }) => {
      let flushed = 0 // of the journal and of whole file systems; so few files are flushed each by itself
      const kernel = wrapKernel(linuxKernel(), (call, args, proceed) => {
        if (/^(syncfs|fdatasync)$/.test(call)) flushed++
        return proceed(...args)
      })
      const images = ['a', 'b', 'c'].map((name) => ({ image: image(name), package: name }))
      const report = await mergeImages(contextOf(kernel), { root, images: images.slice(0, 1) })
      const ofOne = flushed
      assert.ok(ofOne > 3)
      const together = await mergeImages(contextOf(kernel), { root, images: images.slice(1) })
      assert.ok(flushed <= 2 * ofOne, `${flushed} for three, ${ofOne} for one`)
      assert.deepEqual(report.packages, [{ package: 'a', entries: 3, counts: { newDirectory: 2, place: 1 } }])
      assert.deepEqual(together.packages, [
        { package: 'b', entries: 3, counts: { keepDirectory: 2, place: 1 } },
        { package: 'c', entries: 2, counts: { newDirectory: 1, place: 1 } },
      ])
      assert.deepEqual(together.counts, { keepDirectory: 2, place: 2, newDirectory: 1 })
      assert.deepEqual(await list({ root }), ['a', 'b', 'c'])
      assert.deepEqual(await verify({ root }), [])
    }))

  it('lets images share a directory that none of them found, whichever made it', () =>
    withImages(
      { a: 'd 0750 /opt/x\nf /opt/x/a "a"', b: 'd 0700 /opt/x\nf /opt/x/b "b"\nf /opt/x/deep/b "b"' },
      async ({ root, image }) => {
        const images = ['a', 'b'].map((name) => ({ image: image(name), package: name }))
        const { packages } = await merge({ root, images })
        assert.deepEqual(packages[1]?.counts, { twin: 2, place: 2, newDirectory: 1 })
        assert.deepEqual(namesIn(root), ['opt', 'opt/x', 'opt/x/a', 'opt/x/b', 'opt/x/deep', 'opt/x/deep/b'])
        assert.equal(fs.statSync(join(root, 'opt/x')).mode & 0o7777, 0o750)
        assert.deepEqual(await verify({ root }), [])
        await unmerge({ root, packages: ['a'] })
        assert.deepEqual(namesIn(root), ['opt', 'opt/x', 'opt/x/b', 'opt/x/deep', 'opt/x/deep/b'])
        await unmerge({ root, packages: ['b'] })
        assert.deepEqual(namesIn(root), [])
      },
    ))

  it('lists every name that two of them bring, and changes nothing', () =>
    withImages(
      {
        a: `f /etc/differs "a"\nf /etc/same "s" ${at}\nf /etc/type "x"\nf /ok "a"`,
        b: `f /etc/differs "b"\nf /etc/same "s" ${at}\nf /etc/type/x "x"`,
      },
      async ({ root, image }) => {
        const images = ['a', 'b'].map((name) => ({ image: image(name), package: name }))
        const before = namesIn(root)
        await assert.rejects(merge({ root, images }), (error) => {
          assert.ok(error instanceof CollisionError)
          const found = error.collisions.map(({ name, live, image: brought }) => [name, live, brought])
          assert.deepEqual(found, [
            ['etc/differs', 'file', 'file'],
            ['etc/same', 'file', 'file'],
            ['etc/type', 'file', 'directory'],
          ])
          assert.match(error.message, /'etc\/differs' of a/)
          assert.match(error.message, /--share-identical/)
          return true
        })
        assert.deepEqual(namesIn(root), before)
        assert.deepEqual(await list({ root }), [])
      },
    ))

  it('shares what is identical where that is asked for, hard links with their group only', () =>
    withImages(
      {
        a: `f /same "s" ${at}\nf /g1 "g" ${at}\nh /g2 == /g1`,
        b: `f /same "s" ${at}\nf /g1 "g" ${at}\nh /g2 == /g1\nh /g3 == /g1`,
        split: `f /g1 "g" ${at}\nf /g2 "g" ${at}`,
      },
      async ({ root, image }) => {
        const together = (...names: string[]) =>
          merge({ root, images: names.map((name) => ({ image: image(name), package: name })), shareIdentical: true })
        await assert.rejects(together('a', 'split'), CollisionError)
        await together('a', 'b')
        assert.equal(fs.statSync(join(root, 'g1')).nlink, 3)
        assert.deepEqual(await verify({ root }), [])
        await unmerge({ root, packages: ['a'] })
        assert.deepEqual(compareTrees(root, image('b'), { ignoreTop: true, ignoreNames: /^var(\/|$)/ }), [])
        assert.deepEqual(await verify({ root }), [])
      },
    ))

  it('takes two names of one image that lead to one live name where they agree, and only there', () =>
    withImages(
      {
        same: `f /lib/x "1" ${at}\nf /usr/lib/x "1" ${at}\nf /usr/lib/y "y"`,
        linked: 'f /lib/x "1"\nh /usr/lib/x == /lib/x',
        differs: `f /lib/x "1" ${at}\nf /usr/lib/x "2" ${at}`,
      },
      async ({ root, image }) => {
        writeTree(root, 'd /usr/lib\nl /lib -> usr/lib')
        for (const name of ['same', 'linked']) {
          await merge({ root, image: image(name), package: name })
          assert.equal(fs.readFileSync(join(root, 'usr/lib/x'), 'utf8'), '1')
          assert.deepEqual(await verify({ root }), [])
          await unmerge({ root, packages: [name] })
          assert.deepEqual(namesIn(root), ['lib'])
          writeTree(root, 'd /usr/lib')
        }
        await assert.rejects(merge({ root, image: image('differs'), package: 'differs' }), CollisionError)
      },
    ))

  it('goes through symlinks that an earlier image of the call brings, wherever in the root they will lead', () =>
    withImages(
      {
        base: 'd /usr/lib\nl /lib -> usr/lib\nl /sbin -> /bin\nl /bin -> usr/bin\nd /usr/bin\nl /out -> ../../etc\nl /gone -> no',
        other: 'f /lib/x "x"\nf /sbin/y "y"\nf /lib/deep/z "z"\nf /out/passwd "inside"',
        broken: 'f /gone/x "x"',
      },
      async ({ root, image }) => {
        writeTree(root, 'd /etc')
        const together = (...names: string[]) =>
          merge({ root, images: names.map((name) => ({ image: image(name), package: name })) })
        await assert.rejects(together('base', 'broken'), CollisionError)
        await together('base', 'other')
        const contents = ['usr/lib/x', 'usr/bin/y', 'usr/lib/deep/z', 'etc/passwd'].map((name) =>
          fs.readFileSync(join(root, name), 'utf8'),
        )
        assert.deepEqual(contents, ['x', 'y', 'z', 'inside'])
        assert.equal(fs.readlinkSync(join(root, 'lib')), 'usr/lib')
        assert.deepEqual(await verify({ root }), [])
        await unmerge({ root, packages: ['other'] })
        assert.deepEqual(await verify({ root }), [])
        await unmerge({ root, packages: ['base'] })
        assert.deepEqual(
          namesIn(root).filter((name) => name !== 'etc'),
          [],
        )
      },
    ))

  for (const kind of ['trees that are taken', 'archives'] as const) {
    it(`makes a directory that none had before, of ${kind}`, () =>
      withImages(
        {
          a: `f /opt/new/deep/a "a"\nd /opt/new ${at}`,
          b: `f /opt/new/deep/b "b"\nf /opt/new/b "b"\nd /opt/new ${at}`,
        },
        async ({ root, image }) => {
          const given = (name: string) => {
            if (kind !== 'archives') return image(name)
            execFileSync('tar', ['-cf', `${image(name)}.tar`, '-C', image(name), '.'])
            return `${image(name)}.tar`
          }
          const images = ['a', 'b'].map((name) => ({ image: given(name), package: name }))
          await merge({ root, images, mode: kind === 'archives' ? 'copy' : 'move' })
          assert.deepEqual(namesIn(root), [
            'opt',
            'opt/new',
            'opt/new/b',
            'opt/new/deep',
            'opt/new/deep/a',
            'opt/new/deep/b',
          ])
          assert.deepEqual(await verify({ root }), [])
          if (kind !== 'archives') for (const name of ['a', 'b']) assert.deepEqual(fs.readdirSync(image(name)), [])
        },
      ))
  }

  it('moves a name from one package to another when both are merged', () =>
    withImages(
      { a1: 'f /moves "1"\nf /stays "1"', b1: 'f /b "1"', a2: 'f /stays "2"', b2: 'f /moves "2"\nf /b "2"' },
      async ({ root, image }) => {
        await merge({ root, images: ['a', 'b'].map((name) => ({ image: image(`${name}1`), package: name })) })
        const next = ['a', 'b'].map((name) => ({ image: image(`${name}2`), package: name }))
        await assert.rejects(merge({ root, ...(next[1] as (typeof next)[0]) }), CollisionError)
        const { kept } = await merge({ root, images: next })
        assert.deepEqual(kept, [])
        assert.equal(fs.readFileSync(join(root, 'moves'), 'utf8'), '2')
        const owned = async (name: string) => (await listEntries({ root, package: name })).map((entry) => entry.name)
        assert.deepEqual([await owned('a'), await owned('b')], [['stays'], ['b', 'moves']])
        assert.deepEqual(await verify({ root }), [])
      },
    ))

  it('merges archives and trees together, each with its own options', () =>
    withImages({ a: 'f /package/a "a"', b: 'f /b "b"\nf /left-out "b"', c: 'f /c "c"' }, async (bench) => {
      const { root, image, directory } = bench
      const archive = (name: string) => {
        execFileSync('tar', ['-C', image(name), '-cf', join(directory, `${name}.tar`), '.'])
        return join(directory, `${name}.tar`)
      }
      const images = [
        { image: archive('a'), package: 'a', stripComponents: 1 },
        { image: image('b'), package: 'b', exclude: ['left-out'] },
        { image: archive('c'), package: 'c' },
      ]
      await merge({ root, images })
      assert.deepEqual(namesIn(root), ['a', 'b', 'c'])
      assert.deepEqual(await verify({ root }), [])
      fs.truncateSync(images[2]?.image ?? '', 700)
      await assert.rejects(merge({ root, images }), CorruptImageError)
      assert.deepEqual(
        fs.readdirSync(join(root, 'var/lib/rootmerge')).filter((name) => name.includes('unpacked')),
        [],
      )
    }))

  it('needs an image, and a package name for each', () =>
    withImages({ a: 'f /a "a"' }, async ({ root, image }) => {
      const one = { image: image('a'), package: 'a' }
      await assert.rejects(merge({ root, images: [] }), InvalidArgumentError)
      await assert.rejects(merge({ root, images: [one, one] }), /'a'/)
      await assert.rejects(merge({ root, images: [{ ...one, package: '../a' }] }), InvalidArgumentError)
    }))
})
