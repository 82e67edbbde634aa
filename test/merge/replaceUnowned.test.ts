import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { CollisionError, merge, recover, undo, unmerge, verify } from '../../src/merge/index.ts'
import { linuxKernel, SyscallError } from '../../src/sys/index.ts'
import { itOnEach } from '../support/filesystems.ts'
import { wrapKernel } from '../support/kernelDoubles.ts'
import { mergeImages } from '../support/operations.ts'
import { withDirectory } from '../support/scratch.ts'
import { differencesBetween, snapshot } from '../support/snapshot.ts'
import { writeTree } from '../support/tree.ts'
import { contextOf } from './scenarios.ts'

/** A root with an administrator's own objects, and an image that brings their names. */
function makeBench(directory: string) {
  const [root, image, next] = ['root', 'image', 'next'].map((name) => join(directory, name)) as [string, string, string]
  for (const path of [root, image, next]) fs.mkdirSync(path)
  writeTree(root, 'f 0600 /etc/file "the admin\'s" user.note="x"\nl /etc/link -> admin\np /etc/fifo\nf /etc/apart "a"')
  writeTree(image, 'f /etc/file "new"\nf /etc/link "new"\nf /etc/fifo "new"\nf /etc/other "new"')
  writeTree(next, 'f /etc/file "newer"\nf /etc/other "newer"')
  return { root, image, next, before: look(root) }
}

function look(root: string) {
  return snapshot(root, { without: ['var'], directoryTimes: false })
}

describe("merge() with collisions: 'replace-unowned'", function () {
  this.timeout(60_000)
  const collisions = 'replace-unowned' as const

  itOnEach('keeps what belonged to nobody, reports it, and unmerge gives it back', async (directory) => {
    const { root, image, before } = makeBench(directory)
    await assert.rejects(merge({ root, image, package: 'p' }), CollisionError)
    const { backedUp } = await merge({ root, image, package: 'p', collisions })
    assert.deepEqual([...backedUp].sort(), ['etc/fifo', 'etc/file', 'etc/link'])
    assert.equal(fs.readFileSync(join(root, 'etc/file'), 'utf8'), 'new')
    assert.deepEqual(await verify({ root }), [])
    const { restored } = await unmerge({ root, packages: ['p'] })
    assert.deepEqual([...restored].sort(), ['etc/fifo', 'etc/file', 'etc/link'])
    assert.deepEqual(differencesBetween(look(root), before), [])
  })

  it('gives back by an upgrade what its new version leaves free, and the rest by the unmerge', () =>
    withDirectory(async (directory) => {
      const { root, image, next, before } = makeBench(directory)
      await merge({ root, image, package: 'p', collisions })
      const { restored } = await merge({ root, image: next, package: 'p' })
      assert.deepEqual([...restored].sort(), ['etc/fifo', 'etc/link'])
      assert.equal(fs.readlinkSync(join(root, 'etc/link')), 'admin')
      assert.deepEqual((await unmerge({ root, packages: ['p'] })).restored, ['etc/file'])
      assert.deepEqual(differencesBetween(look(root), before), [])
    }))

  it('gives it back too when the name was emptied by hand, and keeps what another put there', () =>
    withDirectory(async (directory) => {
      const { root, image } = makeBench(directory)
      await merge({ root, image, package: 'p', collisions })
      fs.rmSync(join(root, 'etc/file'))
      fs.writeFileSync(join(root, 'etc/fifo'), 'edited since')
      const { restored, kept } = await unmerge({ root, packages: ['p'] })
      assert.deepEqual([...restored].sort(), ['etc/file', 'etc/link'])
      assert.ok(kept.some(({ name, reason }) => name === 'etc/fifo' && reason === 'edited'))
      assert.equal(fs.readFileSync(join(root, 'etc/file'), 'utf8'), "the admin's")
      assert.equal(fs.readFileSync(join(root, 'etc/fifo'), 'utf8'), 'edited since')
      const backups = join(root, 'var/lib/rootmerge/backups')
      assert.equal(fs.readdirSync(backups).length, 1, 'what could not be given back is still kept')
    }))

  it('goes on where a backup lost its manifest to a power cut', () =>
    withDirectory(async (directory) => {
      const { root, image } = makeBench(directory)
      await merge({ root, image, package: 'p', collisions })
      const backups = join(root, 'var/lib/rootmerge/backups')
      const [id = ''] = fs.readdirSync(backups)
      const manifest = join(backups, id, 'manifest')
      fs.writeFileSync(manifest, Buffer.alloc(fs.statSync(manifest).size))
      assert.deepEqual((await unmerge({ root, packages: ['p'] })).restored, [])
      assert.equal(fs.readdirSync(join(backups, id)).length, 4, 'what is kept stays')
    }))

  it('keeps it beside its name where the state has no room for it', () =>
    withDirectory(async (directory) => {
      const { root, image, before } = makeBench(directory)
      const full = wrapKernel(linuxKernel(), (call, args, proceed) => {
        if (call === 'renameat' && String(args[3]).includes('/.rootmerge-kept-')) throw new SyscallError('ENOSPC', call)
        return proceed(...args)
      })
      await mergeImages(contextOf(full), { root, image, package: 'p', collisions })
      assert.deepEqual((await recover({ root, scan: true })).scan?.removed, [])
      assert.equal((await unmerge({ root, packages: ['p'] })).restored.length, 3)
      assert.deepEqual(differencesBetween(look(root), before), [])
    }))

  for (const [title, meanwhile] of [
    ['', () => {}],
    [', also where its name was emptied by hand', (root: string) => fs.rmSync(join(root, 'etc/file'))],
  ] as const) {
    it(`keeps it once more when the unmerge that gave it back is undone${title}`, () =>
      withDirectory(async (directory) => {
        const { root, image, before } = makeBench(directory)
        await merge({ root, image, package: 'p', collisions, keepUndo: 3 })
        meanwhile(root)
        const merged = look(root)
        for (let time = 0; time < 2; time++) {
          await unmerge({ root, packages: ['p'], keepUndo: 3 })
          assert.deepEqual(differencesBetween(look(root), before), [])
          await undo({ root })
          assert.deepEqual(differencesBetween(look(root), merged), [])
        }
      }))
  }

  it('gives it back by undoing the merge, after an upgrade that had given it back was undone', () =>
    withDirectory(async (directory) => {
      const { root, image, next, before } = makeBench(directory)
      await merge({ root, image, package: 'p', collisions, keepUndo: 3 })
      assert.equal((await merge({ root, image: next, package: 'p', keepUndo: 3 })).restored.length, 2)
      await undo({ root })
      await undo({ root })
      assert.deepEqual(differencesBetween(look(root), before), [])
    }))

  it("never takes another package's name", () =>
    withDirectory(async (directory) => {
      const { root, image, next } = makeBench(directory)
      await merge({ root, image: next, package: 'q', collisions })
      await assert.rejects(merge({ root, image, package: 'p', collisions }), CollisionError)
    }))
})
