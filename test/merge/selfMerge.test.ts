import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { InvalidArgumentError, type MergeOptions, merge, verify } from '../../src/merge/index.ts'
import { linuxKernel } from '../../src/sys/index.ts'
import { recording } from '../support/kernelDoubles.ts'
import { planImages } from '../support/operations.ts'
import { withDirectory } from '../support/scratch.ts'
import { differencesBetween, snapshot } from '../support/snapshot.ts'
import { writeTree } from '../support/tree.ts'
import { contextOf } from './scenarios.ts'

interface Bench {
  readonly directory: string
  readonly root: string
}

/** A root inside another directory, with a package already, so that it has a state to lose. */
function withRoot(body: (bench: Bench) => unknown): Promise<void> {
  return withDirectory(async (directory) => {
    const root = join(directory, 'above/root')
    fs.mkdirSync(root, { recursive: true })
    writeTree(root, 'f /usr/bin/tool "tool"\nf /etc/file "1"\nl /bin -> usr/bin')
    writeTree(join(directory, 'above'), 'f /beside "2"')
    writeTree(join(directory, 'first'), 'f /opt/first "first"')
    await merge({ root, image: join(directory, 'first'), package: 'first', durability: 'none' })
    await body({ directory, root })
  })
}

const refused: Readonly<Record<string, { image: string; more: Partial<MergeOptions>; message: RegExp }>> = {
  'the root itself, to be moved': {
    image: 'above/root',
    more: { mode: 'move', exclude: ['var/**'] },
    message: /is the root itself/,
  },
  'the root by a symlink, to be moved': {
    image: 'link',
    more: { mode: 'move', exclude: ['var/**'] },
    message: /is the root itself/,
  },
  'the root with its state': {
    image: 'above/root',
    more: {},
    message: /'var\/lib\/rootmerge': is the state directory/,
  },
  'a directory above the root': { image: 'above', more: {}, message: /'root': is the root itself/ },
  'a directory above the root, to be moved': {
    image: 'above',
    more: { mode: 'move' },
    message: /'root': is the root itself/,
  },
  'a directory above the state': {
    image: 'above/root/var',
    more: { mode: 'move' },
    message: /'lib\/rootmerge': is the state directory/,
  },
  'the state itself': {
    image: 'above/root/var/lib/rootmerge',
    more: { mode: 'move' },
    message: /lies in the state directory/,
  },
  'records of the state': {
    image: 'above/root/var/lib/rootmerge/packages',
    more: { mode: 'move' },
    message: /lies in the state directory/,
  },
  'a directory that a symlink of the root leads back to, to be moved': {
    image: 'above/root/usr',
    more: { mode: 'move' },
    message: /'bin': is the very directory that it goes to/,
  },
}

describe('an image that is a part of the root, or contains it', () => {
  for (const [title, { image, more, message }] of Object.entries(refused)) {
    it(`is refused, and nothing is lost: ${title}`, () =>
      withRoot(async ({ directory, root }) => {
        fs.symlinkSync('above/root', join(directory, 'link'))
        const without = ['above/root/var/lib/rootmerge/lock'] // who asked last
        const before = snapshot(directory, { without })
        const options = { root, image: join(directory, image), package: 'self', durability: 'none', ...more }
        await assert.rejects(merge(options as MergeOptions), message)
        assert.deepEqual(differencesBetween(before, snapshot(directory, { without })), [])
        assert.deepEqual(await verify({ root }), [])
      }))
  }

  it('is adopted where nothing is taken out of it', () =>
    withRoot(async ({ root }) => {
      await merge({ root, image: root, package: 'self', exclude: ['var/**', 'opt/**'], durability: 'none' })
      assert.equal(fs.readFileSync(join(root, 'usr/bin/tool'), 'utf8'), 'tool')
      assert.deepEqual(await verify({ root }), [])
    }))

  it('is moved from anywhere else inside the root', () =>
    withRoot(async ({ root }) => {
      writeTree(join(root, 'srv/image'), 'f /srv/image/new "new"\nf /etc/new "new"')
      await merge({ root, image: join(root, 'srv/image'), package: 'inner', mode: 'move', durability: 'none' })
      assert.equal(fs.readFileSync(join(root, 'etc/new'), 'utf8'), 'new')
      assert.equal(fs.readFileSync(join(root, 'srv/image/new'), 'utf8'), 'new')
    }))

  it('is refused before the image is read, which may be a whole system', () =>
    withRoot(async ({ directory, root }) => {
      const { kernel, calls } = recording(linuxKernel())
      const options = { root, image: join(directory, 'above'), package: 'self' }
      await assert.rejects(planImages(contextOf(kernel), options), /'root': is the root itself/)
      assert.deepEqual(
        calls.filter(({ args }) => args.includes('beside')),
        [],
      )
    }))

  it('is merged without the root that it contains, where that is left out', () =>
    withRoot(async ({ directory, root }) => {
      const options = { root, image: join(directory, 'above'), package: 'around', durability: 'none' as const }
      await merge({ ...options, exclude: ['root'] })
      await merge({ ...options, installMask: ['/root/'] })
      assert.equal(fs.readFileSync(join(root, 'beside'), 'utf8'), '2')
      assert.deepEqual(await verify({ root }), [])
    }))

  it('tells that the image is wrong, not the root', () =>
    withRoot(({ root }) =>
      assert.rejects(
        merge({ root, image: root, package: 'self', mode: 'move', durability: 'none' }),
        InvalidArgumentError,
      ),
    ))
})
