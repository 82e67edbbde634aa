// What others do to the root while a merge is committing: it is noticed, undone, and never lost.

import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { mergeImages } from '../../src/merge/engine.ts'
import { RootChangedError } from '../../src/merge/errors.ts'
import { type Kernel, linuxKernel, RENAME_EXCHANGE, SyscallError } from '../../src/sys/index.ts'
import { wrapKernel } from '../support/kernelDoubles.ts'
import { withDirectory } from '../support/scratch.ts'
import { differencesBetween, snapshot } from '../support/snapshot.ts'
import { writeTree } from '../support/tree.ts'
import { contextOf, mortal, recover } from './scenarios.ts'

interface Scene {
  readonly root: string
  readonly directory: string
  merge(kernel: Kernel, image: string): Promise<unknown>
}

async function withScene(
  images: Readonly<Record<string, string>>,
  body: (scene: Scene) => Promise<void>,
): Promise<void> {
  await withDirectory(async (directory) => {
    const root = join(directory, 'root')
    fs.mkdirSync(root)
    for (const [name, tree] of Object.entries(images)) {
      fs.mkdirSync(join(directory, name))
      writeTree(join(directory, name), tree)
    }
    const merge = (kernel: Kernel, image: string) =>
      mergeImages(contextOf(kernel), { root, image: join(directory, image), package: 'p', durability: 'none' })
    await body({ root, directory, merge })
  })
}

describe('a merge beside somebody else', () => {
  it('is undone when a file is saved between plan and commit, and the saved file is there', () =>
    withScene(
      { one: 'f /etc/file "1"\nf /etc/other "1"', two: 'f /etc/file "2"\nf /etc/other "2"' },
      async ({ root, merge }) => {
        await merge(linuxKernel(), 'one')
        let saved = false
        const kernel = wrapKernel(linuxKernel(), (call, args, proceed) => {
          if (call === 'renameat' && args[4] === RENAME_EXCHANGE && !saved) {
            saved = true
            fs.writeFileSync(join(root, 'etc/file'), 'by the admin')
          }
          return proceed(...args)
        })
        await assert.rejects(merge(kernel, 'two'), RootChangedError)
        assert.ok(saved)
        assert.equal(fs.readFileSync(join(root, 'etc/file'), 'utf8'), 'by the admin')
        assert.equal(fs.readFileSync(join(root, 'etc/other'), 'utf8'), '1')
        assert.deepEqual(fs.readdirSync(join(root, 'etc')).sort(), ['file', 'other'])
      },
    ))

  it('leaves a name to an object that somebody gave it since, when it is undone', () =>
    withScene({ one: 'f /etc/x "1"', two: 'f /etc/x "1"\nf /etc/a "2"\nf /etc/b "2"' }, async ({ root, merge }) => {
      await merge(linuxKernel(), 'one')
      let placed = 0
      const kernel = wrapKernel(linuxKernel(), (call, args, proceed) => {
        if (call === 'renameat' && ++placed === 2) throw new SyscallError('EIO', 'renameat2')
        const result = proceed(...args)
        if (call === 'renameat' && placed === 1) {
          fs.writeFileSync(join(root, 'theirs'), 'by the admin')
          fs.renameSync(join(root, 'theirs'), join(root, 'etc/a'))
        }
        return result
      })
      await assert.rejects(merge(kernel, 'two'), { code: 'EIO' })
      assert.deepEqual(fs.readdirSync(join(root, 'etc')).sort(), ['a', 'x'])
      assert.equal(fs.readFileSync(join(root, 'etc/a'), 'utf8'), 'by the admin')
    }))

  for (const recovering of [false, true]) {
    it(`keeps what others put into a new directory when it is undone${recovering ? ' by recovery' : ''}`, () =>
      withScene(
        { one: 'f /etc/x "1"', two: 'f /etc/x "1"\nf /opt/new/ours "2"\nf /usr/new "2"' },
        async ({ root, directory, merge }) => {
          await merge(linuxKernel(), 'one')
          const before = snapshot(root, { without: ['var'], directoryTimes: false })
          let placed = 0
          const process = mortal()
          const kernel = wrapKernel(process.kernel, (call, args, proceed) => {
            if (call === 'renameat' && ++placed === 2) throw new SyscallError('EIO', 'renameat2')
            if (recovering && placed >= 2) throw new Error('died')
            const result = proceed(...args)
            if (call === 'renameat' && placed === 1) interfere(root)
            return result
          })
          await assert.rejects(merge(kernel, 'two'))
          process.bury()
          if (recovering) recover(directory, linuxKernel(), true)
          const after = snapshot(root, { without: ['var'], directoryTimes: false })
          const left = differencesBetween(after, before).map((line) => line.split(':')[0])
          assert.deepEqual(left.sort(), ['opt', 'opt/new', 'opt/new/theirs'])
          assert.equal(fs.readFileSync(join(root, 'opt/new/theirs'), 'utf8'), 'by the admin')
        },
      ))
  }
})

/** Later than the commit marker by more than the kernel's clock lags. */
function interfere(root: string): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 30)
  fs.writeFileSync(join(root, 'opt/new/theirs'), 'by the admin')
}
