// What the kernel refuses, and what is done then.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { Mover, metadataPolicy } from '../../src/movefile/index.ts'
import {
  FS_NOCOW_FL,
  type Kernel,
  O_DIRECTORY,
  O_RDONLY,
  O_TMPFILE,
  openKernel,
  openPath,
  SyscallError,
  toName,
} from '../../src/sys/index.ts'
import { compareTrees } from '../support/compareTrees.ts'
import { fileSystems } from '../support/filesystems.ts'
import { trackDescriptors } from '../support/kernelDoubles.ts'
import { withDirectory } from '../support/scratch.ts'
import { type Scene, withScene } from '../support/twoFileSystems.ts'

const isRoot = process.getuid?.() === 0

/** A file system that knows no flags of renameat2, as NFS. */
const withoutFlags = (kernel: Kernel): Kernel => ({
  ...kernel,
  renameat(from, fromName, to, toName, flags = 0) {
    if (flags !== 0) throw new SyscallError('EINVAL', 'renameat2')
    kernel.renameat(from, fromName, to, toName)
  },
})

/** A kernel that renames nothing from one of these names to another directory, as with project quotas. */
const apart = (kernel: Kernel): Kernel => ({
  ...kernel,
  renameat(from, fromName, to, toName, flags) {
    if (from !== to) throw new SyscallError('EXDEV', 'renameat2')
    kernel.renameat(from, fromName, to, toName, flags)
  },
})

/** Kernels on which a file without a name cannot be made, or not be named as it is here. */
const withoutUnnamed: Readonly<Record<string, (kernel: Kernel) => Kernel>> = {
  'makes no file without a name (NFS)': (kernel) => ({
    ...kernel,
    openat(directory, name, flags, mode) {
      if ((flags & O_TMPFILE) === O_TMPFILE) throw new SyscallError('EOPNOTSUPP', 'openat')
      return kernel.openat(directory, name, flags, mode)
    },
  }),
  'has no links (a FAT)': (kernel) => ({
    ...kernel,
    linkat() {
      throw new SyscallError('EPERM', 'linkat')
    },
  }),
  'links no descriptors (an ordinary user before Linux 6.10)': (kernel) => ({
    ...kernel,
    linkat(from, fromName, to, toName, flags) {
      if (fromName === '') throw new SyscallError('ENOENT', 'linkat')
      kernel.linkat(from, fromName, to, toName, flags)
    },
  }),
}

describe('Mover.move() where the kernel refuses', () => {
  it('copies nodes without attributes where /proc is missing, which is needed for O_PATH', () => {
    const source = `p 0640 /fifo\ns 0600 /socket${isRoot ? '\nc 0666 /null 1:3' : ''}`
    return withScene({ source }, (scene) => {
      const kernel: Kernel = {
        ...scene.kernel,
        listXattrsAt: (_, name) => (name === '' ? undefined : []),
        listXattrs(fd) {
          if (!['file', 'directory'].includes(scene.kernel.fstat(fd).type))
            throw new SyscallError('ENOENT', 'listxattr')
          return scene.kernel.listXattrs(fd)
        },
      }
      const mover = new Mover(kernel)
      const names = fs.readdirSync(scene.from)
      for (const name of names) mover.copy(scene.source(name), scene.target(name))
      assert.deepEqual(compareTrees(scene.to, scene.from, { ignoreTop: true }), [])
    })
  })

  for (const [what, spoilt] of Object.entries(withoutUnnamed)) {
    it(`moves to a free name where the file system ${what}`, () =>
      withScene({ source: 'f 0640 /one "x"\nf 0600 /two "y"' }, (scene) => {
        const mover = scene.mover({}, spoilt)
        for (const name of ['one', 'two']) mover.move(scene.source(name), scene.target(name), { noReplace: true })
        assert.deepEqual(fs.readdirSync(scene.from), [])
        assert.deepEqual(fs.readdirSync(scene.to).sort(), ['one', 'two'])
        assert.equal(fs.readFileSync(join(scene.to, 'one'), 'utf8'), 'x')
        assert.equal(fs.lstatSync(join(scene.to, 'one')).mode & 0o7777, 0o640)
      }))
  }

  it('copies when one file system answers EXDEV (project quotas, bind mounts), and remembers it for files', () =>
    withScene({ source: 'f /one "x"\nf /two "y"\nf /tree/a "z"', sameFileSystem: true }, (scene) => {
      let asked = 0
      const counting = (kernel: Kernel): Kernel => ({
        ...apart(kernel),
        renameat(...args) {
          if (args[0] !== args[2]) asked++
          apart(kernel).renameat(...args)
        },
      })
      const mover = scene.mover({}, counting)
      for (const name of ['one', 'two', 'tree']) {
        assert.equal(mover.move(scene.source(name), scene.target(name)).method, 'copy')
      }
      assert.equal(asked, 2) // once for the files, once for the directory
      assert.deepEqual(fs.readdirSync(scene.from), [])
      assert.deepEqual(fs.readdirSync(scene.to).sort(), ['one', 'tree', 'two'])
    }))

  for (const sameFileSystem of [true, false]) {
    it(`keeps noReplace where renameat2 has no flags, ${sameFileSystem ? 'renaming' : 'copying'}`, () =>
      withScene({ source: 'f /file "new"\nl /link -> x', target: 'f /taken "old"', sameFileSystem }, (scene) => {
        const mover = scene.mover({}, withoutFlags)
        const move = (from: string, to: string) => mover.move(scene.source(from), scene.target(to), { noReplace: true })
        assert.throws(() => move('file', 'taken'), { code: 'EEXIST' })
        move('file', 'file')
        move('link', 'link')
        assert.deepEqual(fs.readdirSync(scene.to).sort(), ['file', 'link', 'taken'])
        assert.equal(fs.readFileSync(join(scene.to, 'taken'), 'utf8'), 'old')
        assert.deepEqual(fs.readdirSync(scene.from), [])
      }))
  }

  it('copies when a candidate has as many links as it can have', () =>
    withScene({ source: 'f /file "x"', target: 'f /first "x"' }, (scene) => {
      const full = (kernel: Kernel): Kernel => ({
        ...kernel,
        linkat() {
          throw new SyscallError('EMLINK', 'linkat')
        },
      })
      const options = { hardlinkCandidates: [scene.target('first'), scene.target('absent')] }
      const report = scene.mover({}, full).move(scene.source('file'), scene.target('file'), options)
      assert.equal(report.method, 'copy')
      assert.deepEqual(
        report.lost.map(({ what, code }) => [what, code]),
        [['links', 'EMLINK']],
      )
    }))

  it('leaves nothing of a tree, however few descriptors there are', () =>
    withScene({ source: 'f /tree/a/b/c/file "x"\nf /tree/a/file "x"' }, (scene) => {
      const refused = []
      for (let most = 0; !fs.existsSync(join(scene.to, 'tree')); most++) {
        const { kernel, open } = trackDescriptors(scene.kernel)
        const openat: Kernel['openat'] = (...args) => {
          if (open.size >= most) throw new SyscallError('EMFILE', 'openat')
          return kernel.openat(...args)
        }
        try {
          scene.mover({}, () => ({ ...kernel, openat })).copy(scene.source('tree'), scene.target('tree'))
        } catch (error) {
          refused.push((error as SyscallError).code)
          assert.deepEqual(fs.readdirSync(scene.to), [], `left with ${most} descriptors`)
        }
      }
      assert.ok(refused.length > 5 && refused.every((code) => code === 'EMFILE'))
    }))

  it('stages nothing in an append-only directory, where it could not be renamed or removed', async function () {
    const ext4 = fileSystems().find(({ name }) => name === 'ext4')
    if (ext4 === undefined) {
      process.stderr.write('      needs root: ext4, for an append-only directory\n')
      this.skip()
    }
    // From the scene's other file system to a further directory on ext4.
    await withScene({ source: '', target: 'f /file "x"\nf /taken "new"\nl /link -> x\nd /tree' }, (scene) =>
      withDirectory((target) => {
        for (const name of ['taken', 'candidate']) fs.writeFileSync(join(target, name), 'old')
        execFileSync('chattr', ['+a', target])
        const directory = openPath(scene.kernel, toName(target), O_RDONLY | O_DIRECTORY)
        try {
          const hardlinkCandidates = [{ directory, name: 'candidate' }]
          const move = (name: string) =>
            scene.mover().move(scene.target(name), { directory, name }, { hardlinkCandidates })
          for (const name of ['taken', 'link', 'tree']) assert.throws(() => move(name), { code: 'EPERM' })
          assert.equal(move('file').method, 'copy')
          assert.deepEqual(fs.readdirSync(target).sort(), ['candidate', 'file', 'taken'])
        } finally {
          scene.kernel.close(directory)
          execFileSync('chattr', ['-a', target])
        }
      }, ext4.directory()),
    )
  })

  it('copies what it may not change in place, so that the result is the same', () =>
    withScene({ source: 'f /file "x" user.xdg.origin="web"', sameFileSystem: true }, (scene) => {
      const refusing = (kernel: Kernel): Kernel => ({
        ...kernel,
        removeXattr() {
          throw new SyscallError('EACCES', 'fremovexattr')
        },
      })
      assert.equal(scene.mover({}, refusing).move(scene.source('file'), scene.target('file')).method, 'copy')
      const left = execFileSync('getfattr', ['-d', '--absolute-names', join(scene.to, 'file')], { encoding: 'utf8' })
      assert.equal(left, '')
    }))
})

describe('Mover.move() through bind mounts', () => {
  /** `to` shows `from`, or a part of it, a second time. */
  function withBind(setting: string, body: (scene: Scene, reopened: Mover, target: number) => void, part = '') {
    return async function (this: Mocha.Context) {
      if (!isRoot) {
        process.stderr.write('      needs root: mounts\n')
        this.skip()
      }
      await withScene({ source: setting }, (scene) => {
        execFileSync('mount', ['--bind', join(scene.from, part), scene.to])
        try {
          const target = openPath(scene.kernel, scene.to, O_RDONLY | O_DIRECTORY)
          try {
            body(scene, scene.mover(), target)
          } finally {
            scene.kernel.close(target)
          }
        } finally {
          execFileSync('umount', [scene.to])
        }
      })
    }
  }

  it(
    'knows the source again, and does not remove it as its own copy',
    withBind('f /file "x"\nd /tree', (scene, mover, directory) => {
      for (const name of ['file', 'tree']) {
        assert.throws(() => mover.move(scene.source(name), { directory, name }), { code: 'ERR_ROOTMERGE_SAME_FILE' })
      }
      assert.deepEqual(fs.readdirSync(scene.from).sort(), ['file', 'tree'])
    }),
  )

  it(
    'leaves one name of two hard links, and copies to another name',
    withBind('f /one "x"\nh /two == /one\nf /file "y"', (scene, mover, directory) => {
      assert.equal(mover.move(scene.source('one'), { directory, name: 'two' }).method, 'link')
      assert.equal(mover.move(scene.source('file'), { directory, name: 'other' }).method, 'copy')
      assert.deepEqual(fs.readdirSync(scene.from).sort(), ['other', 'two'])
    }),
  )

  it(
    'refuses to copy a directory into itself, and leaves nothing',
    withBind('f /tree/sub/file "x"', (scene, mover) => {
      const inside = openPath(scene.kernel, join(scene.to, 'tree/sub'), O_RDONLY | O_DIRECTORY)
      try {
        const refused = { code: 'ERR_ROOTMERGE_INTO_ITSELF', message: /tree' cannot go to '.*sub.*', which is inside/ }
        const target = { directory: inside, name: 'new' }
        assert.throws(() => mover.move(scene.source('tree'), target), refused)
        assert.throws(() => mover.copy(scene.source('tree'), target), refused)
      } finally {
        scene.kernel.close(inside)
      }
      assert.deepEqual(fs.readdirSync(join(scene.from, 'tree/sub')), ['file'])
    }),
  )

  it(
    'refuses to copy a directory into a part of itself that is mounted elsewhere, and leaves nothing',
    withBind(
      'f /tree/a/b "b"\nf /tree/sub/file "x"',
      (scene, mover, directory) => {
        const message = `'${scene.from}/tree' cannot go to '${scene.from}/tree/sub', which is inside of it`
        for (const way of ['move', 'copy'] as const)
          assert.throws(() => mover[way](scene.source('tree'), { directory, name: 'new' }), { message })
        assert.deepEqual(fs.readdirSync(join(scene.from, 'tree/sub')), ['file'])
      },
      'tree/sub',
    ),
  )
})

describe('nodatacow', () => {
  it('is set before the contents, where alone btrfs takes it', async function () {
    const [one, two] = fileSystems().filter(({ name }) => name.startsWith('btrfs'))
    if (one === undefined || two === undefined) {
      process.stderr.write('      needs root: btrfs on a loop device\n')
      return this.skip()
    }
    const kernel = await openKernel()
    withDirectory(
      (from) =>
        withDirectory((to) => {
          const path = join(from, 'file')
          fs.writeFileSync(path, '')
          execFileSync('chattr', ['+C', path])
          fs.writeFileSync(path, 'x'.repeat(100_000))
          const open = (directory: string) => openPath(kernel, directory, O_RDONLY | O_DIRECTORY)
          const [source, target] = [open(from), open(to)]
          const mover = new Mover(kernel, { policy: metadataPolicy({ inodeFlags: true }) })
          assert.deepEqual(
            mover.move({ directory: source, name: 'file' }, { directory: target, name: 'file' }).lost,
            [],
          )
          const fd = openPath(kernel, join(to, 'file'), O_RDONLY)
          assert.equal(kernel.getInodeFlags(fd) & FS_NOCOW_FL, FS_NOCOW_FL)
          for (const each of [fd, source, target]) kernel.close(each)
        }, two.directory()),
      one.directory(),
    )
  })
})
