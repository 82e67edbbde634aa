import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { openDoor } from '../../src/sys/door.ts'
import {
  AT_FDCWD,
  AT_REMOVEDIR,
  isSyscallError,
  type Kernel,
  linuxKernel,
  nameBytes,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
  openKernel,
  POLLIN,
  packStat,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
  RESOLVE_IN_ROOT,
  retryInterrupted,
  SEEK_DATA,
  SEEK_HOLE,
  SyscallError,
  statWith,
  statWords,
  unpackStat,
  W_OK,
  X_OK,
} from '../../src/sys/index.ts'
import { permissionCalls } from '../../src/sys/inspectionCalls.ts'
import { metadataCalls } from '../../src/sys/metadataCalls.ts'
import { StatMemory } from '../../src/sys/statx.ts'
import { interrupting } from '../support/kernelDoubles.ts'
import { withDirectory } from '../support/scratch.ts'

const kernels: Record<string, () => Promise<Kernel>> = {
  'with fs-xattr where it was built': openKernel,
  'without fs-xattr': async () => linuxKernel(),
}

for (const [title, open] of Object.entries(kernels)) {
  describe(`linuxKernel() ${title}`, () => {
    let kernel: Kernel
    before(async () => {
      kernel = await open()
    })

    it('says what may be written, and how much room there is', () =>
      withDirectory((directory) => {
        kernel.accessat(AT_FDCWD, directory, W_OK | X_OK)
        assert.throws(
          () => kernel.accessat(AT_FDCWD, '/proc/sys', W_OK | X_OK),
          (error) => isSyscallError(error, 'EACCES', 'EROFS') && error.path === '/proc/sys',
        )
        assert.throws(() => kernel.accessat(AT_FDCWD, join(directory, 'absent'), W_OK), /ENOENT/)
        const fd = kernel.openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY)
        const { bsize, bfree, bavail } = fs.statfsSync(directory)
        const { bytesFree, bytesAvailable, inodesFree } = kernel.fstatfs(fd)
        kernel.close(fd)
        assert.ok(bytesFree >= bytesAvailable && inodesFree >= 0)
        const isNear = (one: number, other: number) => Math.abs(one - other) <= 0.1 * Math.max(one, other)
        assert.ok(isNear(bytesFree, bfree * bsize) && isNear(bytesAvailable, bavail * bsize)) // others write meanwhile
      }))

    it('says of a file what Node says of it', () =>
      withDirectory((directory) => {
        const path = join(directory, 'file')
        fs.writeFileSync(path, 'twelve bytes')
        fs.chmodSync(path, 0o640)
        const expected = fs.lstatSync(path, { bigint: true })
        const stat = kernel.statat(AT_FDCWD, path)
        assert.equal(stat.type, 'file')
        assert.equal(stat.mode, 0o640)
        assert.equal(stat.size, 12)
        assert.equal(BigInt(stat.uid), expected.uid)
        assert.equal(BigInt(stat.gid), expected.gid)
        assert.equal(stat.ino, expected.ino)
        assert.equal(stat.mtimeNs, expected.mtimeNs)
        assert.equal(stat.ctimeNs, expected.ctimeNs)
        assert.equal(BigInt(stat.blocks), expected.blocks)
      }))

    it('makes every type of node, and tells each from the others', function () {
      if (process.getuid?.() !== 0) {
        process.stderr.write('      needs root: mknod of devices\n')
        this.skip()
      }
      withDirectory((directory) => {
        const fd = kernel.openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY)
        const types = ['fifo', 'character', 'block', 'socket', 'file'] as const
        for (const type of types) kernel.mknodat(fd, type, type, 0o600, { major: 1, minor: 3 })
        kernel.mkdirat(fd, 'directory', 0o700)
        kernel.symlinkat('nowhere', fd, 'symlink')
        const is = {
          fifo: 'isFIFO',
          character: 'isCharacterDevice',
          block: 'isBlockDevice',
          socket: 'isSocket',
          file: 'isFile',
          directory: 'isDirectory',
          symlink: 'isSymbolicLink',
        } as const
        for (const [type, check] of Object.entries(is)) {
          assert.equal(kernel.statat(fd, type).type, type)
          assert.ok(fs.lstatSync(join(directory, type))[check](), type)
        }
        assert.deepEqual(kernel.statat(fd, 'character').rdev, { major: 1, minor: 3 })
        kernel.close(fd)
      })
    })

    it('makes no other device of a number that the kernel has no room for', () =>
      withDirectory((directory) => {
        const fd = kernel.openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY)
        for (const device of [
          { major: 2 ** 12, minor: 3 },
          { major: 1, minor: 2 ** 20 },
          { major: -1, minor: 3 },
        ]) {
          const make = () => kernel.mknodat(fd, 'device', 'character', 0o600, device)
          assert.throws(make, (error) => isSyscallError(error, 'EINVAL'))
        }
        assert.deepEqual(kernel.readDirectory(fd), [])
        kernel.close(fd)
      }))

    it('sets the mode of what an O_PATH descriptor stands for', () =>
      withDirectory((directory) => {
        const path = join(directory, 'file')
        fs.writeFileSync(path, '')
        const fd = kernel.openat(AT_FDCWD, path, O_PATH | O_NOFOLLOW)
        kernel.fchmodat2(fd, 0o640)
        kernel.close(fd)
        assert.equal(fs.lstatSync(path).mode & 0o7777, 0o640)
      }))

    it('sets times to the nanosecond, before 1970 too', () =>
      withDirectory((directory) => {
        const path = join(directory, 'file')
        fs.writeFileSync(path, '')
        const fd = kernel.openat(AT_FDCWD, path, O_WRONLY)
        kernel.futimens(fd, -1n, -999_999_999_999n)
        kernel.close(fd)
        const stat = fs.lstatSync(path, { bigint: true })
        assert.equal(stat.atimeNs, -1n)
        assert.equal(stat.mtimeNs, -999_999_999_999n)
      }))

    it('reads directories, names that are no UTF-8 included', () =>
      withDirectory((directory) => {
        const names = ['plain', 'blank name', 'new\nline', '\xff\xfe', 'é'].map((name) => Buffer.from(name, 'latin1'))
        for (const name of names) fs.writeFileSync(Buffer.concat([Buffer.from(`${directory}/`), name]), '')
        const fd = kernel.openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY)
        const read = kernel.readDirectory(fd).map((entry) => nameBytes(entry.name).toString('hex'))
        const again = kernel.readDirectory(fd)
        kernel.close(fd)
        assert.deepEqual(read.sort(), names.map((name) => name.toString('hex')).sort())
        assert.equal(again.length, names.length)
        assert.ok(again.every((entry) => entry.type === 'file' || entry.type === undefined))
      }))

    it('reads a directory of 5,000 names in several calls', () =>
      withDirectory((directory) => {
        for (let n = 0; n < 5000; n++) fs.writeFileSync(join(directory, `a-name-of-some-length-${n}`), '')
        const fd = kernel.openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY)
        assert.equal(kernel.readDirectory(fd).length, 5000)
        kernel.close(fd)
      }))

    it('keeps attributes as bytes, on files and by an O_PATH descriptor on symlinks', () => {
      withDirectory((directory) => {
        const path = join(directory, 'file')
        fs.writeFileSync(path, '')
        const fd = kernel.openat(AT_FDCWD, path, O_RDWR)
        const value = Buffer.from([0, 255, 254, 10])
        kernel.setXattr(fd, 'user.binary', value)
        kernel.setXattr(fd, 'user.empty', Buffer.alloc(0))
        kernel.setXattr(fd, 'user.\xff', Buffer.from('odd'))
        kernel.setXattr(fd, 'user.large', Buffer.alloc(2000, 'x'))
        assert.deepEqual(kernel.listXattrs(fd).sort(), ['user.binary', 'user.empty', 'user.large', 'user.\xff'])
        assert.deepEqual(kernel.getXattr(fd, 'user.binary'), value)
        assert.deepEqual(kernel.getXattr(fd, 'user.empty'), Buffer.alloc(0))
        assert.deepEqual(kernel.getXattr(fd, 'user.\xff'), Buffer.from('odd'))
        kernel.removeXattr(fd, 'user.binary')
        assert.throws(() => kernel.getXattr(fd, 'user.binary'), { code: 'ENODATA' })
        kernel.close(fd)
        fs.symlinkSync('nowhere', join(directory, 'link'))
        const link = kernel.openat(AT_FDCWD, join(directory, 'link'), O_PATH | O_NOFOLLOW)
        assert.deepEqual(kernel.listXattrs(link), [])
        assert.equal(kernel.readlinkat(link, ''), 'nowhere')
        if (process.getuid?.() === 0) {
          kernel.setXattr(link, 'trusted.note', Buffer.from('on the link'))
          assert.deepEqual(kernel.listXattrs(link), ['trusted.note'])
          assert.equal(String(kernel.getXattr(link, 'trusted.note')), 'on the link')
        }
        kernel.close(link)
      })
    })

    it('reads values and lists of attributes that are larger than most', () =>
      withDirectory((directory) => {
        const fd = kernel.openat(AT_FDCWD, join(directory, 'file'), O_RDWR | O_CREAT | O_EXCL, 0o600)
        const value = Buffer.alloc(65536, 'value ')
        kernel.setXattr(fd, 'user.largest', value)
        assert.deepEqual(kernel.getXattr(fd, 'user.largest'), value)
        assert.throws(() => kernel.setXattr(fd, 'user.larger', Buffer.alloc(65537)), { code: 'E2BIG' })
        const names = Array.from({ length: 40 }, (_, index) => `user.${index}${'n'.repeat(200)}`)
        for (const name of names) kernel.setXattr(fd, name, Buffer.from('x'))
        assert.deepEqual(kernel.listXattrs(fd).sort(), [...names, 'user.largest'].sort())
        kernel.close(fd)
      }, '/dev/shm'))

    it('lists the attributes of a name, those of a symlink itself, where the kernel can', () =>
      withDirectory((directory) => {
        const fd = kernel.openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY)
        const file = kernel.openat(fd, 'file', O_RDWR | O_CREAT | O_EXCL, 0o600)
        kernel.setXattr(file, 'user.note', Buffer.from('x'))
        fs.symlinkSync('file', join(directory, 'link'))
        const isNew = kernel.listXattrsAt(fd, 'file') !== undefined // Linux 6.13
        assert.deepEqual(kernel.listXattrsAt(fd, 'file'), isNew ? ['user.note'] : undefined)
        assert.deepEqual(kernel.listXattrsAt(fd, 'link'), isNew ? [] : undefined)
        if (isNew) assert.throws(() => kernel.listXattrsAt(fd, 'absent'), { code: 'ENOENT', syscall: 'listxattrat' })
        for (const name of ['file', 'link']) {
          const held = kernel.openat(fd, name, O_PATH | O_NOFOLLOW)
          assert.deepEqual(kernel.listXattrsAt(held, ''), kernel.listXattrs(held))
          kernel.close(held)
        }
        kernel.close(file)
        kernel.close(fd)
      }))

    it('names the call and both absolute paths in an error', () =>
      withDirectory((directory) => {
        const fd = kernel.openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY)
        assert.throws(() => kernel.renameat(fd, 'absent', fd, 'target\n'), {
          name: 'SyscallError',
          code: 'ENOENT',
          errno: -2,
          syscall: 'renameat2',
          path: join(directory, 'absent'),
          dest: `${directory}/target\\012`,
          message: `ENOENT: no such file or directory, renameat2 '${directory}/absent' -> '${directory}/target\\012'`,
        })
        kernel.close(fd)
      }))

    it('exchanges names and refuses to replace one', () =>
      withDirectory((directory) => {
        fs.writeFileSync(join(directory, 'a'), 'A')
        fs.writeFileSync(join(directory, 'b'), 'B')
        const fd = kernel.openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY)
        assert.throws(() => kernel.renameat(fd, 'a', fd, 'b', RENAME_NOREPLACE), { code: 'EEXIST' })
        kernel.renameat(fd, 'a', fd, 'b', RENAME_EXCHANGE)
        assert.equal(fs.readFileSync(join(directory, 'a'), 'utf8'), 'B')
        kernel.mkdirat(fd, 'sub', 0o700)
        kernel.unlinkat(fd, 'sub', AT_REMOVEDIR)
        kernel.close(fd)
      }))

    it('resolves an absolute symlink inside the root', () =>
      withDirectory((directory) => {
        fs.mkdirSync(join(directory, 'etc'))
        fs.symlinkSync('/etc', join(directory, 'link'))
        const fd = kernel.openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY)
        const inside = kernel.openat2(fd, 'link', O_RDONLY | O_DIRECTORY, 0, RESOLVE_IN_ROOT)
        assert.equal(kernel.fstat(inside).ino, kernel.statat(fd, 'etc').ino)
        kernel.close(inside)
        kernel.close(fd)
      }))

    it('gives two objects two handles, and one object the same', () =>
      withDirectory((directory) => {
        fs.writeFileSync(join(directory, 'a'), '')
        fs.writeFileSync(join(directory, 'b'), '')
        const fd = kernel.openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY)
        assert.equal(kernel.handleAt(fd, 'a'), kernel.handleAt(fd, 'a'))
        assert.notEqual(kernel.handleAt(fd, 'a'), kernel.handleAt(fd, 'b'))
        kernel.close(fd)
      }))

    it('finds holes, and copies ranges at explicit offsets', () =>
      withDirectory((directory) => {
        const fd = kernel.openat(AT_FDCWD, join(directory, 'sparse'), O_RDWR | O_CREAT | O_EXCL, 0o600)
        kernel.ftruncate(fd, 2 ** 33)
        kernel.pwrite(fd, Buffer.from('far'), 2 ** 32)
        assert.equal(kernel.lseek(fd, 0, SEEK_DATA), 2 ** 32)
        assert.ok(kernel.lseek(fd, 2 ** 32, SEEK_HOLE) > 2 ** 32)
        const target = kernel.openat(AT_FDCWD, join(directory, 'target'), O_RDWR | O_CREAT | O_EXCL, 0o600)
        assert.equal(kernel.copyFileRange(fd, 2 ** 32, target, 5, 3), 3)
        const buffer = Buffer.alloc(8)
        assert.equal(kernel.pread(target, buffer, 0), 8)
        assert.equal(buffer.toString('latin1'), '\0\0\0\0\0far')
        kernel.close(fd)
        kernel.close(target)
      }))

    it('writes the beginning of what it is given, and never what is behind it', () =>
      withDirectory((directory) => {
        const fd = kernel.openat(AT_FDCWD, join(directory, 'file'), O_RDWR | O_CREAT | O_EXCL, 0o600)
        const bytes = Buffer.from('abcdef').subarray(1, 5)
        assert.equal(kernel.pwrite(fd, bytes, 2, 3), 3)
        assert.equal(kernel.pwrite(fd, bytes, 0, 0), 0)
        for (const length of [5, -1, Number.NaN, 2 ** 53]) {
          assert.throws(() => kernel.pwrite(fd, bytes, 0, length), RangeError)
        }
        kernel.close(fd)
        assert.equal(fs.readFileSync(join(directory, 'file'), 'latin1'), '\0\0bcd')
      }))

    it('waits for a pipe no longer than told', () => {
      const [reader, writer] = kernel.pipe()
      assert.deepEqual(kernel.poll([{ fd: reader, events: POLLIN }], 1), [0])
      kernel.write(writer, Buffer.from('x'))
      assert.deepEqual(kernel.poll([{ fd: reader, events: POLLIN }], 1000), [POLLIN])
      kernel.close(reader)
      kernel.close(writer)
    })

    it('refuses numbers and names that koffi would bend', () => {
      assert.throws(() => kernel.close(Number.NaN), RangeError)
      assert.throws(() => kernel.close(2 ** 32), RangeError)
      assert.throws(() => kernel.ftruncate(0, 2 ** 53), RangeError)
      assert.throws(() => kernel.openat(AT_FDCWD, 'nul\0inside', O_RDONLY), { code: 'EINVAL' })
      assert.throws(() => kernel.openat(AT_FDCWD, 'Ελλάδα', O_RDONLY), TypeError)
      assert.throws(() => kernel.openat(AT_FDCWD, 'x'.repeat(4096), O_RDONLY), { code: 'ENAMETOOLONG' })
    })
  })
}

describe('fchmodat2() where the kernel has no such call (before Linux 6.6)', () => {
  const door = openDoor()
  const unknownCall = 9999
  const older = metadataCalls({ ...door, calls: { ...door.calls, fchmodat2: unknownCall } })

  it('sets the mode through /proc', () =>
    withDirectory((directory) => {
      const kernel = linuxKernel()
      fs.writeFileSync(join(directory, 'file'), '')
      const fd = kernel.openat(AT_FDCWD, join(directory, 'file'), O_PATH | O_NOFOLLOW)
      older.fchmodat2(fd, 0o4640)
      assert.equal(kernel.fstat(fd).mode, 0o4640)
      kernel.close(fd)
    }))

  it('never changes what a symlink points to', () =>
    withDirectory((directory) => {
      const kernel = linuxKernel()
      fs.writeFileSync(join(directory, 'file'), '', { mode: 0o600 })
      fs.symlinkSync('file', join(directory, 'link'))
      const fd = kernel.openat(AT_FDCWD, join(directory, 'link'), O_PATH | O_NOFOLLOW)
      for (const { fchmodat2 } of [kernel, older]) assert.throws(() => fchmodat2(fd, 0o666), { code: 'EOPNOTSUPP' })
      assert.equal(fs.statSync(join(directory, 'file')).mode & 0o7777, 0o600)
      kernel.close(fd)
    }))

  it('says why it could not, either way', () => {
    assert.throws(() => linuxKernel().fchmodat2(999_999, 0o600), { code: 'EBADF', syscall: 'fchmodat2' })
    assert.throws(() => older.fchmodat2(999_999, 0o600), { code: 'ENOENT', syscall: 'fchmodat' })
  })
})

describe('fstatfs() of a file system whose blocks are larger than what it counts in (FUSE)', () => {
  it('says how many bytes there are', () => {
    const door = openDoor()
    const { fstatfs } = permissionCalls({
      ...door,
      invoke3() {
        door.struct64.set([0x65735546n, 2n ** 20n, 1000n, 300n, 200n, 50n, 40n, 0n, 255n, 4096n, 0n])
        return 0
      },
    })
    const { blockSize, bytesFree, bytesAvailable, inodesFree } = fstatfs(0)
    assert.deepEqual([blockSize, bytesFree, bytesAvailable, inodesFree], [4096, 300 * 4096, 200 * 4096, 40])
  })
})

describe('linuxKernel()', () => {
  it('gives its memory back when nobody has it any more', async () => {
    const afterMaking = async (count: number) => {
      for (let number = 0; number < count; number++) {
        linuxKernel().statat(AT_FDCWD, '/')
        if (number % 100 === 99) await new Promise(setImmediate) // memory of buffers is freed between two tasks
      }
      global.gc?.()
      return process.memoryUsage.rss()
    }
    const before = await afterMaking(1000)
    const each = ((await afterMaking(1500)) - before) / 1500
    assert.ok(each < 40_000, `${each} bytes stay of each`)
  })
})

describe('a stat', () => {
  it('stays what it was while the kernel writes more of them, through several pieces of memory', () =>
    withDirectory((directory) => {
      const kernel = linuxKernel()
      const sizes = Array.from({ length: 300 }, (_, index) => index * 7)
      for (const size of sizes) fs.writeFileSync(join(directory, String(size)), Buffer.alloc(size))
      const fd = kernel.openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY)
      const stats = sizes.map((size) => {
        const stat = kernel.statat(fd, String(size))
        assert.equal(kernel.findat(fd, 'absent'), undefined)
        return { stat, atOnce: statWith(stat, {}) }
      })
      kernel.close(fd)
      assert.deepEqual(
        stats.map(({ stat }) => stat.size),
        sizes,
      )
      for (const { stat, atOnce } of stats) assert.deepEqual(statWith(stat, {}), atOnce)
    }))
})

describe('StatMemory', () => {
  it('has times that no number holds, as btrfs and tmpfs keep them', () => {
    const [modified, nanoseconds] = [28, 30] // struct statx, in words of 32 bits
    for (const seconds of [2n ** 60n + 1n, -(2n ** 60n) - 1n, 2n ** 31n, -1n, 0n]) {
      const words = new Uint32Array(64)
      new BigInt64Array(words.buffer)[modified / 2] = seconds
      words[nanoseconds] = 7
      assert.equal(new StatMemory().keep(words).mtimeNs, seconds * 10n ** 9n + 7n)
    }
  })
})

describe('packStat()', () => {
  it('puts all that the kernel said of an object where another thread reads it', () =>
    withDirectory((directory) => {
      const kernel = linuxKernel()
      fs.writeFileSync(join(directory, 'file'), 'twelve bytes')
      fs.utimesSync(join(directory, 'file'), -1.5, 2 ** 33)
      for (const path of [join(directory, 'file'), directory, '/dev/null']) {
        const stat = kernel.statat(AT_FDCWD, path)
        const words = new Uint32Array(new SharedArrayBuffer(3 * 4 * statWords))
        packStat(stat, words, statWords)
        assert.deepEqual(statWith(unpackStat(words, statWords), {}), statWith(stat, {}))
        assert.ok(
          words.subarray(0, statWords).every((word) => word === 0),
          'wrote before its place',
        )
        assert.ok(
          words.subarray(2 * statWords).every((word) => word === 0),
          'wrote behind its place',
        )
      }
    }))

  it('refuses one that was made up', () => {
    const changed = statWith(linuxKernel().statat(AT_FDCWD, '/'), { size: 1 })
    assert.throws(() => packStat(changed, new Uint32Array(statWords), 0), TypeError)
  })
})

describe('retryInterrupted()', () => {
  it('makes interrupted calls again and counts them', () => {
    const seen = { count: 0 }
    const kernel = retryInterrupted(interrupting(linuxKernel(), 2), () => {}, seen)
    for (let n = 0; n < 10; n++) kernel.statat(AT_FDCWD, '/')
    assert.ok(seen.count >= 9)
  })

  it('lets the caller cancel before a retry', () => {
    const kernel = retryInterrupted(interrupting(linuxKernel(), 1), () => {
      throw new Error('enough')
    })
    assert.throws(() => kernel.statat(AT_FDCWD, '/'), /enough/)
  })

  it('never closes twice', () => {
    const kernel = retryInterrupted({
      ...linuxKernel(),
      close() {
        throw new SyscallError('EINTR', 'close')
      },
    })
    assert.throws(
      () => kernel.close(3),
      (error) => isSyscallError(error, 'EINTR'),
    )
  })
})
