// What was declined is not offered again, what waits is not offered twice, and what changed is; over everything that
// can happen to a package.

import assert from 'node:assert/strict'
import { readRecord, unmerge } from '../../../src/merge/index.ts'
import { type ConfigBench, file, withBench } from './configBench.ts'

const update = 'etc/._cfg0000_c.conf'

/** v1 installed and edited, v2 offered and declined. */
async function decline(bench: ConfigBench): Promise<void> {
  await bench.merge({ [file]: 'v1' })
  bench.write(file, 'L')
  await bench.merge({ [file]: 'v2' })
  assert.equal(bench.read(update), 'v2')
  bench.write(update, undefined)
}

/** After what happened, v2 is not offered again, and v3 is. */
async function expectRemembered(bench: ConfigBench, name = 'p'): Promise<void> {
  await bench.merge({ [file]: 'v2' }, {}, name)
  assert.deepEqual(bench.etc(), { 'c.conf': 'L' }, 'v2 was offered again')
  await bench.merge({ [file]: 'v3' }, {}, name)
  assert.deepEqual(bench.etc(), { 'c.conf': 'L', '._cfg0000_c.conf': 'v3' }, 'v3 was not offered')
  await bench.merge({ [file]: 'v3' }, {}, name)
  assert.deepEqual(bench.names(), ['._cfg0000_c.conf', 'c.conf'], 'v3 was offered twice')
}

describe('config memory', () => {
  it(
    'remembers what was declined',
    withBench(async (bench) => {
      await decline(bench)
      await expectRemembered(bench)
    }),
  )

  it(
    'remembers it over a downgrade and back',
    withBench(async (bench) => {
      await decline(bench)
      await bench.merge({ [file]: 'v1' })
      bench.write(update, undefined)
      await expectRemembered(bench)
    }),
  )

  it(
    'remembers it when the package is replaced by one of another name',
    withBench(async (bench) => {
      await decline(bench)
      await bench.merge({ [file]: 'v2' }, { replaces: ['p'] }, 'q')
      await expectRemembered(bench, 'q')
    }),
  )

  it(
    'remembers it when the file goes over to another package',
    withBench(async (bench) => {
      await decline(bench)
      await bench.merge({ [file]: 'v2' }, { collisionIgnore: ['etc/**'] }, 'q')
      assert.doesNotMatch(Buffer.from(await readRecord({ root: bench.root, package: 'p' })).toString(), /c\.conf/)
      await expectRemembered(bench, 'q')
    }),
  )

  it(
    'offers a file that goes over to another package beside the edited one',
    withBench(async (bench) => {
      await bench.merge({ [file]: 'v1' })
      bench.write(file, 'L')
      await bench.merge({ [file]: 'v2' }, { collisionIgnore: ['etc/**'] }, 'q')
      assert.deepEqual(bench.etc(), { 'c.conf': 'L', '._cfg0000_c.conf': 'v2' })
    }),
  )

  it(
    'remembers it over an unmerge and a new installation',
    withBench(async (bench) => {
      await decline(bench)
      await unmerge({ root: bench.root, packages: ['p'] })
      assert.deepEqual(bench.etc(), { 'c.conf': 'L' })
      await expectRemembered(bench)
    }),
  )

  it(
    'remembers it when another package brings the file after an unmerge',
    withBench(async (bench) => {
      await decline(bench)
      await unmerge({ root: bench.root, packages: ['p'] })
      await expectRemembered(bench, 'q')
    }),
  )

  it(
    'remembers it when a version of the package does without the file',
    withBench(async (bench) => {
      await decline(bench)
      await bench.merge({ 'usr/other': 'x' })
      assert.deepEqual(bench.etc(), { 'c.conf': 'L' })
      await expectRemembered(bench)
    }),
  )

  it(
    'remembers that nobody wants a file back that was deleted',
    withBench(async (bench) => {
      await bench.merge({ [file]: 'v1' })
      bench.write(file, undefined)
      await bench.merge({ [file]: 'v1' })
      assert.deepEqual(bench.etc(), { '._cfg0000_c.conf': 'v1' })
      bench.write(update, undefined)
      await bench.merge({ [file]: 'v1' }) // Portage offers it each time
      assert.deepEqual(bench.etc(), {})
      await bench.merge({ [file]: 'v2' })
      assert.deepEqual(bench.etc(), { '._cfg0000_c.conf': 'v2' })
    }),
  )

  it(
    'is forgotten where that is asked for, and by a purge',
    withBench(async (bench) => {
      await decline(bench)
      await bench.merge({ [file]: 'v2' }, { noConfigMemory: true })
      assert.equal(bench.read(update), 'v2')
      await unmerge({ root: bench.root, packages: ['p'], purge: true })
      assert.deepEqual(bench.etc(), {})
      await bench.merge({ [file]: 'v1' })
      bench.write(file, 'L')
      await bench.merge({ [file]: 'v2' })
      assert.equal(bench.read(update), 'v2')
    }),
  )

  it(
    'does not take for declined what was still waiting when its package went',
    withBench(async (bench) => {
      await decline(bench)
      await bench.merge({ [file]: 'v3' })
      await unmerge({ root: bench.root, packages: ['p'] })
      assert.deepEqual(bench.etc(), { 'c.conf': 'L' })
      await bench.merge({ [file]: 'v2' })
      assert.deepEqual(bench.etc(), { 'c.conf': 'L' })
      await bench.merge({ [file]: 'v3' })
      assert.deepEqual(bench.etc(), { 'c.conf': 'L', '._cfg0000_c.conf': 'v3' })
    }),
  )

  it(
    'does not take an update away that somebody has worked on, when its package goes',
    withBench(async (bench) => {
      await bench.merge({ [file]: 'v1' })
      bench.write(file, 'L')
      await bench.merge({ [file]: 'v2' })
      bench.write(update, 'half merged')
      await unmerge({ root: bench.root, packages: ['p'] })
      assert.deepEqual(bench.etc(), { 'c.conf': 'L', '._cfg0000_c.conf': 'half merged' })
    }),
  )
})
