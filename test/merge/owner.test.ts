import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { merge, owner } from '../../src/merge/index.ts'
import { withDirectory } from '../support/scratch.ts'
import { writeTree } from '../support/tree.ts'

async function withPackages(body: (root: string) => Promise<void>): Promise<void> {
  await withDirectory(async (directory) => {
    const root = join(directory, 'root')
    fs.mkdirSync(join(root, 'usr/lib'), { recursive: true })
    fs.symlinkSync('usr/lib', join(root, 'lib'))
    const trees = {
      one: 'f /usr/bin/one "1"\nf /usr/bin/a* "star"\nf /lib/one.so "1"',
      two: 'f /usr/bin/two "2"\nf /usr/bin/.two "2"',
    }
    for (const [name, tree] of Object.entries(trees)) {
      const image = join(directory, name)
      fs.mkdirSync(image)
      writeTree(image, tree)
      await merge({ root, image, package: name, durability: 'none' })
    }
    await body(root)
  })
}

async function ask(root: string, ...names: string[]): Promise<string[]> {
  return (await owner({ root, names })).map(({ name, packages }) => `${name}: ${packages.join(' ')}`)
}

describe('owner()', () => {
  it('answers a pattern with every name that it matches, in byte order', () =>
    withPackages(async (root) => {
      assert.deepEqual(await ask(root, '/usr/bin/*'), [
        'usr/bin/.two: two',
        'usr/bin/a*: one',
        'usr/bin/one: one',
        'usr/bin/two: two',
      ])
      assert.deepEqual(await ask(root, '/usr/{bin,lib}/o*'), ['usr/bin/one: one', 'usr/lib/one.so: one'])
      assert.deepEqual(await ask(root, 'us?'), ['usr: one two'])
      assert.deepEqual(await ask(root, '**/nothing*'), ['**/nothing*: '])
    }))

  it('takes a name that is owned for itself, whatever characters it has', () =>
    withPackages(async (root) => {
      assert.deepEqual(await ask(root, 'usr/bin/a*'), ['usr/bin/a*: one'])
    }))

  it('follows symlinked directories', () =>
    withPackages(async (root) => {
      fs.symlinkSync('usr', join(root, 'also'))
      assert.deepEqual(await ask(root, 'also/bin/two', '/lib/one.so', 'usr/lib/one.so', 'also/lib/one.so'), [
        'also/bin/two: two',
        'lib/one.so: one',
        'usr/lib/one.so: one',
        'also/lib/one.so: one',
      ])
    }))

  it('takes a path as a shell or a person writes it', () =>
    withPackages(async (root) => {
      fs.mkdirSync(join(root, 'deep/down'), { recursive: true })
      fs.symlinkSync('deep/down', join(root, 'far'))
      const asked = ['/usr/', 'usr/bin/two/', './usr/bin//two', 'usr/./bin/two', 'usr/lib/../bin/two', '../usr/bin/two']
      assert.deepEqual(await ask(root, ...asked, 'far/../../usr/bin/two', 'far/../usr/bin/two'), [
        'usr: one two',
        ...asked.slice(1).map(() => 'usr/bin/two: two'),
        'usr/bin/two: two',
        'deep/usr/bin/two: ', // as chroot would find it: `..` of what the symlink leads to
      ])
    }))
})
