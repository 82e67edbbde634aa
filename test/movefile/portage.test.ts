// What is known to be wrong with Portage's movefile and file copy, by the number of the probe or bug that showed it.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { isStagingName, type MoveReport, metadataPolicy } from '../../src/movefile/index.ts'
import { type Kernel, O_CREAT, SyscallError } from '../../src/sys/index.ts'
import { compareTrees } from '../support/compareTrees.ts'
import { recording, wrapKernel } from '../support/kernelDoubles.ts'
import { type Scene, withScene } from '../support/twoFileSystems.ts'

const isRoot = process.getuid?.() === 0
const attributesOf = (path: string) =>
  execFileSync('getfattr', ['-h', '-d', '-m', '-', '--absolute-names', path], { encoding: 'utf8' })
const namesIn = (directory: string) => fs.readdirSync(directory).sort()

function rootOnly(title: string, body: () => Promise<void>): void {
  it(title, function () {
    if (!isRoot) {
      process.stderr.write('      needs root: owners, capabilities, mounts\n')
      this.skip()
    }
    return body()
  })
}

const bothWays = { 'by rename': true, 'by copy': false } as const

describe("Portage's defects in moving", () => {
  for (const [way, sameFileSystem] of Object.entries(bothWays)) {
    it(`M1, U6: a symlink into the image points to the installed path, ${way}`, () =>
      withScene({ source: 'l /one -> /img/usr/x\nl /two -> /image/y\nl /three -> /img', sameFileSystem }, (scene) => {
        const mover = scene.mover({ imagePrefix: '/img/' })
        for (const name of ['one', 'two', 'three']) mover.move(scene.source(name), scene.target(name))
        assert.deepEqual(
          ['one', 'two', 'three'].map((name) => fs.readlinkSync(join(scene.to, name))),
          ['/usr/x', '/image/y', '/'],
        )
        assert.deepEqual(namesIn(scene.from), [])
      }))

    it(`M1: inside a directory too, ${way}`, () =>
      withScene({ source: 'l /tree/sub/one -> /img/usr/x', sameFileSystem }, (scene) => {
        scene.mover({ imagePrefix: '/img' }).move(scene.source('tree'), scene.target('tree'))
        assert.equal(fs.readlinkSync(join(scene.to, 'tree/sub/one')), '/usr/x')
        assert.deepEqual(namesIn(scene.from), [])
      }))

    it(`M18: the exclude list holds, ${way}, for members of a directory too`, () =>
      withScene(
        {
          source:
            'f /file "x" user.xdg.origin="web" user.note="kept"\nf /tree/file "x" user.xdg.origin="web" user.note="kept"',
          sameFileSystem,
        },
        (scene) => {
          for (const name of ['file', 'tree']) scene.mover().move(scene.source(name), scene.target(name))
          for (const name of ['file', 'tree/file']) {
            assert.match(attributesOf(join(scene.to, name)), /user\.note="kept"/)
            assert.doesNotMatch(attributesOf(join(scene.to, name)), /xdg/)
          }
        },
      ))

    it(`M23: a symlink at the target is there until it is replaced, and stays when the move fails, ${way}`, () =>
      withScene({ source: 'f /file "new"', target: 'l /file -> old', sameFileSystem }, (scene) => {
        const failing = (kernel: Kernel): Kernel => ({
          ...kernel,
          renameat(...args) {
            if (sameFileSystem || isStagingName(args[1])) throw new SyscallError('EIO', 'renameat2')
            kernel.renameat(...args)
          },
        })
        assert.throws(() => scene.mover({}, failing).move(scene.source('file'), scene.target('file')), { code: 'EIO' })
        assert.equal(fs.readlinkSync(join(scene.to, 'file')), 'old')
        assert.deepEqual(namesIn(scene.to), ['file'])
        assert.equal(fs.readFileSync(join(scene.from, 'file'), 'utf8'), 'new')
      }))

    it(`the target never shows another time than the new one, ${way}, and keeps the source's atime`, () =>
      withScene({ source: 'f /file "new" mtime=1000\nl /link -> x', sameFileSystem }, (scene) => {
        const seen = new Set<bigint>()
        const watching = (kernel: Kernel) =>
          wrapKernel(kernel, (_, args, proceed) => {
            const result = proceed(...args)
            const stat = fs.lstatSync(join(scene.to, 'file'), { bigint: true, throwIfNoEntry: false })
            if (stat !== undefined) seen.add(stat.mtimeNs)
            return result
          })
        const { atimeNs } = fs.lstatSync(join(scene.from, 'file'), { bigint: true })
        const mover = scene.mover({}, watching)
        const report = mover.move(scene.source('file'), scene.target('file'), { newMtimeNs: 5_000_000_007n })
        assert.deepEqual([...seen], [5_000_000_007n])
        assert.equal(report.mtimeNs, 5_000_000_007n)
        assert.equal(fs.lstatSync(join(scene.to, 'file'), { bigint: true }).atimeNs, atimeNs)
        mover.move(scene.source('link'), scene.target('link'), { newMtimeNs: 7n }) // Portage ignores it for symlinks
        assert.equal(fs.lstatSync(join(scene.to, 'link'), { bigint: true }).mtimeNs, 7n)
      }))

    it(`M4: names of 255 bytes move, ${way}, hard links too`, () =>
      withScene({ source: `f /${'a'.repeat(255)} "x"\nf /${'b'.repeat(255)} "x"`, sameFileSystem }, (scene) => {
        const [one, two] = ['a'.repeat(255), 'b'.repeat(255)]
        scene.mover().move(scene.source(one), scene.target(one))
        const options = { hardlinkCandidates: [scene.target(one)] }
        assert.equal(scene.mover().move(scene.source(two), scene.target(two), options).method, 'link')
        assert.deepEqual(namesIn(scene.to), [one, two])
        assert.deepEqual(namesIn(scene.from), [])
      }))

    it(`M6: a symlink over a directory is the kernel's EISDIR, ${way}`, () =>
      withScene({ source: 'l /link -> x', target: 'd /link', sameFileSystem }, (scene) => {
        assert.throws(() => scene.mover().move(scene.source('link'), scene.target('link')), {
          code: 'EISDIR',
          path: join(scene.from, 'link'),
          dest: join(scene.to, 'link'),
        })
      }))

    rootOnly(`M17, V4, D12, bug 649418: capabilities and ACLs are kept, ${way}, directories' too`, () =>
      withScene(
        {
          source: 'f 4711 5:6 /tree/ping "x" cap=cap_net_raw+ep acl=u:bin:r\nd 0750 /tree user.note="x" acl=d:u:bin:rx',
          sameFileSystem,
        },
        (scene) => {
          execFileSync('cp', ['-a', join(scene.from, 'tree'), join(scene.from, 'kept')])
          scene.mover().move(scene.source('tree'), scene.target('tree'))
          assert.deepEqual(compareTrees(join(scene.to, 'tree'), join(scene.from, 'kept')), [])
        },
      ),
    )
  }

  it('M2: a file that is called like a staging name is not touched', () =>
    withScene({ source: 'f /file "new"', target: 'f /file#new "mine"\nf /.file#new "mine"' }, (scene) => {
      scene.mover().move(scene.source('file'), scene.target('file'))
      assert.deepEqual(namesIn(scene.to), ['.file#new', 'file', 'file#new'])
      assert.equal(fs.readFileSync(join(scene.to, 'file#new'), 'utf8'), 'mine')
    }))

  it('M7: a target that has no room for an attribute is named with its own reason', () =>
    withScene({ source: 'f /file "x" user.large="large"' }, (scene) => {
      const full = (kernel: Kernel): Kernel => ({
        ...kernel,
        setXattr() {
          throw new SyscallError('ENOSPC', 'fsetxattr')
        },
      })
      const move = (metadata: 'require' | 'best-effort'): MoveReport =>
        scene.mover({ policy: metadataPolicy({ metadata }) }, full).move(scene.source('file'), scene.target('file'))
      assert.throws(() => move('require'), {
        code: 'ERR_ROOTMERGE_METADATA_LOST',
        message: /attribute user\.large \(ENOSPC: no space left on device, fsetxattr\)/,
        hint: /best-effort/,
      })
      assert.deepEqual(namesIn(scene.to), [])
      assert.deepEqual(
        move('best-effort').lost.map(({ what, attribute, code }) => [what, attribute, code]),
        [['xattr', 'user.large', 'ENOSPC']],
      )
    }))

  it('M8, bug 745588: a full disk is said at once, nothing is left, and the old target stays', () =>
    withScene({ source: 'f /file random:200K', target: 'f /file "old"' }, (scene) => {
      let attempts = 0
      const full = (kernel: Kernel) =>
        wrapKernel(kernel, (call, args, proceed) => {
          if (!['pwrite', 'copyFileRange', 'sendfile'].includes(call)) return proceed(...args)
          attempts++
          throw new SyscallError('ENOSPC', call)
        })
      assert.throws(() => scene.mover({}, full).move(scene.source('file'), scene.target('file')), { code: 'ENOSPC' })
      assert.equal(attempts, 1)
      assert.deepEqual(namesIn(scene.to), ['file'])
      assert.equal(fs.readFileSync(join(scene.to, 'file'), 'utf8'), 'old')
    }))

  it('M8: an error names the target also while the new file has no name at all', () =>
    withScene({ source: 'f /file "new"' }, (scene) => {
      const full = (kernel: Kernel): Kernel => ({
        ...kernel,
        // With the path that the real kernel's errors have: what /proc says of the descriptor.
        pwrite(fd) {
          throw new SyscallError('ENOSPC', 'pwrite64', fs.readlinkSync(`/proc/self/fd/${fd}`))
        },
      })
      const path = join(scene.to, 'file')
      assert.throws(() => scene.mover({}, full).move(scene.source('file'), scene.target('file')), {
        code: 'ENOSPC',
        path,
        message: `ENOSPC: no space left on device, pwrite64 '${path}'`,
      })
      assert.deepEqual(namesIn(scene.to), [])
    }))

  it('M8: an error names the new file also when closing it is what fails', () =>
    withScene({ source: 'f /file "new"', target: 'f /file "old"' }, (scene) => {
      const created = new Set<number>()
      const losing = (kernel: Kernel): Kernel => ({
        ...kernel,
        openat(directory, path, flags, mode) {
          const fd = kernel.openat(directory, path, flags, mode)
          if ((flags & O_CREAT) !== 0) created.add(fd)
          return fd
        },
        close(fd) {
          kernel.close(fd)
          if (created.delete(fd)) throw new SyscallError('EDQUOT', 'close')
        },
      })
      assert.throws(
        () => scene.mover({}, losing).move(scene.source('file'), scene.target('file')),
        (error: SyscallError) => {
          assert.equal(error.code, 'EDQUOT')
          assert.ok(error.path?.startsWith(join(scene.to, '.rootmerge-')), error.message)
          return error.message.endsWith(`close '${error.path}'`)
        },
      )
      assert.equal(fs.readFileSync(join(scene.to, 'file'), 'utf8'), 'old')
      assert.deepEqual(namesIn(scene.to), ['file'])
    }))

  it('M10: no temporary name stays when the target already is the candidate', () =>
    withScene({ source: 'f /file "x" user.note="same"', target: 'f /first "x"\nh /file == /first' }, (scene) => {
      const options = { hardlinkCandidates: [scene.target('first')] }
      assert.equal(scene.mover().move(scene.source('file'), scene.target('file'), options).method, 'link')
      assert.deepEqual(namesIn(scene.to), ['file', 'first'])
      assert.deepEqual(namesIn(scene.from), [])
    }))

  it('M13: a missing directory is an ENOENT that names it', async () => {
    const { moveFile } = await import('../../src/movefile/index.ts')
    await assert.rejects(moveFile('/no/such/source', '/no/such/target'), { code: 'ENOENT', path: '/no/such/' })
  })

  it('the errno is never lost: the call, both paths and the reason are in the error', () =>
    withScene({ source: 'f /file "x"', target: 'd /file' }, (scene) => {
      assert.throws(() => scene.mover().move(scene.source('file'), scene.target('file')), {
        name: 'SyscallError',
        code: 'EISDIR',
        syscall: 'renameat2',
      })
    }))

  rootOnly('M24: a target that something is mounted on is named as that', () =>
    withScene({ source: 'f /file "x"\nf /other "y"', target: 'f /file "mounted on"\nf /below "z"' }, (scene) => {
      const [point, below] = [join(scene.to, 'file'), join(scene.to, 'below')]
      execFileSync('mount', ['--bind', below, point])
      try {
        assert.throws(() => scene.mover().move(scene.source('file'), scene.target('file')), {
          code: 'ERR_ROOTMERGE_MOUNT_POINT',
          message: `'${point}' is a mount point`,
        })
        assert.deepEqual(namesIn(scene.to), ['below', 'file'])
      } finally {
        execFileSync('umount', [point])
      }
    }),
  )

  it('C8: a file that is moved or copied to itself keeps its bytes', () =>
    withScene({ source: 'f /file "x"\nh /link == /file', sameFileSystem: true }, (scene) => {
      const { mover, source } = scene
      assert.throws(() => mover().move(source('file'), source('file')), { code: 'ERR_ROOTMERGE_SAME_FILE' })
      assert.throws(() => mover().copy(source('file'), source('link')), { code: 'ERR_ROOTMERGE_SAME_FILE' })
      assert.equal(fs.readFileSync(join(scene.from, 'file'), 'utf8'), 'x')
    }))

  for (const [what, size] of [
    ['C1: shrinks', 10],
    ['2.3.5: grows', 400_000],
  ] as const) {
    it(`${what} while it is copied: the move is refused and the target stays`, () =>
      withScene({ source: 'f /file random:200K', target: 'f /file "old"' }, (scene) => {
        let done = false
        const changing = (kernel: Kernel) =>
          wrapKernel(kernel, (call, args, proceed) => {
            if (['pread', 'copyFileRange', 'sendfile'].includes(call) && !done) {
              done = true
              fs.truncateSync(join(scene.from, 'file'), size)
            }
            return proceed(...args)
          })
        assert.throws(() => scene.mover({}, changing).move(scene.source('file'), scene.target('file')), {
          code: 'ERR_ROOTMERGE_SOURCE_CHANGED',
          message: new RegExp(`'${join(scene.from, 'file')}' changed`),
        })
        assert.deepEqual(namesIn(scene.to), ['file'])
        assert.equal(fs.statSync(join(scene.from, 'file')).size, size)
      }))
  }

  for (const [target, naming] of [
    ['', 'linkat'],
    ['f /file "old"', 'renameat'],
  ] as const) {
    it(`durability: the copy is on disk before its name (${naming}), its name before the source goes`, () =>
      withScene({ source: 'f /file "x"', target }, (scene) => {
        const { kernel, calls } = recording(scene.kernel)
        scene.mover({}, () => kernel).move(scene.source('file'), scene.target('file'), { durability: 'file' })
        const ordered = ['fsync', 'renameat', 'linkat', 'unlinkat']
        const order = calls.map(({ call }) => call).filter((call) => ordered.includes(call))
        assert.deepEqual(order, ['renameat', 'fsync', naming, 'fsync', 'unlinkat', 'fsync'])
      }))
  }

  it('a source that cannot be removed is reported as that', () =>
    withScene({ source: 'f /file "x"' }, (scene: Scene) => {
      const failing = (kernel: Kernel): Kernel => ({
        ...kernel,
        unlinkat() {
          throw new SyscallError('EACCES', 'unlinkat')
        },
      })
      assert.throws(() => scene.mover({}, failing).move(scene.source('file'), scene.target('file')), {
        code: 'ERR_ROOTMERGE_SOURCE_NOT_REMOVED',
        message: /is in place, but .* could not be removed: EACCES/,
      })
      assert.equal(fs.readFileSync(join(scene.to, 'file'), 'utf8'), 'x')
    }))
})
