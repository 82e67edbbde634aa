import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import {
  type Attributes,
  applyAttributes,
  describeLoss,
  Inheritance,
  type Kept,
  Mover,
  metadataPolicy,
  newStagingName,
  readAttributes,
} from '../../src/movefile/index.ts'
import { refusals } from '../../src/movefile/losses.ts'
import { AT_FDCWD, errnoNames, type Kernel, O_RDONLY, openKernel, openPath, SyscallError } from '../../src/sys/index.ts'
import { declining, recording, wrapKernel } from '../support/kernelDoubles.ts'
import { withDirectory } from '../support/scratch.ts'

const isRoot = process.getuid?.() === 0
const policy = metadataPolicy()

let kernel: Kernel
before(async () => {
  kernel = await openKernel()
})

function needsRoot(context: Mocha.Context, why: string): void {
  if (isRoot) return
  process.stderr.write(`      needs root: ${why}\n`)
  context.skip()
}

/** Attributes that have everything; ACLs and capabilities as setfacl and setcap write them. */
function richAttributes(directory: string): Attributes {
  const path = join(directory, 'rich')
  fs.writeFileSync(path, 'x')
  execFileSync('setfattr', ['-n', 'user.note', '-v', 'kept', path])
  fs.chownSync(path, 12, 34)
  fs.chmodSync(path, 0o6750)
  execFileSync('setfacl', ['-m', 'u:bin:rwx', path])
  execFileSync('setcap', ['cap_net_raw+ep', path])
  const fd = openPath(kernel, path, O_RDONLY)
  const attributes = readAttributes(kernel, fd, kernel.fstat(fd), policy)
  kernel.close(fd)
  return attributes
}

/** Applies `attributes` to a new file: its path, what was lost, and the calls. */
function apply(directory: string, attributes: Attributes, through: (kernel: Kernel) => Kernel = (same) => same) {
  const path = join(directory, newStagingName())
  fs.writeFileSync(path, 'x', { mode: 0o600 })
  const fd = fs.openSync(path, 'r+')
  const { kernel: recorded, calls } = recording(through(kernel))
  const lost = applyAttributes(recorded, { fd, type: 'file' }, attributes, policy)
  fs.closeSync(fd)
  return { path, lost, calls: calls.map(({ call }) => call), stat: fs.lstatSync(path, { bigint: true }) }
}

describe('applyAttributes()', () => {
  it('sets owner, attributes, ACL, mode, capability and times in this order', function () {
    needsRoot(this, 'owners, capabilities')
    withDirectory((directory) => {
      const attributes = richAttributes(directory)
      const { kernel: recorded, calls } = recording(kernel)
      const path = join(directory, 'new')
      fs.writeFileSync(path, 'x', { mode: 0o600 })
      const fd = fs.openSync(path, 'r+')
      assert.deepEqual(applyAttributes(recorded, { fd, type: 'file' }, attributes, policy), [])
      fs.closeSync(fd)
      const order = calls
        .filter(({ call }) => call.startsWith('set') || ['fchown', 'fchmod', 'futimens'].includes(call))
        .map(({ call, args }) => (call === 'setXattr' ? args[1] : call))
      assert.deepEqual(order, [
        'fchown',
        'user.note',
        'system.posix_acl_access',
        'fchmod',
        'security.capability',
        'futimens',
      ])
    })
  })

  it('never shows a set-id bit before the owner is right, nor rights for others before the end', function () {
    needsRoot(this, 'owners, capabilities')
    withDirectory((directory) => {
      const attributes = richAttributes(directory)
      const path = join(directory, 'new')
      fs.writeFileSync(path, 'x', { mode: 0o600 })
      const fd = fs.openSync(path, 'r+')
      const seen: string[] = []
      const watched = wrapKernel(kernel, (call, args, proceed) => {
        const result = proceed(...args)
        const stat = fs.fstatSync(fd)
        const mode = stat.mode & 0o7777
        if ((mode & 0o6000) !== 0 && (stat.uid !== 12 || stat.gid !== 34)) seen.push(`${call}: set-id of ${stat.uid}`)
        if ((mode & ~attributes.mode & ~0o600) !== 0) seen.push(`${call}: mode ${mode.toString(8)}`)
        if ((mode & 0o077) !== 0 && stat.uid !== 12) seen.push(`${call}: open to others`)
        return result
      })
      applyAttributes(watched, { fd, type: 'file' }, attributes, policy)
      fs.closeSync(fd)
      assert.deepEqual(seen, [])
    })
  })

  it('leaves out set-id bits and capabilities when the owner cannot be set, and says so', function () {
    needsRoot(this, 'owners, capabilities')
    withDirectory((directory) => {
      const { lost, stat, path } = apply(directory, richAttributes(directory), (k) => declining(k, 'fchown', 'EPERM'))
      assert.deepEqual(
        lost.map(({ what, attribute, code }) => [what, attribute, code]),
        [
          ['owner', undefined, 'EPERM'],
          ['group', undefined, 'EPERM'],
          ['mode', undefined, 'EPERM'],
          ['xattr', 'security.capability', 'EPERM'],
        ],
      )
      assert.equal(Number(stat.mode) & 0o7777, 0o770) // the group bits are the ACL's mask
      assert.equal(execFileSync('getcap', [path], { encoding: 'utf8' }), '')
    })
  })

  it('keeps the group when only the owner cannot be kept', function () {
    needsRoot(this, 'owners')
    withDirectory((directory) => {
      const onlyGroup = (k: Kernel): Kernel => ({
        ...k,
        fchown(fd, uid, gid) {
          if (uid !== -1) throw new SyscallError('EPERM', 'fchown')
          k.fchown(fd, uid, gid)
        },
      })
      const { lost, stat } = apply(directory, richAttributes(directory), onlyGroup)
      assert.deepEqual(
        lost.map(({ what }) => what),
        ['owner', 'mode', 'xattr'],
      )
      assert.equal(stat.gid, 34n)
    })
  })

  it('does not give the owning group what an ACL gave to others, when the ACL is refused', function () {
    needsRoot(this, 'owners')
    withDirectory((directory) => {
      const noAcl = (k: Kernel): Kernel => ({
        ...k,
        setXattr(fd, name, value) {
          if (name.startsWith('system.posix_acl')) throw new SyscallError('EOPNOTSUPP', 'fsetxattr')
          k.setXattr(fd, name, value)
        },
      })
      const { lost, stat } = apply(directory, richAttributes(directory), noAcl)
      assert.deepEqual(
        lost.map(({ what, code }) => [what, code]),
        [['acl', 'EOPNOTSUPP']],
      )
      assert.equal(Number(stat.mode) & 0o777, 0o750) // 0770 is the mask, 0750 what the group has
    })
  })

  it('takes off the ACL that the directory handed down', () =>
    withDirectory((directory) => {
      execFileSync('setfacl', ['-d', '-m', 'u:bin:rwx', directory])
      const attributes = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, mode: 0o640, xattrs: [] }
      const { lost, path, stat } = apply(directory, { ...attributes, atimeNs: 1n, mtimeNs: 2n })
      assert.deepEqual(lost, [])
      assert.equal(Number(stat.mode) & 0o777, 0o640)
      assert.equal(stat.mtimeNs, 2n)
      assert.doesNotMatch(execFileSync('getfacl', ['-p', path], { encoding: 'utf8' }), /bin/)
    }))

  it('leaves out the calls that would change nothing, once it is told what was inherited', () =>
    withDirectory((directory) => {
      const path = join(directory, 'new')
      fs.writeFileSync(path, 'x')
      const fd = fs.openSync(path, 'r+')
      const { uid, gid } = fs.fstatSync(fd)
      const { kernel: recorded, calls } = recording(kernel)
      const attributes = { uid, gid, mode: 0o644, atimeNs: 0n, mtimeNs: 0n, xattrs: [] }
      applyAttributes(recorded, { fd, type: 'file', inherited: { uid, gid, acl: false } }, attributes, policy)
      fs.closeSync(fd)
      assert.deepEqual(
        calls.map(({ call }) => call),
        ['fchmod', 'futimens'],
      )
    }))

  it('says truly why an attribute of 10 KiB is refused', function () {
    withDirectory((directory) => {
      const fd = openPath(kernel, directory, O_RDONLY)
      const { magic } = kernel.fstatfs(fd)
      kernel.close(fd)
      if (magic !== 0xef53) {
        process.stderr.write('      needs ext4 for temporary files: it has no room for large attributes\n')
        this.skip()
      }
      const xattrs = [{ name: 'user.large', value: Buffer.alloc(10 * 1024, 'x') }]
      const own = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, mode: 0o600 }
      const { lost } = apply(directory, { ...own, atimeNs: 0n, mtimeNs: 0n, xattrs })
      assert.deepEqual(
        lost.map(({ what, attribute, code }) => [what, attribute, code]),
        [['xattr', 'user.large', 'ENOSPC']],
      )
      assert.match(
        lost.map(describeLoss).join(),
        /^attribute user\.large \(ENOSPC: no space left on device, \w*setxattr/,
      )
    })
  })

  it('notices a time that the file system has no place for, and takes no coarser clock for that', () =>
    withDirectory((directory) => {
      const second = 1_000_000_000n
      const [first, last] = [315_532_800n * second, 4_354_819_198n * second] // 1980 and 2107, as FAT has them
      const onFat = (timeNs: bigint) => {
        const near = timeNs < first ? first : timeNs > last ? last : timeNs
        return near - (near % (2n * second))
      }
      const fat = (k: Kernel): Kernel => ({
        ...k,
        futimens: (fd, atime, mtime) => k.futimens(fd, onFat(atime), onFat(mtime)),
      })
      const lostAt = (mtimeNs: bigint, through?: (kernel: Kernel) => Kernel) => {
        const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0]
        return apply(directory, { uid, gid, mode: 0o644, atimeNs: 0n, mtimeNs, xattrs: [] }, through).lost
      }
      for (const time of [-1n, -second * 2n ** 31n, 10_413_792_000n * second]) assert.deepEqual(lostAt(time), [])
      assert.deepEqual(lostAt(4_102_444_801n * second + 5n, fat), [])
      for (const time of [-1n, 10_413_792_000n * second]) {
        const [loss] = lostAt(time, fat)
        assert.deepEqual([loss?.what, loss?.code], ['times', 'EOVERFLOW'])
      }
    }))

  const callOf: Readonly<Partial<Record<Kept, keyof Kernel>>> = {
    owner: 'fchown',
    mode: 'fchmod',
    xattr: 'setXattr',
    times: 'futimens',
  }
  for (const [what, call] of Object.entries(callOf) as [Kept, keyof Kernel][]) {
    it(`takes exactly the errnos of the table for a loss of ${what}`, () =>
      withDirectory((directory) => {
        const other = isRoot ? 12 : (process.getuid?.() ?? 0) + 1
        const xattrs = [{ name: 'user.note', value: Buffer.from('x') }]
        const attributes = { uid: other, gid: other, mode: 0o640, atimeNs: 0n, mtimeNs: 0n, xattrs }
        for (const code of errnoNames.filter((name) => name !== 'EINTR')) {
          const run = () => apply(directory, attributes, (k) => declining(k, call, code)).lost
          if (refusals[what].includes(code)) assert.ok(run().some((loss) => loss.what === what && loss.code === code))
          else assert.throws(run, { code })
        }
      }))
  }
})

describe('readAttributes()', () => {
  it('leaves out what belongs to one file system, to the kernel, or is excluded', () => {
    const names = {
      'user.note': true,
      'user.xdg.origin.url': false,
      'user.overlay.opaque': false,
      'trusted.overlay.origin': false,
      'trusted.SGI_ACL_FILE': false,
      'trusted.own': true,
      'btrfs.compression': false,
      'security.evm': false,
      'security.selinux': false,
      'security.capability': true,
      'system.posix_acl_access': true,
      'system.posix_acl_default': false,
      'system.nfs4_acl': false,
    }
    const faked: Kernel = { ...kernel, listXattrs: () => Object.keys(names), getXattr: () => Buffer.from('x') }
    const stat = kernel.statat(AT_FDCWD, process.execPath)
    const read = readAttributes(faked, 0, stat, policy).xattrs.map(({ name }) => name)
    assert.deepEqual(
      read,
      Object.entries(names).flatMap(([name, kept]) => (kept ? [name] : [])),
    )
    const preserving = readAttributes(
      faked,
      0,
      stat,
      metadataPolicy({ selinux: 'preserve', excludeXattrs: ['user.*'] }),
    )
    assert.ok(preserving.xattrs.some(({ name }) => name === 'security.selinux'))
    assert.ok(!preserving.xattrs.some(({ name }) => name.startsWith('user.')))
  })

  it('leaves out an attribute that is gone, or listed for nothing', () => {
    const refuse = (code: 'ENODATA' | 'EPERM' | 'EIO'): Kernel => ({
      ...kernel,
      listXattrs: () => ['trusted.one'],
      getXattr() {
        throw new SyscallError(code, 'fgetxattr')
      },
    })
    const stat = kernel.statat(AT_FDCWD, process.execPath)
    for (const code of ['ENODATA', 'EPERM'] as const) {
      assert.deepEqual(readAttributes(refuse(code), 0, stat, policy).xattrs, [])
    }
    assert.throws(() => readAttributes(refuse('EIO'), 0, stat, policy), { code: 'EIO' })
  })
})

describe('Mover.stageCopy()', () => {
  it('makes no more calls for a small file than its law says', () =>
    withDirectory((directory) => {
      fs.writeFileSync(join(directory, 'one'), 'x'.repeat(4096))
      fs.writeFileSync(join(directory, 'two'), 'x'.repeat(4096))
      const fd = openPath(kernel, directory, O_RDONLY)
      const { kernel: recorded, calls } = recording(kernel)
      const mover = new Mover(recorded, { copy: { onChange: 'ignore' } })
      const inheritance = new Inheritance()
      for (const name of ['one', 'two']) {
        calls.length = 0
        const stat = kernel.statat(fd, name)
        mover.stageCopy({ directory: fd, name }, { directory: fd, name: newStagingName() }, { stat, inheritance })
      }
      kernel.close(fd)
      assert.deepEqual(
        calls.map(({ call }) => call),
        ['openat', 'fstat', 'openat', 'pread', 'pwrite', 'listXattrs', 'fchmod', 'futimens', 'close', 'close'],
      )
    }))
})
