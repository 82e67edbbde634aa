import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { FileMaker } from '../../../src/merge/archive/fileMaker.ts'
import { Root } from '../../../src/merge/root.ts'
import { metadataPolicy } from '../../../src/movefile/index.ts'
import { linuxKernel, O_RDONLY, openPath, toName } from '../../../src/sys/index.ts'
import { isRoot } from '../../support/asRoot.ts'
import { recording } from '../../support/kernelDoubles.ts'
import { asUser, nobody } from '../../support/ordinaryUser.ts'
import { withDirectory } from '../../support/scratch.ts'

describe('FileMaker', () => {
  it("makes an ordinary user's read-only file with its attributes", () =>
    withDirectory((directory) => {
      if (isRoot) fs.chownSync(directory, nobody, nobody)
      const kernel = linuxKernel()
      const value = Buffer.from('kept')
      asUser(() => {
        const tree = new Root(kernel, toName(directory))
        const maker = new FileMaker({ kernel, tree, policy: metadataPolicy(), digests: false, image: 'image' })
        const facts = { path: 'file', uid: 0, gid: 0, mode: 0o444, mtimeNs: 1n, size: 0 }
        maker.make('file', { ...facts, xattrs: [{ name: 'user.note', value }] }, () => {})
        tree.close()
      })
      const fd = openPath(kernel, toName(join(directory, 'file')), O_RDONLY)
      assert.deepEqual(kernel.getXattr(fd, 'user.note'), value)
      assert.equal(kernel.fstat(fd).mode, 0o444)
      kernel.close(fd)
    }))

  it('makes a read-only file without setting its mode', () =>
    withDirectory((directory) => {
      const { kernel, calls } = recording(linuxKernel())
      const tree = new Root(kernel, toName(directory))
      const maker = new FileMaker({ kernel, tree, policy: metadataPolicy(), digests: false, image: 'image' })
      const { uid, gid } = fs.statSync(directory)
      maker.make('file', { path: 'file', uid, gid, mode: 0o444, mtimeNs: 1n, size: 0, xattrs: [] }, () => {})
      tree.close()
      assert.equal(fs.statSync(join(directory, 'file')).mode & 0o7777, 0o444)
      assert.ok(!calls.some(({ call }) => call === 'fchmod'))
    }))
})
