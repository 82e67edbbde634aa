import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { identityOf } from '../../src/merge/identity.ts'
import {
  type ErrnoName,
  type Kernel,
  linuxKernel,
  O_DIRECTORY,
  O_RDONLY,
  openPath,
  type Stat,
  SyscallError,
} from '../../src/sys/index.ts'
import { declining, wrapKernel } from '../support/kernelDoubles.ts'
import { withDirectory } from '../support/scratch.ts'

/** File systems without handles, and seccomp filters: each in its own words. */
const refusals: readonly ErrnoName[] = ['EOPNOTSUPP', 'EPERM', 'ENOSYS', 'EOVERFLOW', 'EINVAL']

const kernels: Readonly<Record<string, Kernel>> = {
  handles: linuxKernel(),
  ...Object.fromEntries(refusals.map((code) => [`no handles: ${code}`, declining(linuxKernel(), 'handleAt', code)])),
}

/** Runs a body with the identities of names in a directory; '' is the directory itself. */
function withNames(kernel: Kernel, body: (of: (name: string) => string | undefined, directory: string) => void) {
  return withDirectory((directory) => {
    const fd = openPath(linuxKernel(), directory, O_RDONLY | O_DIRECTORY)
    try {
      body((name) => identityOf(kernel, fd, name), directory)
    } finally {
      linuxKernel().close(fd)
    }
  })
}

describe('the identity of an object', () => {
  for (const [title, kernel] of Object.entries(kernels)) {
    it(`is its own under every name, and another's never: ${title}`, () =>
      withNames(kernel, (of, directory) => {
        fs.writeFileSync(join(directory, 'one'), '1')
        fs.writeFileSync(join(directory, 'two'), '1')
        const one = of('one')
        fs.renameSync(join(directory, 'one'), join(directory, 'renamed'))
        fs.linkSync(join(directory, 'renamed'), join(directory, 'linked'))
        assert.ok(one !== undefined && of('two') !== undefined && of('') !== undefined)
        assert.deepEqual([of('renamed'), of('linked')], [one, one])
        assert.equal(new Set([one, of('two'), of('')]).size, 3)
        assert.equal(of('one'), undefined)
      }))

    it(`is not that of a link's target: ${title}`, () =>
      withNames(kernel, (of, directory) => {
        fs.writeFileSync(join(directory, 'file'), '1')
        fs.symlinkSync('file', join(directory, 'link'))
        fs.symlinkSync('nowhere', join(directory, 'dangling'))
        assert.notEqual(of('link'), of('file'))
        assert.ok(of('dangling') !== undefined)
      }))
  }

  it('tells an object from the one whose inode number it has now', () =>
    withNames(declining(linuxKernel(), 'handleAt', 'EOPNOTSUPP'), (of, directory) => {
      const file = join(directory, 'file')
      for (let attempt = 0; attempt < 100; attempt++) {
        fs.writeFileSync(file, '1')
        const [before, number] = [of('file'), fs.statSync(file).ino]
        fs.rmSync(file)
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10) // birth times are as coarse as the clock tick
        fs.writeFileSync(file, '1')
        assert.notEqual(of('file'), before)
        if (fs.statSync(file).ino === number) return // as ext4 does at once
      }
    }))

  it('is the inode number where no birth time is known either', () =>
    withNames(
      wrapKernel(linuxKernel(), (call, args, proceed) => {
        if (call === 'handleAt') throw new SyscallError('EOPNOTSUPP', 'name_to_handle_at')
        const found = proceed(...args)
        return call === 'findat' || call === 'fstat' ? { ino: (found as Stat).ino, btimeNs: undefined } : found
      }),
      (of, directory) => {
        fs.writeFileSync(join(directory, 'file'), '1')
        assert.equal(of('file'), `${fs.statSync(join(directory, 'file')).ino}@unknown`)
        assert.equal(of(''), `${fs.statSync(directory).ino}@unknown`)
      },
    ))

  it('is not guessed when asking fails', () =>
    withNames(declining(linuxKernel(), 'handleAt', 'EIO'), (of, directory) => {
      fs.writeFileSync(join(directory, 'file'), '1')
      assert.throws(() => of('file'), { code: 'EIO' })
    }))
})
