import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { MetadataLostError } from '../../src/movefile/index.ts'
import { type Kernel, linuxKernel, SyscallError } from '../../src/sys/index.ts'
import { mergeImages, unmergePackages, verifyPackages } from '../support/operations.ts'
import { withDirectory } from '../support/scratch.ts'
import { writeTree } from '../support/tree.ts'
import { contextOf } from './scenarios.ts'

/** A kernel whose file systems keep no attributes of users, other than the mark of a root. */
function withoutAttributes(): Kernel {
  const kernel = linuxKernel()
  return {
    ...kernel,
    setXattr(fd, name, value) {
      if (name.startsWith('user.') && name !== 'user.rootmerge') throw new SyscallError('EOPNOTSUPP', 'fsetxattr', name)
      kernel.setXattr(fd, name, value)
    },
  }
}

/** A kernel on which an object with the attribute `user.many` has more names than can be listed. */
function withUnlisted(): Kernel {
  const kernel = linuxKernel()
  return {
    ...kernel,
    listXattrs(fd) {
      const names = kernel.listXattrs(fd)
      if (names.includes('user.many')) throw new SyscallError('E2BIG', 'flistxattr')
      return names
    },
    listXattrsAt(directory, path) {
      const names = kernel.listXattrsAt(directory, path)
      return names?.includes('user.many') ? undefined : names
    },
  }
}

describe('metadata that cannot be kept', function () {
  this.timeout(30_000)

  it('since its names cannot be listed: is reported, differs, and stands in the way of nothing', () =>
    withDirectory(async (directory) => {
      const [root, image] = [join(directory, 'root'), join(directory, 'tree')]
      for (const path of [root, image]) fs.mkdirSync(path)
      writeTree(image, 'd /opt user.many="n"\nf /opt/file "x" user.many="n"\nl /opt/link -> file\nf /opt/plain "z"')
      const engine = contextOf(withUnlisted())
      const options = { root, image, package: 'p', durability: 'none' as const }
      await assert.rejects(async () => mergeImages(engine, options), MetadataLostError)
      const { lost } = await mergeImages(engine, { ...options, metadata: 'best-effort' })
      assert.deepEqual(lost, [{ what: 'xattr', code: 'E2BIG', names: ['opt/file', 'opt'] }])
      assert.deepEqual(await verifyPackages(engine, { root }), [])

      const again = await mergeImages(engine, { ...options, metadata: 'best-effort', keepUndo: 1, mode: 'move' })
      assert.deepEqual(again.lost, [{ what: 'xattr', code: 'E2BIG', names: ['opt/file'] }])
      execFileSync('setfattr', ['-n', 'user.many', '-v', 'n', join(root, 'opt/plain')])
      const [found] = await verifyPackages(engine, { root })
      assert.deepEqual([found?.name, found?.differences], ['opt/plain', ['xattrs']])
      await unmergePackages(engine, { root, packages: ['p'], durability: 'none', keepUndo: 1 })
      assert.ok(!fs.existsSync(join(root, 'opt')))
    }))

  const expected = [
    { what: 'xattr', attribute: 'user.note', code: 'EOPNOTSUPP', names: ['opt/directory', 'opt/file', 'opt/other'] },
    { what: 'xattr', attribute: 'user.more', code: 'EOPNOTSUPP', names: ['opt/other'] },
  ]

  /** A tree, or a tar of it. */
  const images: Readonly<Record<string, (tree: string) => string>> = {
    'a tree': (tree) => tree,
    'an archive': (tree) => {
      execFileSync('tar', ['--xattrs', '-C', tree, '-cf', `${tree}.tar`, '.'])
      return `${tree}.tar`
    },
  }
  for (const [what, make] of Object.entries(images)) {
    it(`of ${what}: is reported by what it is, with the names, or is an error`, () =>
      withDirectory(async (directory) => {
        const [root, tree] = [join(directory, 'root'), join(directory, 'tree')]
        for (const path of [root, tree]) fs.mkdirSync(path)
        const lines = ['d /opt/directory user.note="n"', 'f /opt/file "x" user.note="n"']
        writeTree(tree, [...lines, 'f /opt/other "y" user.note="n" user.more="m"', 'f /opt/plain "z"'].join('\n'))
        const options = { root, image: make(tree), package: 'p', durability: 'none' as const }
        await assert.rejects(
          async () => mergeImages(contextOf(withoutAttributes()), { ...options, metadata: 'require' }),
          MetadataLostError,
        )
        assert.ok(!fs.existsSync(join(root, 'opt')))
        const { lost } = await mergeImages(contextOf(withoutAttributes()), { ...options, metadata: 'best-effort' })
        const sorted = lost.map((each) => ({ ...each, names: [...each.names].sort() }))
        assert.deepEqual(
          sorted.sort((one, other) => other.names.length - one.names.length),
          expected,
        )
        const complete = await mergeImages(contextOf(linuxKernel()), { ...options, metadata: 'best-effort' })
        assert.deepEqual(complete.lost, [])
      }))
  }
})
