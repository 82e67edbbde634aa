// The mark of a root: whose state it is, and what is refused because of it.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { NestedRootError, StateMissingError } from '../../src/merge/errors.ts'
import { type Kernel, linuxKernel } from '../../src/sys/index.ts'
import { itOnEach } from '../support/filesystems.ts'
import { crashAt, declining } from '../support/kernelDoubles.ts'
import { listPackages, mergeImages, planImages, recoverRootNow } from '../support/operations.ts'
import { withDirectory } from '../support/scratch.ts'
import { writeTree } from '../support/tree.ts'
import { contextOf, mortal } from './scenarios.ts'

function merge(
  directory: string,
  options: { root?: string; state?: string; intoOtherRoots?: boolean; kernel?: Kernel } = {},
) {
  const image = join(directory, 'image')
  if (!fs.existsSync(image)) {
    fs.mkdirSync(image)
    writeTree(image, 'f /usr/file "1"')
  }
  const { root = join(directory, 'root'), kernel = linuxKernel(), ...rest } = options
  fs.mkdirSync(root, { recursive: true })
  return mergeImages(contextOf(kernel), { root, image, package: 'p', ...rest })
}

const list = (root: string, state?: string) => listPackages(contextOf(linuxKernel()), { root, ...(state && { state }) })

describe('the mark of a root', () => {
  for (const [how, kernel] of Object.entries({
    'an attribute': linuxKernel(),
    'a file where there are no attributes': declining(linuxKernel(), 'setXattr', 'EOPNOTSUPP'),
  })) {
    itOnEach(`is ${how}; a root without its state is refused`, async (directory) => {
      const root = join(directory, 'root')
      await merge(directory, { kernel })
      assert.equal(fs.existsSync(join(root, '.rootmerge')), how !== 'an attribute')
      fs.renameSync(join(root, 'var'), join(directory, 'not-mounted'))
      fs.mkdirSync(join(root, 'var'))
      await assert.rejects(merge(directory, { kernel }), StateMissingError)
      assert.throws(() => list(root), StateMissingError)
      assert.throws(() => recoverRootNow(contextOf(linuxKernel()), { root }), StateMissingError)
      assert.deepEqual(fs.readdirSync(join(root, 'var')), [], 'a second state was made')
      fs.rmdirSync(join(root, 'var'))
      fs.renameSync(join(directory, 'not-mounted'), join(root, 'var'))
      assert.deepEqual(list(root), ['p'])
    })
  }

  it('refuses another state, and says which is the right one', () =>
    withDirectory(async (directory) => {
      await merge(directory, { state: 'opt/state' })
      await assert.rejects(merge(directory), (error: StateMissingError) => /--state opt\/state/.test(error.hint ?? ''))
      assert.throws(() => list(join(directory, 'root')), StateMissingError)
      assert.deepEqual(list(join(directory, 'root'), 'opt/state'), ['p'])
    }))

  it('is made again where a copy of the root lost it, and moves with the root', () =>
    withDirectory(async (directory) => {
      await merge(directory)
      const copy = join(directory, 'copy')
      execFileSync('cp', ['-a', '--no-preserve=xattr', join(directory, 'root'), copy])
      assert.equal(execFileSync('getfattr', ['-d', copy]).toString(), '')
      await merge(directory, { root: copy })
      assert.match(execFileSync('getfattr', ['--absolute-names', '-d', copy]).toString(), /user.rootmerge=/)
      fs.renameSync(copy, join(directory, 'elsewhere'))
      assert.deepEqual(list(join(directory, 'elsewhere')), ['p'])
    }))

  it('is made or not made, whenever the first merge dies', () =>
    withDirectory(async (directory) => {
      await merge(directory)
      for (let n = 1; n < 60; n++) {
        fs.rmSync(join(directory, 'root'), { recursive: true })
        const dying = mortal()
        const { kernel, seen } = crashAt(dying.kernel, n)
        await assert.rejects(merge(directory, { kernel }))
        dying.bury()
        assert.ok(seen.hit)
        await merge(directory)
        assert.deepEqual(list(join(directory, 'root')), ['p'], `after dying at call ${n}`)
      }
    }))

  it('keeps other merges out of that root, unless they are allowed in', () =>
    withDirectory(async (directory) => {
      const inner = join(directory, 'root/srv/inner')
      await merge(directory, { root: inner })
      const image = join(directory, 'another')
      fs.mkdirSync(image)
      writeTree(image, 'f /srv/inner/usr/other "1"')
      const options = { root: join(directory, 'root'), image, package: 'q' }
      await assert.rejects(mergeImages(contextOf(linuxKernel()), options), NestedRootError)
      await assert.rejects(async () => planImages(contextOf(linuxKernel()), options), NestedRootError)
      assert.deepEqual(fs.readdirSync(join(inner, 'usr')), ['file'])
      await mergeImages(contextOf(linuxKernel()), { ...options, intoOtherRoots: true })
      assert.deepEqual(fs.readdirSync(join(inner, 'usr')), ['file', 'other'])
    }))
})
