import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { type DecliningCall, declineTable, unlisted } from '../../src/filecopy/declines.ts'
import { Copier, type CopyOptions, type CopyReport } from '../../src/filecopy/index.ts'
import {
  AT_FDCWD,
  type ErrnoName,
  errnoNames,
  type Kernel,
  linuxKernel,
  retryInterrupted,
  SEEK_DATA,
  SEEK_HOLE,
  SyscallError,
} from '../../src/sys/index.ts'
import { type Call, declining, recording, shortCounts, wrapKernel } from '../support/kernelDoubles.ts'
import { assertSameBytes, dataOf, withDescriptors, writeLayout } from '../support/layouts.ts'
import { withDirectory } from '../support/scratch.ts'

/** Without reflink, also where the temporary directory has it. */
const machine = declining(linuxKernel(), 'ficlone', 'EOPNOTSUPP')
const KiB = 1024
const size = 300 * KiB

/** What section by section is known of each errno; the table must say the same. */
const known: Readonly<Record<DecliningCall, Readonly<Record<'next' | 'again' | 'fatal', string>>>> = {
  reflink: {
    next: 'EOPNOTSUPP EXDEV EINVAL ENOTTY ENOSYS EPERM EACCES EBADF ETXTBSY EFBIG',
    again: 'EAGAIN',
    fatal: 'EISDIR EOVERFLOW ENOSPC EDQUOT EIO ENOMEM ESTALE',
  },
  copy_file_range: {
    next: 'ENOSYS EXDEV EOPNOTSUPP EINVAL EPERM EACCES EBADF ETXTBSY EIO ENOENT EOVERFLOW EFBIG ENOTTY EFAULT',
    again: 'EAGAIN',
    fatal: 'EISDIR ENOSPC EDQUOT ENOMEM ESTALE',
  },
  sendfile: {
    next: 'EINVAL ENOSYS EPERM EOVERFLOW EIO ENOTSOCK EXDEV ESPIPE EBADF',
    again: 'EAGAIN',
    fatal: 'EFBIG ENOSPC EDQUOT ENOMEM ESTALE',
  },
  seek: { next: 'EINVAL EOPNOTSUPP ENOSYS ESPIPE', again: '', fatal: 'EOVERFLOW EBADF EIO ENOMEM ESTALE' },
  preallocate: {
    next: 'EOPNOTSUPP ENOSYS ENODEV ESPIPE EBADF EINVAL EPERM ETXTBSY',
    again: '',
    fatal: 'ENOSPC EDQUOT EFBIG EIO',
  },
  punch: { next: 'EOPNOTSUPP ENOSYS ENODEV EINVAL EPERM ETXTBSY ENOSPC EDQUOT', again: '', fatal: 'EFBIG EIO' },
  zero_range: { next: 'EOPNOTSUPP ENOSYS ENODEV EINVAL EPERM ETXTBSY ENOSPC EDQUOT', again: '', fatal: 'EFBIG EIO' },
}

const callOf: Readonly<Record<DecliningCall, Call>> = {
  reflink: 'ficlone',
  copy_file_range: 'copyFileRange',
  sendfile: 'sendfile',
  seek: 'lseek',
  preallocate: 'fallocate',
  punch: 'fallocate',
  zero_range: 'fallocate',
}

/** A kernel that refuses one call with `code` once it has accepted it `accepted` times. */
function refusing(kernel: Kernel, call: Call, code: ErrnoName, accepted = 0): Kernel {
  let seen = 0
  return wrapKernel(kernel, (each, args, proceed) => {
    const concerned = each === call && (call !== 'lseek' || args[2] === SEEK_DATA || args[2] === SEEK_HOLE)
    if (concerned && ++seen > accepted) throw new SyscallError(code, call)
    return proceed(...args)
  })
}

/** Copies 300 KiB with `kernel`, and returns the report if the copy is right. */
function copyData(kernel: Kernel, options: CopyOptions = {}): CopyReport {
  return withDirectory((directory) => {
    const [source, target] = [join(directory, 'source'), join(directory, 'target')]
    fs.writeFileSync(source, dataOf(size))
    try {
      const report = withDescriptors(source, target, (from, to) => new Copier(kernel).copyContents(from, to, options))
      assertSameBytes(fs.readFileSync(target), dataOf(size))
      return report
    } catch (error) {
      if (error instanceof SyscallError) assert.equal(fs.statSync(target).size, 0, 'something is left in the target')
      throw error
    }
  })
}

describe('declineTable', () => {
  for (const [call, sets] of Object.entries(known) as [DecliningCall, (typeof known)[DecliningCall]][]) {
    it(`says of every errno of ${call} what is known of it`, () => {
      for (const [kind, codes] of Object.entries(sets)) {
        for (const code of codes.split(' ').filter(Boolean) as ErrnoName[]) {
          const [answer] = declineTable[call][code] ?? unlisted
          const actual = answer === 'fatal' || answer === 'again' ? answer : 'next'
          assert.equal(actual, kind, `${call} ${code}`)
        }
      }
    })
  }

  it('gives a reason for every row', () => {
    for (const rows of Object.values(declineTable)) {
      for (const [code, row] of Object.entries(rows)) assert.ok((row?.[1] ?? '').length >= 6, code)
    }
  })
})

describe('the chain', () => {
  const methods = ['reflink', 'copy_file_range', 'sendfile', 'read_write'] as const

  for (const method of ['reflink', 'copy_file_range', 'sendfile'] as const) {
    it(`does what the table says for every errno of ${method}, at once and after progress`, () => {
      for (const code of errnoNames.filter((each) => each !== 'EINTR')) {
        const [answer] = declineTable[method][code] ?? unlisted
        for (const accepted of method === 'reflink' ? [0] : [0, 2]) {
          const kernel = refusing(shortCounts(machine, 64 * KiB), callOf[method], code, accepted)
          const options = { methods: methods.slice(methods.indexOf(method)) }
          if (answer === 'fatal') {
            assert.throws(() => copyData(kernel, options), { code, syscall: callOf[method] })
            continue
          }
          const report = copyData(kernel, options)
          assert.deepEqual(report.declined[0], { method, code })
          const moved = Object.values(report.bytesByMethod)
          assert.equal(
            moved.reduce((sum, bytes) => sum + bytes, 0),
            size,
          )
          if (method !== 'reflink') assert.equal(report.bytesByMethod[method], accepted ? 2 * 64 * KiB : undefined)
        }
      }
    })
  }

  it('makes holes of zeros for every errno by which SEEK_DATA declines, also half-way', () => {
    for (const code of errnoNames.filter((each) => each !== 'EINTR' && each !== 'ENXIO')) {
      const [answer] = declineTable.seek[code] ?? unlisted
      for (const accepted of [0, 1, 2, 3]) {
        withDirectory((directory) => {
          const [source, target] = [join(directory, 'source'), join(directory, 'target')]
          const data = { kind: 'data', length: 128 * KiB } as const
          const hole = { kind: 'hole', length: 1024 * KiB } as const
          const expected = writeLayout(machine, source, [data, hole, data, hole])
          const copier = new Copier(refusing(machine, 'lseek', code, accepted))
          const copy = () => withDescriptors(source, target, (from, to) => copier.copyContents(from, to))
          if (answer === 'fatal') assert.throws(copy, { code })
          else {
            const report = copy()
            assertSameBytes(fs.readFileSync(target), expected)
            assert.equal(report.holes, 2048 * KiB)
            assert.ok(fs.statSync(target).blocks <= 512)
          }
        })
      }
    }
  })

  it('undoes preallocation that failed half-way, and goes without it when it is declined', () => {
    for (const code of errnoNames.filter((each) => each !== 'EINTR')) {
      const kernel = wrapKernel(machine, (call, args, proceed) => {
        if (call === 'fstatfs') return { ...(proceed(...args) as object), magic: 0xef53 }
        if (call !== 'fallocate') return proceed(...args)
        machine.ftruncate(args[0] as number, 5_000_000) // as ext4 does when room runs out: the size has grown already
        throw new SyscallError(code, 'fallocate')
      })
      const big = { ...kernel, fstat: (fd: number) => machine.fstat(fd) }
      const [answer] = declineTable.preallocate[code] ?? unlisted
      withDirectory((directory) => {
        const [source, target] = [join(directory, 'source'), join(directory, 'target')]
        fs.writeFileSync(source, dataOf(1024 * KiB))
        const options = { methods: 'fastest' } as const
        const copy = () =>
          withDescriptors(source, target, (from, to) => new Copier(big).copyContents(from, to, options))
        if (answer === 'fatal') {
          assert.throws(copy, { code })
          assert.equal(fs.statSync(target).size, 0)
        } else {
          copy()
          assertSameBytes(fs.readFileSync(target), dataOf(1024 * KiB))
        }
      })
    }
  })

  it('ends, with the right bytes, when calls move nothing for ever', () => {
    const idle: Kernel = { ...machine, copyFileRange: () => 0, sendfile: () => 0 }
    const report = copyData(idle, { methods: methods.slice(1) })
    assert.deepEqual(report.bytesByMethod, { read_write: size })
    assert.deepEqual(report.declined, [
      { method: 'copy_file_range', code: 'NOTHING' },
      { method: 'sendfile', code: 'NOTHING' },
    ])
  })

  it('hands the rest to the next method when one stops early', () => {
    let calls = 0
    const tiring: Kernel = {
      ...machine,
      copyFileRange: (source, from, target, to, length) =>
        ++calls > 1 ? 0 : machine.copyFileRange(source, from, target, to, Math.min(length, 100_001)),
    }
    const report = copyData(tiring, { methods: methods.slice(1) })
    assert.deepEqual(report.bytesByMethod, { copy_file_range: 100_001, sendfile: size - 100_001 })
  })

  it('fails clearly when the allowed methods do not suffice', () => {
    const kernel = declining(machine, 'copyFileRange', 'EPERM')
    const error = { code: 'ERR_ROOTMERGE_NO_METHOD', message: /copy_file_range: EPERM/ }
    assert.throws(() => copyData(kernel, { methods: ['copy_file_range'] }), error)
    const idle: Kernel = { ...machine, copyFileRange: () => 0 }
    assert.throws(() => copyData(idle, { methods: ['copy_file_range'] }), { code: 'ERR_ROOTMERGE_NO_METHOD' })
  })

  it('sees what a method gets wrong (sabotage)', () => {
    const lying: Kernel = { ...machine, sendfile: (_target, _source, _offset, length) => length }
    assert.throws(() => copyData(lying, { methods: ['sendfile', 'read_write'] }), assert.AssertionError)
    const shifted: Kernel = {
      ...machine,
      pwrite: (fd, bytes, offset, length) => machine.pwrite(fd, bytes, offset + 1, length),
    }
    assert.throws(() => copyData(shifted, { methods: ['read_write'] }), assert.AssertionError)
  })
})

describe('DeclineMemory', () => {
  function callsOfTwoCopies(kernel: Kernel, call: Call, kernelRelease?: string): number {
    const { kernel: recorded, calls } = recording(kernel)
    const copier = new Copier(recorded, kernelRelease === undefined ? {} : { kernelRelease })
    withDirectory((directory) => {
      const source = join(directory, 'source')
      fs.writeFileSync(source, dataOf(size))
      for (const name of ['one', 'two']) {
        withDescriptors(source, join(directory, name), (from, to) => copier.copyContents(from, to))
        assertSameBytes(fs.readFileSync(join(directory, name)), dataOf(size))
      }
    })
    return calls.filter((each) => each.call === call && each.args[0] !== AT_FDCWD).length
  }

  it('asks once where the devices decline', () => {
    for (const code of ['EOPNOTSUPP', 'EXDEV', 'ENOTTY'] as const) {
      assert.equal(callsOfTwoCopies(declining(machine, 'ficlone', code), 'ficlone'), 1, code)
    }
  })

  it('asks again for each file where the reason may be the file', () => {
    for (const code of ['EPERM', 'EINVAL', 'EACCES', 'ETXTBSY'] as const) {
      assert.equal(callsOfTwoCopies(declining(machine, 'copyFileRange', code), 'copyFileRange'), 2, code)
    }
  })

  it('asks once where the kernel itself lacks the call', () => {
    assert.equal(callsOfTwoCopies(declining(machine, 'copyFileRange', 'ENOSYS'), 'copyFileRange'), 1)
  })

  it('asks again where only the file system says that the kernel lacks the call', () => {
    const faulty: Kernel = {
      ...machine,
      copyFileRange(source, ...rest) {
        if (source === AT_FDCWD) return machine.copyFileRange(source, ...rest)
        throw new SyscallError('ENOSYS', 'copy_file_range')
      },
    }
    assert.equal(callsOfTwoCopies(faulty, 'copyFileRange'), 2)
  })

  it('never asks a kernel below 5.3 for copy_file_range', () => {
    assert.equal(callsOfTwoCopies(machine, 'copyFileRange', '5.2.21-generic'), 0)
    assert.equal(callsOfTwoCopies(machine, 'copyFileRange', '4.19.0'), 0)
    assert.equal(callsOfTwoCopies(declining(machine, 'ficlone', 'EXDEV'), 'copyFileRange', '5.3.0'), 2)
  })
})

describe('a small file', () => {
  it('costs one read and one write when its stat and its device are given', () =>
    withDirectory((directory) => {
      const source = join(directory, 'source')
      fs.writeFileSync(source, dataOf(4096))
      const { kernel, calls } = recording(retryInterrupted(machine))
      withDescriptors(source, join(directory, 'target'), (from, to) => {
        const stat = machine.fstat(from)
        new Copier(kernel).copyContents(from, to, { stat, freshOn: stat.dev, onChange: 'ignore' })
      })
      assert.deepEqual(
        calls.map((each) => each.call),
        ['pread', 'pwrite'],
      )
    }))
})
