import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Copier, type CopyOptions, type CopyReport } from '../../src/filecopy/index.ts'
import { type Kernel, linuxKernel, SEEK_DATA, SEEK_HOLE } from '../../src/sys/index.ts'
import { type Call, declining, wrapKernel } from '../support/kernelDoubles.ts'
import { assertSameBytes, dataOf, withDescriptors, writeLayout } from '../support/layouts.ts'
import { withDirectory } from '../support/scratch.ts'

/** Without reflink, also where the temporary directory has it. */
const machine = declining(linuxKernel(), 'ficlone', 'EOPNOTSUPP')
const KiB = 1024

/** A kernel that does `meanwhile` right before the first call of one kind. */
function before(call: Call, meanwhile: () => void): Kernel {
  let done = false
  return wrapKernel(machine, (each, args, proceed) => {
    if (each === call && !done) {
      done = true
      meanwhile()
    }
    return proceed(...args)
  })
}

/** Copies a file of `size` bytes, of which `change` makes something else right before a call. */
function copyWhile(call: Call, size: number, change: (source: string) => void, options: CopyOptions = {}) {
  return withDirectory((directory): { report: CopyReport; copied: Buffer } => {
    const [source, target] = [join(directory, 'source'), join(directory, 'target')]
    fs.writeFileSync(source, dataOf(size))
    const copier = new Copier(before(call, () => change(source)))
    try {
      const report = withDescriptors(source, target, (from, to) => copier.copyContents(from, to, options))
      return { report, copied: fs.readFileSync(target) }
    } catch (error) {
      assert.equal(fs.statSync(target).size, 0)
      throw error
    }
  })
}

describe('a source that changes', () => {
  for (const [size, call] of [
    [10 * KiB, 'pread'],
    [500 * KiB, 'copyFileRange'],
    [500 * KiB, 'ficlone'],
  ] as const) {
    for (const shorter of [0, 1, 5 * KiB]) {
      it(`is copied as it is now when it shrinks from ${size} to ${shorter} bytes before ${call}`, () => {
        const { report, copied } = copyWhile(call, size, (source) => fs.truncateSync(source, shorter))
        assert.equal(report.changed, true)
        assert.equal(report.bytes, shorter)
        assertSameBytes(copied, dataOf(size).subarray(0, shorter))
      })
    }

    it(`is copied as long as it was when it grows from ${size} bytes before ${call}`, () => {
      const { report, copied } = copyWhile(call, size, (source) => fs.appendFileSync(source, 'more'))
      assert.equal(report.changed, true)
      assertSameBytes(copied.subarray(0, size), dataOf(size))
      assert.equal(report.bytes, copied.length)
    })

    it(`is an error with onChange: 'fail' when it is written to before ${call}`, () => {
      const change = (source: string) => fs.writeFileSync(source, dataOf(size))
      const error = { code: 'ERR_ROOTMERGE_SOURCE_CHANGED' }
      assert.throws(() => copyWhile(call, size, change, { onChange: 'fail' }), error)
      assert.equal(copyWhile(call, size, change).report.changed, true)
      assert.equal(copyWhile(call, size, change, { onChange: 'ignore' }).report.changed, false)
    })
  }

  it('is copied as it is now when it shrinks after its last byte was read', () => {
    let stats = 0
    withDirectory((directory) => {
      const [source, target] = [join(directory, 'source'), join(directory, 'target')]
      fs.writeFileSync(source, dataOf(500 * KiB))
      const kernel = wrapKernel(machine, (call, args, proceed) => {
        // The first two are of both ends, before; the next one finds out whether the source changed.
        if (call === 'fstat' && ++stats === 3) fs.truncateSync(source, 1000)
        return proceed(...args)
      })
      const copier = new Copier(kernel)
      const options = { methods: ['copy_file_range', 'read_write'] } as const
      const report = withDescriptors(source, target, (from, to) => copier.copyContents(from, to, options))
      assert.equal(report.changed, true)
      assert.equal(report.bytes, 1000)
      assertSameBytes(fs.readFileSync(target), dataOf(1000))
    })
  })

  it('with holes is copied as it is now when it shrinks half-way', () =>
    withDirectory((directory) => {
      const [source, target] = [join(directory, 'source'), join(directory, 'target')]
      const hole = { kind: 'hole', length: 256 * KiB } as const
      const data = { kind: 'data', length: 128 * KiB } as const
      for (const size of [0, 64 * KiB, 200 * KiB, 500 * KiB]) {
        const expected = writeLayout(machine, source, [data, hole, data, hole])
        const kernel = before('copyFileRange', () => fs.truncateSync(source, size))
        const report = withDescriptors(source, target, (from, to) => new Copier(kernel).copyContents(from, to))
        assertSameBytes(fs.readFileSync(target), expected.subarray(0, size))
        assert.equal(report.changed, true)
      }
    }))

  it('whose holes move between the two calls of lseek ends, with the right bytes', () => {
    // The hole is where the data was just found: bounded, then the rest counts as data.
    const racing: Kernel = {
      ...machine,
      lseek: (fd, offset, whence) =>
        whence === SEEK_DATA || whence === SEEK_HOLE ? offset : machine.lseek(fd, offset, whence),
    }
    withDirectory((directory) => {
      const [source, target] = [join(directory, 'source'), join(directory, 'target')]
      const expected = writeLayout(machine, source, [
        { kind: 'data', length: 128 * KiB },
        { kind: 'hole', length: 512 * KiB },
        { kind: 'data', length: 5 },
      ])
      withDescriptors(source, target, (from, to) => new Copier(racing).copyContents(from, to))
      assertSameBytes(fs.readFileSync(target), expected)
    })
  })

  it('is not believed when its map goes backwards or hides what can be read', () => {
    const backwards: Kernel = {
      ...machine,
      lseek: (fd, offset, whence) => {
        if (whence === SEEK_DATA) return 0
        return whence === SEEK_HOLE ? Math.min(offset + 64 * KiB, 640 * KiB) : machine.lseek(fd, offset, whence)
      },
    }
    withDirectory((directory) => {
      const [source, target] = [join(directory, 'source'), join(directory, 'target')]
      const expected = writeLayout(machine, source, [
        { kind: 'hole', length: 512 * KiB },
        { kind: 'data', length: 128 * KiB },
      ])
      withDescriptors(source, target, (from, to) => new Copier(backwards).copyContents(from, to))
      assertSameBytes(fs.readFileSync(target), expected)
    })
  })

  it('is copied without end or error while another process writes, punches and truncates', async function () {
    this.timeout(30_000)
    await withDirectory(async (directory) => {
      const [source, target] = [join(directory, 'source'), join(directory, 'target')]
      fs.writeFileSync(source, dataOf(4096 * KiB))
      const writer = fork(fileURLToPath(new URL('../support/restlessWriter.js', import.meta.url)), [source])
      await new Promise((resolve) => writer.once('message', resolve))
      const end = Date.now() + (process.env.ROOTMERGE_TEST_FULL ? 10_000 : 1500)
      let copies = 0
      while (Date.now() < end) {
        for (const methods of [
          ['copy_file_range', 'read_write'],
          ['sendfile', 'read_write'],
          ['read_write'],
        ] as const) {
          const report = withDescriptors(source, target, (from, to) =>
            new Copier(machine).copyContents(from, to, { methods }),
          )
          assert.equal(fs.statSync(target).size, report.bytes)
          copies++
        }
      }
      writer.kill()
      assert.ok(copies > 10)
    })
  })
})
