import assert from 'node:assert/strict'
import { readdirSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { removeAbandonedTrees, UnpackedTree } from '../../../src/merge/archive/unpackedTree.ts'
import { Root } from '../../../src/merge/root.ts'
import { AT_FDCWD, type Kernel, LOCK_EX, linuxKernel, O_RDONLY } from '../../../src/sys/index.ts'
import { wrapKernel } from '../../support/kernelDoubles.ts'
import { withDirectory } from '../../support/scratch.ts'

/** Something happens right before each of the first calls of a kind. */
function disturbed(call: 'openat' | 'flock', times: number, disturb: () => void): Kernel {
  let left = times
  return wrapKernel(linuxKernel(), (name, args, proceed) => {
    if (name === call && left-- > 0) disturb()
    return proceed(...args)
  })
}

describe('UnpackedTree', () => {
  const trees = (path: string) => readdirSync(path).filter((name) => name.startsWith('.rootmerge-unpacked-'))

  function withTree(path: string, kernel: Kernel, body: () => void): void {
    const root = new Root(linuxKernel(), path)
    const tree = new UnpackedTree(kernel, { root, name: '' })
    try {
      assert.equal(trees(path).length, 1)
      body()
    } finally {
      tree.root.close()
      tree.remove()
      root.close()
    }
    assert.deepEqual(trees(path), [])
  }

  it('is left alone by who looks for abandoned ones', () =>
    withDirectory((path) =>
      withTree(path, linuxKernel(), () => {
        const root = new Root(linuxKernel(), path)
        removeAbandonedTrees(linuxKernel(), root.directory(''))
        root.close()
        assert.equal(trees(path).length, 1)
      }),
    ))

  for (const [call, what] of [
    ['openat', 'opened'],
    ['flock', 'locked'],
  ] as const) {
    it(`is another one where the first was removed before it was ${what}`, () =>
      withDirectory((path) => {
        let removed = 0
        const remove = () => {
          for (const name of trees(path)) {
            rmdirSync(join(path, name))
            removed++
          }
        }
        withTree(path, disturbed(call, 3, remove), () => assert.equal(removed, 3))
      }))
  }

  it('is another one where somebody looks at the first just then', () =>
    withDirectory((path) => {
      const other = linuxKernel()
      const looking: number[] = []
      const look = () => {
        for (const name of trees(path)) {
          const fd = other.openat(AT_FDCWD, join(path, name), O_RDONLY)
          other.flock(fd, LOCK_EX)
          looking.push(fd)
        }
      }
      withTree(path, disturbed('flock', 1, look), () => assert.equal(looking.length, 1))
      for (const fd of looking) other.close(fd)
    }))

  it('gives up when every one is removed', () =>
    withDirectory((path) => {
      const remove = () => {
        for (const name of trees(path)) rmdirSync(join(path, name))
      }
      const root = new Root(linuxKernel(), path)
      assert.throws(() => new UnpackedTree(disturbed('flock', 1000, remove), { root, name: '' }), { code: 'ENOENT' })
      root.close()
      assert.deepEqual(trees(path), [])
    }))
})
