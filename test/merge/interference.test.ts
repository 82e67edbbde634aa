// What others do to the root while a merge is committing: it is noticed, undone, and never lost.

import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { RootChangedError } from '../../src/merge/errors.ts'
import { type Kernel, linuxKernel, RENAME_EXCHANGE, SyscallError } from '../../src/sys/index.ts'
import { wrapKernel } from '../support/kernelDoubles.ts'
import { mergeImages } from '../support/operations.ts'
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

  it('is undone when the mode of a directory is changed between plan and commit, and that is its mode', () =>
    withScene({ one: 'f /etc/own/file "1"', two: 'd 0750 /etc/own\nf /etc/own/file "1"' }, async ({ root, merge }) => {
      await merge(linuxKernel(), 'one')
      const own = join(root, 'etc/own')
      const kernel = wrapKernel(linuxKernel(), (call, args, proceed) => {
        if (call === 'pwrite' && Buffer.from(args[1] as Uint8Array).includes('"commit"')) fs.chmodSync(own, 0o700)
        return proceed(...args)
      })
      await assert.rejects(merge(kernel, 'two'), RootChangedError)
      assert.equal(fs.statSync(own).mode & 0o7777, 0o700)
    }))

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

/** A kernel that does something beside the n-th rename of a merge, before or after it; and that may die or fail there. */
function beside(
  base: Kernel,
  at: number,
  acts: { before?: () => void; after?: () => void; fate?: 'dies' | 'fails' },
): Kernel {
  let renames = 0
  return wrapKernel(base, (call, args, proceed) => {
    if (renames > at && acts.fate === 'dies') throw new Error('died')
    if (call !== 'renameat') return proceed(...args)
    const isIt = ++renames === at
    if (isIt) acts.before?.()
    if (renames === at + 1 && acts.fate === 'fails') throw new SyscallError('EIO', 'renameat2')
    const result = proceed(...args)
    if (isIt) acts.after?.()
    if (isIt && acts.fate === 'dies') renames++
    return result
  })
}

describe('an undo beside somebody else', () => {
  const images = { one: 'f /etc/a "1"\nf /etc/b "1"', two: 'f /etc/a "2, longer"\nf /etc/b "2, longer"' }
  /** Saved as editors do: another object under the name. */
  const saveOver = (path: string) => () => {
    fs.writeFileSync(`${path}.new`, 'by the admin')
    fs.renameSync(`${path}.new`, path)
  }

  for (const recovering of [false, true]) {
    const how = recovering ? ' by recovery' : ''

    it(`keeps the old object aside when its name was given to another${how}, and tells of it`, () =>
      withScene(images, async ({ root, directory, merge }) => {
        await merge(linuxKernel(), 'one')
        const process = mortal()
        const fate = recovering ? 'dies' : 'fails'
        const kernel = beside(process.kernel, 1, { after: saveOver(join(root, 'etc/a')), fate })
        const error = await merge(kernel, 'two').then(
          () => assert.fail('it was not undone'),
          (thrown: { leftOvers?: readonly { name: string }[] }) => thrown,
        )
        process.bury()
        const { leftOvers } = recovering ? recover(directory, linuxKernel(), true) : error
        const kept = fs.readdirSync(join(root, 'etc')).filter((name) => name.startsWith('.rootmerge-kept-'))
        assert.equal(kept.length, 1)
        assert.deepEqual(
          leftOvers?.map(({ name }) => name),
          [`etc/${kept[0]}`],
        )
        assert.equal(fs.readFileSync(join(root, 'etc', kept[0] as string), 'utf8'), '1')
        assert.equal(fs.readFileSync(join(root, 'etc/a'), 'utf8'), 'by the admin')
        assert.equal(fs.readFileSync(join(root, 'etc/b'), 'utf8'), '1')
      }))

    it(`keeps a removed object aside when its name was given to another${how}`, () =>
      withScene({ one: 'f /etc/a "1"\nf /etc/b "1"', two: 'f /etc/c "2"' }, async ({ root, directory, merge }) => {
        await merge(linuxKernel(), 'one')
        const process = mortal()
        const fate = recovering ? 'dies' : 'fails'
        const write = () => fs.writeFileSync(join(root, 'etc/b'), 'by the admin')
        await assert.rejects(merge(beside(process.kernel, 2, { after: write, fate }), 'two'))
        process.bury()
        if (recovering) recover(directory, linuxKernel(), true)
        const names = fs.readdirSync(join(root, 'etc')).sort()
        assert.deepEqual(names.slice(1), ['a', 'b'])
        assert.match(names[0] ?? '', /^\.rootmerge-kept-/)
        assert.equal(fs.readFileSync(join(root, 'etc', names[0] as string), 'utf8'), '1')
        assert.equal(fs.readFileSync(join(root, 'etc/b'), 'utf8'), 'by the admin')
      }))

    it(`keeps what others put into an empty new directory, and what they made anew under a name of ours${how}`, () =>
      withScene(
        { one: 'f /etc/x "1"', two: 'f /etc/x "1"\nd /opt/empty\nf /opt/new/ours "2"\nf /usr/new "2"' },
        async ({ root, directory, merge }) => {
          await merge(linuxKernel(), 'one')
          const process = mortal()
          const interfere = () => {
            fs.writeFileSync(join(root, 'opt/empty/theirs'), 'by the admin')
            fs.unlinkSync(join(root, 'opt/new/ours')) // the next file may get its inode number at once
            fs.writeFileSync(join(root, 'opt/new/ours'), 'by the admin')
          }
          const kernel = beside(process.kernel, 1, { after: interfere, fate: recovering ? 'dies' : 'fails' })
          await assert.rejects(merge(kernel, 'two'))
          process.bury()
          if (recovering) recover(directory, linuxKernel(), true)
          for (const name of ['opt/empty/theirs', 'opt/new/ours']) {
            assert.equal(fs.readFileSync(join(root, name), 'utf8'), 'by the admin', name)
          }
          assert.equal(fs.existsSync(join(root, 'usr')), false)
        },
      ))
  }

  it('follows a crash when somebody saved meanwhile what would be displaced', () =>
    withScene(images, async ({ root, directory, merge }) => {
      await merge(linuxKernel(), 'one')
      const process = mortal()
      await assert.rejects(merge(beside(process.kernel, 1, { fate: 'dies' }), 'two'))
      process.bury()
      fs.writeFileSync(join(root, 'etc/b'), 'by the admin')
      const { action, leftOvers } = recover(directory)
      assert.equal(action, 'undo')
      assert.match(leftOvers[0]?.name ?? '', /etc\/b$/)
      assert.equal(fs.readFileSync(join(root, 'etc/a'), 'utf8'), '1')
      assert.equal(fs.readFileSync(join(root, 'etc/b'), 'utf8'), 'by the admin')
    }))

  for (const [when, at] of Object.entries({ 'before it is displaced': 1, 'after it was displaced': 2 })) {
    it(`keeps what somebody put into a directory ${when}`, () =>
      withScene(
        { one: 'f /etc/d/file "1"\nf /etc/z "1"', two: 'l /etc/d -> z\nf /etc/z "2, longer"' },
        async ({ root, directory, merge }) => {
          await merge(linuxKernel(), 'one')
          const process = mortal()
          const directoryFd = fs.openSync(join(root, 'etc/d'), 'r')
          const put = () => fs.writeFileSync(`/proc/self/fd/${directoryFd}/theirs`, 'by the admin')
          const isBefore = at === 1
          const kernel = beside(process.kernel, at, isBefore ? { before: put } : { after: put, fate: 'dies' })
          await (isBefore
            ? assert.rejects(merge(kernel, 'two'), RootChangedError)
            : assert.rejects(merge(kernel, 'two')))
          process.bury()
          if (!isBefore) recover(directory)
          assert.equal(fs.readFileSync(`/proc/self/fd/${directoryFd}/theirs`, 'utf8'), 'by the admin')
          fs.closeSync(directoryFd)
          assert.equal(fs.readFileSync(join(root, 'etc/d/file'), 'utf8'), '1')
        },
      ))
  }

  it('goes on without a directory that somebody removed after the crash', () =>
    withScene({ one: 'f /etc/x "1"', two: 'f /etc/x "1"\nf /etc/sub/y "2"\nf /opt/z "2"' }, async (scene) => {
      const { root, directory, merge } = scene
      fs.mkdirSync(join(root, 'opt'))
      await merge(linuxKernel(), 'one')
      const process = mortal()
      await assert.rejects(merge(beside(process.kernel, 1, { fate: 'dies' }), 'two'))
      process.bury()
      fs.rmSync(join(root, 'opt'), { recursive: true })
      assert.equal(recover(directory, linuxKernel(), true).action, 'undo')
      assert.deepEqual(fs.readdirSync(join(root, 'etc')), ['x'])
      assert.equal(recover(directory).action, 'nothing')
    }))
})
