import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { Copier, type CopyOptions, type CopyReport, type Method } from '../../src/filecopy/index.ts'
import { linuxKernel } from '../../src/sys/index.ts'
import { canShare, itOnEach, itOnEachPair } from '../support/filesystems.ts'
import { allocated, assertSameBytes, dataOf, type Segment, withDescriptors, writeLayout } from '../support/layouts.ts'
import { withDirectory } from '../support/scratch.ts'

const kernel = linuxKernel()
const KiB = 1024
const MiB = 1024 * KiB

const layouts: Record<string, readonly Segment[]> = {
  empty: [],
  'one byte': [{ kind: 'data', length: 1 }],
  '64 KiB': [{ kind: 'data', length: 64 * KiB }],
  '64 KiB and one byte': [{ kind: 'data', length: 64 * KiB + 1 }],
  'dense and unaligned': [{ kind: 'data', length: 3 * MiB + 17 }],
  'nothing but a hole': [{ kind: 'hole', length: 5 * MiB }],
  'a hole at the end': [
    { kind: 'data', length: 70 * KiB },
    { kind: 'hole', length: 2 * MiB + 5 },
  ],
  'a hole at the start': [
    { kind: 'hole', length: 2 * MiB },
    { kind: 'data', length: 70 * KiB + 3 },
  ],
  'small with a hole': [
    { kind: 'hole', length: 40 * KiB },
    { kind: 'data', length: 4 * KiB },
  ],
  'many extents': Array.from({ length: 200 }, (_, n) => ({ kind: n % 2 ? 'hole' : 'data', length: 8 * KiB }) as const),
  'unwritten space': [
    { kind: 'data', length: 64 * KiB },
    { kind: 'unwritten', length: 1 * MiB },
    { kind: 'hole', length: 1 * MiB },
    { kind: 'data', length: 10 },
  ],
}

function copy(source: string, target: string, options: CopyOptions = {}): CopyReport {
  return withDescriptors(source, target, (from, to) => new Copier(kernel).copyContents(from, to, options))
}

/** Copies a layout, and compares bytes, size, and room taken. */
function copyLayout(source: string, target: string, segments: readonly Segment[], options: CopyOptions): CopyReport {
  const expected = writeLayout(kernel, source, segments)
  const report = copy(source, target, options)
  assertSameBytes(fs.readFileSync(target), expected)
  assert.equal(report.bytes, expected.length)
  assert.equal(report.changed, false)
  const data = segments.filter((segment) => segment.kind === 'data' || segment.kind === 'zeros').length
  const most = Math.max(allocated(source), 0) + 4 * data
  if (options.sparse !== 'never') {
    assert.ok(allocated(target) <= most, `takes ${allocated(target)} KiB, the source ${allocated(source)}`)
  }
  return report
}

describe('Copier.copyContents()', () => {
  for (const [name, segments] of Object.entries(layouts)) {
    itOnEachPair(`copies ${name}`, (pair) => {
      const [source, target] = [join(pair.sourceDirectory, 'source'), join(pair.targetDirectory, 'target')]
      copyLayout(source, target, segments, {})
    })
  }

  for (const method of ['copy_file_range', 'sendfile', 'read_write'] as const) {
    itOnEach(`copies by ${method} alone`, (directory) => {
      for (const [name, segments] of Object.entries(layouts)) {
        const [source, target] = [join(directory, `${name}-source`), join(directory, `${name}-target`)]
        const report = copyLayout(source, target, segments, { methods: [method] })
        assert.deepEqual(
          Object.keys(report.bytesByMethod).filter((each) => each !== method),
          [],
          name,
        )
      }
    })
  }

  itOnEach('copies as fast as it can with the holes kept', (directory) => {
    for (const [name, segments] of Object.entries(layouts)) {
      copyLayout(join(directory, `${name}-source`), join(directory, `${name}-target`), segments, { methods: 'fastest' })
    }
  })

  itOnEachPair('shares a large file where that goes, and uses the next method that does elsewhere', (pair) => {
    const [source, target] = [join(pair.sourceDirectory, 'source'), join(pair.targetDirectory, 'target')]
    fs.writeFileSync(source, dataOf(1 * MiB + 1))
    const report = copy(source, target)
    const sameFileSystem = pair.source.superblock === pair.target.superblock
    const used = canShare(pair.source, pair.target) ? 'reflink' : sameFileSystem ? 'copy_file_range' : 'sendfile'
    if (process.getuid?.() === 0) assert.deepEqual(report.bytesByMethod, { [used]: 1 * MiB + 1 })
    assert.equal(report.reflinked, used === 'reflink' && process.getuid?.() === 0)
  })

  itOnEach("takes every byte of a sparse file as data with sparse: 'never'", (directory) => {
    const [source, target] = [join(directory, 'source'), join(directory, 'target')]
    const expected = writeLayout(kernel, source, [
      { kind: 'data', length: 4 * KiB },
      { kind: 'hole', length: 1 * MiB },
    ])
    const report = copy(source, target, { sparse: 'never' })
    assertSameBytes(fs.readFileSync(target), expected)
    assert.ok(allocated(target) >= 1 * KiB, `takes ${allocated(target)} KiB`)
    assert.equal(report.holes, 0)
  })

  itOnEach("makes holes of runs of zeros with sparse: 'always'", (directory) => {
    const [source, target] = [join(directory, 'source'), join(directory, 'target')]
    const expected = writeLayout(kernel, source, [
      { kind: 'zeros', length: 1 * MiB },
      { kind: 'data', length: 64 * KiB },
      { kind: 'zeros', length: 1 * MiB },
    ])
    const report = copy(source, target, { sparse: 'always' })
    assertSameBytes(fs.readFileSync(target), expected)
    assert.ok(allocated(target) <= 68, `takes ${allocated(target)} KiB`)
    assert.equal(report.holes, 2 * MiB)
    assert.equal(report.detection, 'zeros')
  })

  itOnEach("shares nothing with reflink: 'never'", (directory) => {
    const [source, target] = [join(directory, 'source'), join(directory, 'target')]
    fs.writeFileSync(source, dataOf(1 * MiB))
    const report = copy(source, target, { reflink: 'never' })
    assert.deepEqual(report.bytesByMethod, { sendfile: 1 * MiB })
  })

  itOnEach("shares or fails with reflink: 'always'", (directory, fileSystem) => {
    if (process.getuid?.() !== 0) return // what the temporary directory can is not known
    const [source, target] = [join(directory, 'source'), join(directory, 'target')]
    for (const size of [1, 1 * MiB]) {
      fs.writeFileSync(source, dataOf(size))
      if (fileSystem.clones)
        assert.deepEqual(copy(source, target, { reflink: 'always' }).bytesByMethod, { reflink: size })
      else assert.throws(() => copy(source, target, { reflink: 'always' }), { syscall: 'ioctl FICLONE' })
    }
  })

  it("refuses reflink: 'always' with a wish about holes", () =>
    withDirectory((directory) => {
      const source = join(directory, 'source')
      fs.writeFileSync(source, 'text')
      assert.throws(() => copy(source, join(directory, 'target'), { reflink: 'always', sparse: 'never' }), TypeError)
    }))

  itOnEach('cuts a longer target to size, and hard links of it see the copy', (directory) => {
    for (const size of [0, 10, 100 * KiB, 128 * KiB]) {
      const [source, target] = [join(directory, 'source'), join(directory, `target-${size}`)]
      fs.writeFileSync(source, dataOf(size))
      fs.writeFileSync(target, Buffer.alloc(1 * MiB, 'old'))
      fs.linkSync(target, `${target}-link`)
      withDescriptors(source, target, (from, to) => new Copier(kernel).copyContents(from, to), 'r+')
      assertSameBytes(fs.readFileSync(`${target}-link`), dataOf(size))
    }
  })

  it('refuses to copy a file over itself, and leaves it as it was', () =>
    withDirectory((directory) => {
      const source = join(directory, 'source')
      fs.writeFileSync(source, 'precious')
      fs.linkSync(source, join(directory, 'link'))
      fs.symlinkSync(source, join(directory, 'symlink'))
      for (const name of ['source', 'link', 'symlink']) {
        const body = (from: number, to: number) => new Copier(kernel).copyContents(from, to)
        assert.throws(() => withDescriptors(source, join(directory, name), body, 'r+'), {
          code: 'ERR_ROOTMERGE_SAME_FILE',
        })
        assert.equal(fs.readFileSync(source, 'utf8'), 'precious')
      }
    }))

  itOnEach('copies into a descriptor that appends, holes included', (directory) => {
    for (const [name, segments] of Object.entries(layouts)) {
      const [source, target] = [join(directory, `${name}-source`), join(directory, `${name}-target`)]
      const expected = writeLayout(kernel, source, segments)
      fs.writeFileSync(target, 'old')
      const body = (from: number, to: number) => new Copier(kernel).copyContents(from, to)
      withDescriptors(source, target, body, 'a')
      assertSameBytes(fs.readFileSync(target), expected)
      assert.ok(allocated(target) <= allocated(source) + 4 * segments.length, name)
    }
  })

  it('leaves the positions of both descriptors alone', () =>
    withDirectory((directory) => {
      const [source, target] = [join(directory, 'source'), join(directory, 'target')]
      writeLayout(kernel, source, layouts['many extents'] ?? [])
      for (const methods of [['copy_file_range'], ['sendfile'], ['read_write']] as Method[][]) {
        withDescriptors(source, target, (from, to) => {
          fs.readSync(from, Buffer.alloc(7))
          fs.writeSync(to, 'abc')
          new Copier(kernel).copyContents(from, to, { methods })
          assert.equal(kernel.lseek(from, 0, 1), 7)
          assert.equal(kernel.lseek(to, 0, 1), 3)
        })
      }
    }))

  it('refuses a directory', () =>
    withDirectory((directory) => {
      const error = { code: 'ERR_ROOTMERGE_NOT_COPYABLE' }
      assert.throws(() => copy(directory, join(directory, 'target')), error)
    }))

  for (const path of ['/proc/self/status', '/proc/cpuinfo', '/proc/version', '/proc/kallsyms', '/proc/self/environ']) {
    it(`copies ${path}, which says that it is empty`, () =>
      withDirectory((directory) => {
        const target = join(directory, 'target')
        const report = copy(path, target)
        assert.ok(report.bytes > 0)
        assert.equal(report.changed, false)
        const expected = fs.readFileSync(path, 'latin1')
        const text = fs.readFileSync(target, 'latin1')
        // Some lines of status count what the process does.
        assert.equal(text.slice(0, 6), expected.slice(0, 6))
        assert.ok(Math.abs(text.length - expected.length) < 100, `${text.length} of ${expected.length} bytes`)
      }))
  }

  it('copies a file of /sys, which says that it is longer', function () {
    const path = '/sys/kernel/mm/transparent_hugepage/enabled'
    if (!fs.existsSync(path)) {
      fs.writeSync(2, `skipped: no ${path}\n`)
      return this.skip()
    }
    return withDirectory((directory) => {
      const target = join(directory, 'target')
      assert.equal(copy(path, target).bytes, fs.readFileSync(path).length)
      assert.equal(fs.readFileSync(target, 'utf8'), fs.readFileSync(path, 'utf8'))
    })
  })

  it('copies the end of a file beyond 4 GiB, and keeps its hole', () =>
    withDirectory((directory) => {
      const [source, target] = [join(directory, 'source'), join(directory, 'target')]
      const offset = 2 ** 32 + 4096 + 1
      const fd = fs.openSync(source, 'w')
      fs.writeSync(fd, dataOf(100), 0, 100, offset)
      fs.closeSync(fd)
      const report = copy(source, target)
      assert.equal(report.bytes, offset + 100)
      const end = Buffer.alloc(200)
      const reading = fs.openSync(target, 'r')
      assert.equal(fs.readSync(reading, end, 0, 200, offset), 100)
      fs.closeSync(reading)
      assertSameBytes(end.subarray(0, 100), dataOf(100))
      assert.ok(allocated(target) <= 8)
    }))
})
