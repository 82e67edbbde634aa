import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { Copier, type CopyRange, type CopyReport, type Method } from '../../src/filecopy/index.ts'
import { linuxKernel } from '../../src/sys/index.ts'
import { itOnEach, itOnEachPair } from '../support/filesystems.ts'
import { declining } from '../support/kernelDoubles.ts'
import { allocated, assertSameBytes, dataOf, withDescriptors, writeLayout } from '../support/layouts.ts'
import { withDirectory } from '../support/scratch.ts'

const kernel = linuxKernel()
const KiB = 1024
const MiB = 1024 * KiB

function copyRange(source: string, target: string, range: CopyRange, copier = new Copier(kernel)): CopyReport {
  return withDescriptors(source, target, (from, to) => copier.copyRange(from, to, range), 'r+')
}

/** What the target must hold afterwards, by plain means. */
function overlaid(target: Buffer, source: Buffer, { sourceOffset = 0, targetOffset = 0, length }: CopyRange): Buffer {
  const piece = source.subarray(sourceOffset, length === undefined ? source.length : sourceOffset + length)
  const result = Buffer.alloc(Math.max(target.length, targetOffset + piece.length))
  target.copy(result)
  piece.copy(result, targetOffset)
  return result
}

const sparse = [
  { kind: 'data', length: 100 * KiB },
  { kind: 'hole', length: 300 * KiB },
  { kind: 'data', length: 64 * KiB + 1 },
  { kind: 'hole', length: 200 * KiB },
] as const

const ranges: readonly CopyRange[] = [
  {},
  { sourceOffset: 1, targetOffset: 3 },
  { sourceOffset: 4096, targetOffset: 8192, length: 400 * KiB },
  { sourceOffset: 50 * KiB, targetOffset: 0, length: 1 },
  { sourceOffset: 512, targetOffset: 1024 * KiB + 512, length: 500 * KiB },
  { sourceOffset: 10 * MiB, targetOffset: 7 },
  { sourceOffset: 3, length: 0 },
]

describe('Copier.copyRange()', () => {
  itOnEachPair('copies ranges over old data, holes as zeros', (pair) => {
    const source = join(pair.sourceDirectory, 'source')
    const bytes = writeLayout(kernel, source, sparse)
    for (const [index, range] of ranges.entries()) {
      const target = join(pair.targetDirectory, `target-${index}`)
      const old = Buffer.alloc(1 * MiB, 'old')
      fs.writeFileSync(target, old)
      const report = copyRange(source, target, range)
      assertSameBytes(fs.readFileSync(target), overlaid(old, bytes, range))
      const most = Math.max(0, bytes.length - (range.sourceOffset ?? 0))
      assert.equal(report.bytes, Math.min(range.length ?? most, most))
    }
  })

  itOnEach('copies by each method alone, and moves no position', (directory) => {
    const source = join(directory, 'source')
    const bytes = writeLayout(kernel, source, sparse)
    for (const method of ['copy_file_range', 'sendfile', 'read_write'] as Method[]) {
      const target = join(directory, method)
      fs.writeFileSync(target, 'old')
      const range = { sourceOffset: 5, targetOffset: 1000, length: 450 * KiB }
      withDescriptors(
        source,
        target,
        (from, to) => {
          fs.readSync(from, Buffer.alloc(11))
          const report = new Copier(kernel).copyRange(from, to, range, { methods: [method] })
          assert.deepEqual(Object.keys(report.bytesByMethod), [method])
          assert.deepEqual([kernel.lseek(from, 0, 1), kernel.lseek(to, 0, 1)], [11, 0])
        },
        'r+',
      )
      assertSameBytes(fs.readFileSync(target), overlaid(Buffer.from('old'), bytes, range))
    }
  })

  itOnEach('shares the aligned part where extents can be shared', (directory, fileSystem) => {
    const [source, target] = [join(directory, 'source'), join(directory, 'target')]
    const bytes = dataOf(1 * MiB + 100)
    fs.writeFileSync(source, bytes)
    fs.writeFileSync(target, Buffer.alloc(4 * MiB, 'old'))
    const range = { sourceOffset: 100, targetOffset: 1 * MiB + 100 }
    const report = copyRange(source, target, range)
    assertSameBytes(fs.readFileSync(target), overlaid(Buffer.alloc(4 * MiB, 'old'), bytes, range))
    if (process.getuid?.() === 0) {
      assert.equal(report.bytesByMethod.reflink, fileSystem.clones ? 1 * MiB - 4096 : undefined)
    }
    const end = copyRange(source, target, { sourceOffset: 0, targetOffset: 4 * MiB })
    if (process.getuid?.() === 0) assert.equal(end.reflinked, fileSystem.clones)
    assertSameBytes(fs.readFileSync(target).subarray(4 * MiB), bytes)
  })

  itOnEach('keeps an image sparse that is filled part by part', (directory) => {
    const [source, target] = [join(directory, 'source'), join(directory, 'target')]
    writeLayout(kernel, source, sparse)
    fs.writeFileSync(target, '')
    for (let part = 0; part < 5; part++) copyRange(source, target, { targetOffset: part * 8 * MiB })
    assert.ok(allocated(target) <= 5 * (allocated(source) + 8), `${allocated(target)} KiB`)
  })

  itOnEach('writes what fits, counts it, and fails when the source is longer than the window', (directory) => {
    const [source, target] = [join(directory, 'source'), join(directory, 'target')]
    const old = Buffer.alloc(300 * KiB, 'old')
    for (const [length, window] of [
      [undefined, 250 * KiB],
      [200 * KiB, 250 * KiB],
      [undefined, 100 * KiB],
    ] as const) {
      fs.writeFileSync(source, dataOf(200 * KiB))
      fs.writeFileSync(target, old)
      const range = { targetOffset: 100 * KiB, window, ...(length !== undefined && { length }) }
      const room = window - 100 * KiB
      const error = { code: 'ERR_ROOTMERGE_OUT_OF_BOUNDS', bytesWritten: room }
      assert.throws(() => copyRange(source, target, range), error)
      assertSameBytes(fs.readFileSync(target), overlaid(old, dataOf(room), { targetOffset: 100 * KiB }))
    }
  })

  it('succeeds when the source, or the length that was asked, ends exactly at the window', () =>
    withDirectory((directory) => {
      const [source, target] = [join(directory, 'source'), join(directory, 'target')]
      fs.writeFileSync(source, dataOf(1000))
      fs.writeFileSync(target, '')
      assert.equal(copyRange(source, target, { targetOffset: 24, window: 1024 }).bytes, 1000)
      assert.equal(copyRange(source, target, { targetOffset: 24, window: 524, length: 500 }).bytes, 500)
      assert.equal(copyRange(source, target, { targetOffset: 24, window: 1024, length: 2000 }).bytes, 1000)
    }))

  it('copies nothing when it starts out of bounds', () =>
    withDirectory((directory) => {
      const [source, target] = [join(directory, 'source'), join(directory, 'target')]
      fs.writeFileSync(source, 'text')
      fs.writeFileSync(target, 'old')
      for (const range of [{ targetOffset: 11, window: 10 }, { targetOffset: -1 }]) {
        assert.throws(() => copyRange(source, target, range), { code: 'ERR_ROOTMERGE_OUT_OF_BOUNDS', bytesWritten: 0 })
      }
      assert.equal(fs.readFileSync(target, 'utf8'), 'old')
    }))

  it('refuses numbers that are not exact', () =>
    withDirectory((directory) => {
      const [source, target] = [join(directory, 'source'), join(directory, 'target')]
      fs.writeFileSync(source, 'text')
      fs.writeFileSync(target, '')
      const numbers = [2 ** 53, 2 ** 53 + 2, 1.5, Number.NaN, Number.POSITIVE_INFINITY]
      for (const name of ['sourceOffset', 'targetOffset', 'length', 'window']) {
        for (const number of numbers) assert.throws(() => copyRange(source, target, { [name]: number }), RangeError)
      }
      for (const name of ['sourceOffset', 'length', 'window']) {
        assert.throws(() => copyRange(source, target, { [name]: -1 }), RangeError)
      }
    }))

  it('writes beyond 4 GiB at the exact offset, and near 2^53 is refused or right', () =>
    withDirectory((directory) => {
      const [source, target] = [join(directory, 'source'), join(directory, 'target')]
      fs.writeFileSync(source, dataOf(5000))
      fs.writeFileSync(target, '')
      const offset = 2 ** 32 + 1
      copyRange(source, target, { targetOffset: offset })
      assert.equal(fs.statSync(target).size, offset + 5000)
      const back = join(directory, 'back')
      fs.writeFileSync(back, '')
      copyRange(target, back, { sourceOffset: offset })
      assertSameBytes(fs.readFileSync(back), dataOf(5000))
      const far = { targetOffset: Number.MAX_SAFE_INTEGER - 10 }
      assert.throws(
        () => copyRange(source, target, far),
        (error: { code: string }) => ['EFBIG', 'EINVAL', 'ERR_ROOTMERGE_OUT_OF_BOUNDS'].includes(error.code),
      )
      assert.equal(fs.statSync(target).size, offset + 5000)
    }))

  itOnEach('copies between parts of one file, but not over itself', (directory) => {
    const file = join(directory, 'file')
    const bytes = dataOf(1 * MiB)
    fs.writeFileSync(file, bytes)
    const same = { code: 'ERR_ROOTMERGE_SAME_FILE' }
    assert.throws(() => copyRange(file, file, { targetOffset: 4096 }), same)
    assert.throws(() => copyRange(file, file, { sourceOffset: 4096, length: 8192 }), same)
    assertSameBytes(fs.readFileSync(file), bytes)
    const range = { sourceOffset: 0, targetOffset: 512 * KiB, length: 512 * KiB }
    copyRange(file, file, range)
    assertSameBytes(fs.readFileSync(file), overlaid(bytes, bytes, range))
  })

  it('refuses a descriptor that appends', () =>
    withDirectory((directory) => {
      const [source, target] = [join(directory, 'source'), join(directory, 'target')]
      fs.writeFileSync(source, 'text')
      fs.writeFileSync(target, 'old')
      const body = (from: number, to: number) => new Copier(kernel).copyRange(from, to, { targetOffset: 1 })
      assert.throws(() => withDescriptors(source, target, body, 'a'), { code: 'ERR_ROOTMERGE_APPEND_ONLY' })
      assert.equal(fs.readFileSync(target, 'utf8'), 'old')
    }))

  it('zeroes old data by each means that is left', () =>
    withDirectory((directory) => {
      const source = join(directory, 'source')
      const bytes = writeLayout(kernel, source, sparse)
      for (const code of ['EOPNOTSUPP', 'ENOSYS', 'EINVAL', 'EPERM'] as const) {
        const target = join(directory, code)
        const old = Buffer.alloc(1 * MiB, 'old')
        fs.writeFileSync(target, old)
        const report = copyRange(
          source,
          target,
          {},
          new Copier(declining(declining(kernel, 'fallocate', code), 'ficloneRange', 'EOPNOTSUPP')),
        )
        assertSameBytes(fs.readFileSync(target), overlaid(old, bytes, {}))
        const ways = report.declined.map((decline) => decline.method)
        assert.ok(ways.includes('punch') && ways.includes('zero_range'), ways.join(' '))
      }
    }))

  it('leaves a target as long as it was when it fails', () =>
    withDirectory((directory) => {
      const [source, target] = [join(directory, 'source'), join(directory, 'target')]
      fs.writeFileSync(source, dataOf(1 * MiB))
      fs.writeFileSync(target, 'old')
      const copier = new Copier(declining(kernel, 'copyFileRange', 'ENOSPC'))
      assert.throws(() => copyRange(source, target, { targetOffset: 10 }, copier), { code: 'ENOSPC' })
      assert.equal(fs.readFileSync(target, 'utf8'), 'old')
    }))

  describe('to a block device', () => {
    let device: string | undefined
    let directory: string
    const deviceSize = 4 * MiB

    before(function () {
      if (process.getuid?.() !== 0) {
        fs.writeSync(2, 'skipped: block devices need root\n')
        return this.skip()
      }
      directory = fs.mkdtempSync('/tmp/rootmerge-test-')
      const image = join(directory, 'image')
      fs.writeFileSync(image, Buffer.alloc(deviceSize, 'old'))
      device = execFileSync('losetup', ['--find', '--show', image]).toString().trim()
    })

    after(() => {
      if (device !== undefined) execFileSync('losetup', ['--detach', device])
      if (directory !== undefined) fs.rmSync(directory, { recursive: true, force: true })
    })

    it('writes without copy_file_range, holes as zeros, and not behind its end', () => {
      const target = device as string
      const source = join(directory, 'source')
      const bytes = writeLayout(kernel, source, sparse)
      for (const targetOffset of [1 * MiB, 777]) {
        const before = fs.readFileSync(target)
        const report = copyRange(source, target, { targetOffset })
        assert.equal(report.bytesByMethod.copy_file_range, undefined)
        assertSameBytes(fs.readFileSync(target), overlaid(before, bytes, { targetOffset }))
      }
      const error = { code: 'ERR_ROOTMERGE_OUT_OF_BOUNDS', bytesWritten: 100 * KiB }
      assert.throws(() => copyRange(source, target, { targetOffset: deviceSize - 100 * KiB }), error)
      assert.throws(() => copyRange(source, target, { targetOffset: deviceSize + 1 }), { bytesWritten: 0 })
    })

    it('can be the source, whose zeros become holes', () => {
      const target = join(directory, 'target')
      execFileSync('blkdiscard', ['--zeroout', device as string])
      fs.writeFileSync(device as string, dataOf(64 * KiB))
      const body = (from: number, to: number) => new Copier(kernel).copyContents(from, to)
      const report = withDescriptors(device as string, target, body)
      assert.equal(report.bytes, deviceSize)
      assert.equal(report.holes, deviceSize - 64 * KiB)
      assertSameBytes(fs.readFileSync(target), fs.readFileSync(device as string))
    })
  })
})
