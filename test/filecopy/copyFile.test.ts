import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { copyNamed } from '../../src/filecopy/copyFile.ts'
import { Copier, copyContents, copyFile, copyFileSync, SameFileError } from '../../src/filecopy/index.ts'
import {
  type ErrnoName,
  type Kernel,
  linuxKernel,
  retryInterrupted,
  SyscallError,
  toName,
} from '../../src/sys/index.ts'
import { itAsRoot } from '../support/asRoot.ts'
import { declining, failNth, interrupting, shortCounts, trackDescriptors } from '../support/kernelDoubles.ts'
import { assertSameBytes, dataOf, writeLayout } from '../support/layouts.ts'
import { withOverlay } from '../support/overlay.ts'
import { withDirectory } from '../support/scratch.ts'

/** Without reflink, also where the temporary directory has it. */
const kernel = declining(linuxKernel(), 'ficlone', 'EOPNOTSUPP')
const MiB = 1024 * 1024

const sparse = [
  { kind: 'data', length: 70_000 },
  { kind: 'hole', length: 200_000 },
  { kind: 'data', length: 5 },
] as const

/** The two ways of calling the engine by name. */
const ways = {
  copyFile,
  copyFileSync: async (...args: Parameters<typeof copyFileSync>) => copyFileSync(...args),
}

for (const [name, copy] of Object.entries(ways)) {
  describe(`${name}()`, () => {
    it('copies to a new name with the permission bits of the source, but no set-id bits', () =>
      withDirectory(async (directory) => {
        const [source, target] = [join(directory, 'source'), join(directory, 'target')]
        fs.writeFileSync(source, dataOf(100_000))
        fs.chmodSync(source, 0o4751)
        const report = await copy(source, target)
        assertSameBytes(fs.readFileSync(target), dataOf(100_000))
        assert.equal(fs.statSync(target).mode & 0o7777, 0o751 & ~process.umask())
        assert.equal(report.bytes, 100_000)
      }))

    it('takes names that are not UTF-8', () =>
      withDirectory(async (directory) => {
        const named = (bytes: number[]) => Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(bytes)])
        fs.writeFileSync(named([0xff, 0x20]), 'odd')
        await copy(named([0xff, 0x20]), named([0xfe]))
        assert.equal(fs.readFileSync(named([0xfe]), 'utf8'), 'odd')
      }))

    it('makes no file of a name that ends in a slash', () =>
      withDirectory(async (directory) => {
        const source = join(directory, 'source')
        fs.writeFileSync(source, 'x')
        fs.mkdirSync(join(directory, 'there'))
        for (const [from, to, code] of [
          ['source', 'new/', 'ENOTDIR'],
          ['source', 'source/', 'ENOTDIR'],
          ['source/', 'new', 'ENOTDIR'],
          ['source', 'there/', 'EISDIR'],
        ] as const)
          await assert.rejects(copy(`${directory}/${from}`, `${directory}/${to}`), { code })
        assert.deepEqual(fs.readdirSync(directory).sort(), ['source', 'there'])
      }))

    it('makes an existing target a copy, in place', () =>
      withDirectory(async (directory) => {
        const [source, target] = [join(directory, 'source'), join(directory, 'target')]
        fs.writeFileSync(source, 'new')
        fs.writeFileSync(target, dataOf(100_000))
        fs.symlinkSync('target', join(directory, 'link'))
        const { ino } = fs.statSync(target)
        await copy(source, join(directory, 'link'))
        assert.equal(fs.readFileSync(target, 'utf8'), 'new')
        assert.equal(fs.statSync(target).ino, ino)
      }))

    it('refuses an existing target when it is to be new', () =>
      withDirectory(async (directory) => {
        const [source, target] = [join(directory, 'source'), join(directory, 'target')]
        fs.writeFileSync(source, 'new')
        fs.writeFileSync(target, 'old')
        await assert.rejects(copy(source, target, { exclusive: true }), { code: 'EEXIST', path: target })
        assert.equal(fs.readFileSync(target, 'utf8'), 'old')
      }))

    it('refuses to copy a file over itself, by whatever name', () =>
      withDirectory(async (directory) => {
        const source = join(directory, 'source')
        fs.writeFileSync(source, 'precious')
        fs.linkSync(source, join(directory, 'link'))
        fs.symlinkSync('link', join(directory, 'symlink'))
        for (const other of ['source', 'link', 'symlink']) {
          await assert.rejects(copy(source, join(directory, other)), (error) => error instanceof SameFileError)
        }
        assert.equal(fs.readFileSync(source, 'utf8'), 'precious')
      }))

    itAsRoot('refuses to copy a file over itself that opening it for writing gives another inode number', () =>
      withOverlay('f /one "precious"\nh /two == /one', async (directory) => {
        const source = join(directory, 'one')
        await assert.rejects(copy(source, source), (error) => error instanceof SameFileError)
        assert.equal(fs.readFileSync(source, 'utf8'), 'precious')
      }),
    )

    it('names the file that is missing, and makes nothing', () =>
      withDirectory(async (directory) => {
        const target = join(directory, 'target')
        const missing = join(directory, 'missing')
        await assert.rejects(copy(missing, target), { code: 'ENOENT', syscall: 'openat', path: missing })
        assert.equal(fs.existsSync(target), false)
      }))

    it('makes nothing when the source is a directory', () =>
      withDirectory(async (directory) => {
        const target = join(directory, 'target')
        await assert.rejects(copy(directory, target), { code: 'ERR_ROOTMERGE_NOT_COPYABLE' })
        assert.equal(fs.existsSync(target), false)
      }))

    it('copies a range into a file that keeps the rest', () =>
      withDirectory(async (directory) => {
        const [source, target] = [join(directory, 'source'), join(directory, 'target')]
        fs.writeFileSync(source, '0123456789')
        fs.writeFileSync(target, 'abcdefghij')
        await copy(source, target, { range: { sourceOffset: 2, targetOffset: 4, length: 3 } })
        assert.equal(fs.readFileSync(target, 'utf8'), 'abcd234hij')
        const error = { code: 'ERR_ROOTMERGE_OUT_OF_BOUNDS', bytesWritten: 2 }
        await assert.rejects(copy(source, target, { range: { targetOffset: 8, window: 10 } }), error)
        assert.equal(fs.readFileSync(target, 'utf8'), 'abcd234h01')
      }))
  })
}

describe('copyFile()', () => {
  it('leaves the event loop free', () =>
    withDirectory(async (directory) => {
      const [source, target] = [join(directory, 'source'), join(directory, 'target')]
      fs.writeFileSync(source, dataOf(64 * MiB))
      let ticks = 0
      const timer = setInterval(() => ticks++, 1)
      for (let n = 0; n < 5; n++) await copyFile(source, target, { methods: ['read_write'] })
      clearInterval(timer)
      assert.ok(ticks >= 5, `${ticks} ticks`)
    }))

  it('tells how far it is', () =>
    withDirectory(async (directory) => {
      const [source, target] = [join(directory, 'source'), join(directory, 'target')]
      fs.writeFileSync(source, dataOf(128 * MiB))
      const seen: number[] = []
      await copyFile(source, target, { methods: ['read_write'], onProgress: (bytes) => seen.push(bytes) })
      assert.deepEqual(
        seen,
        [...seen].sort((a, b) => a - b),
      )
      assert.ok((seen.at(-1) ?? 0) <= 128 * MiB)
    }))

  it('copies between descriptors too', () =>
    withDirectory(async (directory) => {
      fs.writeFileSync(join(directory, 'source'), 'text')
      const [from, to] = [fs.openSync(join(directory, 'source'), 'r'), fs.openSync(join(directory, 'target'), 'w')]
      assert.equal((await copyContents(from, to)).bytes, 4)
      fs.closeSync(from)
      fs.closeSync(to)
      assert.equal(fs.readFileSync(join(directory, 'target'), 'utf8'), 'text')
    }))
})

describe('copyNamed()', () => {
  /** Copies a sparse file by name with every n-th call failing, and checks the law. @returns the call that was hit */
  function failAt(n: number, code: ErrnoName, machine: Kernel = kernel): string | undefined {
    return withDirectory((directory) => {
      const [source, target] = [join(directory, 'source'), join(directory, 'target')]
      const expected = writeLayout(kernel, source, sparse)
      const { kernel: tracked, open } = trackDescriptors(shortCounts(machine, 32 * 1024))
      const { kernel: failing, seen } = failNth(tracked, n, code)
      const retrying = retryInterrupted(failing)
      try {
        copyNamed(new Copier(retrying), retrying, [toName(source), toName(target)])
        assertSameBytes(fs.readFileSync(target), expected)
      } catch (error) {
        if (!(error instanceof SyscallError)) throw error
        assert.equal(error.code, code)
        assert.equal(error.syscall, seen.hit)
        assert.ok(!fs.existsSync(target), `something is left after ${code} from ${seen.hit}`)
      }
      assert.deepEqual([...open.values()], [])
      return seen.hit
    })
  }

  for (const code of ['EIO', 'ENOSPC', 'EINTR', 'EPERM', 'EOPNOTSUPP'] as const) {
    it(`copies rightly or leaves nothing, whichever call fails with ${code}`, () => {
      const hit = new Set<string>()
      let n = 1
      for (let call = failAt(n, code); call !== undefined; call = failAt(++n, code)) hit.add(call)
      assert.ok(n > 20, `only ${n} calls`)
      for (const call of ['openat', 'fstat', 'ficlone', 'copyFileRange', 'lseek', 'ftruncate', 'close']) {
        assert.ok(hit.has(call), `${call} was never hit`)
      }
    })
  }

  it('would not miss a name that is left behind (sabotage)', () => {
    const keeping: Kernel = { ...kernel, unlinkat: () => {} }
    const sweep = () => {
      for (let n = 1; failAt(n, 'ENOSPC', keeping) !== undefined; n++);
    }
    assert.throws(sweep, /something is left/)
  })

  it('changes nothing but the number of calls when every other one is interrupted', () =>
    withDirectory((directory) => {
      const [source, target] = [join(directory, 'source'), join(directory, 'target')]
      const expected = writeLayout(kernel, source, sparse)
      for (const methods of [undefined, ['copy_file_range'], ['sendfile'], ['read_write']] as const) {
        const seen = { count: 0 }
        const { kernel: tracked, open } = trackDescriptors(shortCounts(kernel, 5000))
        const interrupted = retryInterrupted(interrupting(tracked, 2), () => {}, seen)
        copyNamed(new Copier(interrupted), interrupted, [toName(source), toName(target)], methods ? { methods } : {})
        assertSameBytes(fs.readFileSync(target), expected)
        assert.ok(seen.count > 20)
        assert.equal(open.size, 0)
        fs.rmSync(target)
      }
    }))

  it('leaves alone what another has put under the name meanwhile', () =>
    withDirectory((directory) => {
      const [source, target] = [join(directory, 'source'), join(directory, 'target')]
      fs.writeFileSync(source, dataOf(100_000))
      const swapping = {
        ...kernel,
        copyFileRange(): number {
          fs.renameSync(target, join(directory, 'elsewhere'))
          fs.writeFileSync(target, "another's")
          throw new SyscallError('ENOSPC', 'copy_file_range')
        },
      }
      assert.throws(() => copyNamed(new Copier(swapping), swapping, [toName(source), toName(target)]), {
        code: 'ENOSPC',
      })
      assert.equal(fs.readFileSync(target, 'utf8'), "another's")
    }))
})
