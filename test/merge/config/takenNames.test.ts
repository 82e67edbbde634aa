// Names that configuration goes to beside its own: update names and save names, also those that something else has.

import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { CollisionError, unmerge, verify } from '../../../src/merge/index.ts'
import { file, withBench } from './configBench.ts'

const [update, save] = [`${file}.rpmnew`, `${file}.rpmsave`]

describe('a name that an update or a save would get', () => {
  it(
    'is passed over where it has a number and a directory is there',
    withBench(async (bench) => {
      await bench.merge({ [file]: 'old' })
      bench.write(file, 'local')
      fs.mkdirSync(join(bench.root, 'etc/._cfg0000_c.conf/inside'), { recursive: true })
      const { updates } = await bench.merge({ [file]: 'new' })
      assert.deepEqual(updates, [{ name: file, package: 'p', update: 'etc/._cfg0001_c.conf' }])
      assert.equal(bench.read('etc/._cfg0001_c.conf'), 'new')
    }),
  )

  it(
    'is refused where a directory, another package or the image has the only one',
    withBench(async (bench) => {
      await bench.merge({ [file]: 'old' }, { style: 'rpm' })
      bench.write(file, 'local')
      const refuses = async (image: Record<string, string>) =>
        assert.rejects(bench.merge(image, { style: 'rpm' }), (error) => {
          assert.ok(error instanceof CollisionError)
          assert.deepEqual(
            error.collisions.map(({ name }) => name),
            [update],
          )
          assert.match(error.message, /the new version of 'etc\/c\.conf' goes there: .*another --style/)
          return true
        })
      await refuses({ [file]: 'new', [update]: 'its own' })
      fs.mkdirSync(join(bench.root, update))
      await refuses({ [file]: 'new' })
      fs.rmdirSync(join(bench.root, update))
      await bench.merge({ [update]: "another's" }, {}, 'q')
      await refuses({ [file]: 'new' })
      assert.equal(bench.read(update), "another's")
      // The remedy.
      await bench.merge({ [file]: 'new' }, { style: 'pacman' })
      assert.equal(bench.read(`${file}.pacnew`), 'new')
    }),
  )

  it(
    'is passed over by saves',
    withBench(async (bench) => {
      await bench.merge({ [file]: 'old' }, { style: 'rpm-replace' })
      bench.write(file, 'local')
      const { saved } = await bench.merge({ [file]: 'new', [save]: 'its own' }, { style: 'rpm-replace' })
      assert.deepEqual(saved, [{ name: file, saved: `${save}.1` }])
      assert.deepEqual(await verify({ root: bench.root }), [])
      bench.write(file, 'local again')
      fs.mkdirSync(join(bench.root, `${save}.2/inside`), { recursive: true })
      const removed = await unmerge({ root: bench.root, packages: ['p'] })
      assert.deepEqual(removed.saved, [
        { name: `${save}.1`, saved: `${save}.3` },
        { name: file, saved: `${save}.1` },
      ])
      assert.equal(bench.read(`${save}.3`), 'local')
      assert.equal(bench.read(`${save}.1`), 'local again')
    }),
  )

  it(
    'is a changed name, and touches triggers, when something is saved under it',
    withBench(async (bench) => {
      await bench.merge({ [file]: 'old' }, { style: 'rpm-replace' })
      bench.write(file, 'local')
      const more = { style: 'rpm-replace', triggers: { saved: ['**/*.rpmsave'] }, listChanged: true } as const
      const { changed, triggered } = await bench.merge({ [file]: 'new' }, more)
      assert.equal(Buffer.from(changed ?? []).toString(), `${file}\0${save}\0`)
      assert.deepEqual(triggered, ['saved'])
    }),
  )

  it(
    'is a directory where the image has one in place of a file that stayed, and that nobody edited',
    withBench(async (bench) => {
      await bench.merge({ [file]: 'old' }, { style: 'dpkg' })
      await unmerge({ root: bench.root, packages: ['p'] })
      assert.equal(bench.read(file), 'old')
      await bench.merge({ [`${file}/inside`]: 'new' }, { style: 'dpkg' })
      assert.equal(bench.read(`${file}/inside`), 'new')
    }),
  )
})
