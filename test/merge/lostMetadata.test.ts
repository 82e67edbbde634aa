import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { MetadataLostError } from '../../src/movefile/index.ts'
import { type Kernel, linuxKernel, SyscallError } from '../../src/sys/index.ts'
import { mergeImages } from '../support/operations.ts'
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

describe('metadata that cannot be kept', function () {
  this.timeout(30_000)
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
