import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { Copier, copyFile, copyRange, copyReadable } from '../../src/filecopy/index.ts'
import { CancelFlag, linuxKernel } from '../../src/sys/index.ts'
import { allocated, assertSameBytes, dataOf, writeLayout } from '../support/layouts.ts'
import { withDirectory } from '../support/scratch.ts'

const kernel = linuxKernel()

/** A directory with a fifo and a file of data, and a shell command that can use both. */
async function withFifo(size: number, body: (paths: Record<'fifo' | 'data' | 'target', string>) => unknown) {
  await withDirectory(async (directory) => {
    const paths = { fifo: join(directory, 'fifo'), data: join(directory, 'data'), target: join(directory, 'target') }
    execFileSync('mkfifo', [paths.fifo])
    fs.writeFileSync(paths.data, dataOf(size))
    await body(paths)
  })
}

/** The read end of a pipe that holds `bytes`, whose other end is closed. */
function pipeOf(bytes: Buffer): number {
  const [reading, writing] = kernel.pipe()
  fs.writeSync(writing, bytes)
  fs.closeSync(writing)
  return reading
}

describe('copying from a stream', () => {
  it('copies what a fifo gives', () =>
    withFifo(1_000_000, async ({ fifo, data, target }) => {
      spawn('sh', ['-c', `cat '${data}' > '${fifo}'`])
      const report = await copyFile(fifo, target)
      assert.deepEqual(report.bytesByMethod, { read_write: 1_000_000 })
      assertSameBytes(fs.readFileSync(target), dataOf(1_000_000))
    }))

  it("makes holes of runs of zeros with sparse: 'always'", () =>
    withFifo(0, async ({ fifo, data, target }) => {
      const zeros = { kind: 'zeros', length: 1024 * 1024 } as const
      const expected = writeLayout(kernel, data, [zeros, { kind: 'data', length: 65536 }, zeros])
      spawn('sh', ['-c', `cat '${data}' > '${fifo}'`])
      const report = await copyFile(fifo, target, { sparse: 'always' })
      assertSameBytes(fs.readFileSync(target), expected)
      assert.equal(report.bytes, expected.length)
      assert.ok(allocated(target) <= 80, `${allocated(target)} KiB`)
    }))

  it('writes what fits into the window, and fails when there is one byte more', () =>
    withFifo(0, ({ target }) => {
      const writing = fs.openSync(target, 'w')
      const copier = new Copier(kernel)
      const full = { targetOffset: 10, window: 110 }
      assert.equal(copier.copyRange(pipeOf(dataOf(100)), writing, full).bytes, 100)
      assert.equal(copier.copyRange(pipeOf(dataOf(90)), writing, full).bytes, 90)
      assert.equal(copier.copyRange(pipeOf(dataOf(200)), writing, { ...full, length: 100 }).bytes, 100)
      const error = { code: 'ERR_ROOTMERGE_OUT_OF_BOUNDS', bytesWritten: 100 }
      assert.throws(() => copier.copyRange(pipeOf(dataOf(101)), writing, full), error)
      assert.throws(() => copier.copyRange(pipeOf(dataOf(101)), writing, { ...full, length: 101 }), error)
      fs.closeSync(writing)
      assertSameBytes(fs.readFileSync(target), Buffer.concat([Buffer.alloc(10), dataOf(100)]))
    }))

  it('leaves in the pipe what is behind the length', () =>
    withFifo(0, ({ target }) => {
      const writing = fs.openSync(target, 'w')
      const pipe = pipeOf(dataOf(100))
      new Copier(kernel).copyRange(pipe, writing, { length: 40, window: 40 })
      const rest = Buffer.alloc(100)
      assert.equal(fs.readSync(pipe, rest), 60)
      fs.closeSync(pipe)
      fs.closeSync(writing)
    }))

  it('copies from a device that never ends, as much as is asked', () =>
    withFifo(0, async ({ target }) => {
      await copyFile('/dev/zero', target, { range: { length: 1_000_000 } })
      assertSameBytes(fs.readFileSync(target), Buffer.alloc(1_000_000))
    }))

  it('ends soon after it is cancelled, while the fifo gives nothing, and removes what it made', () =>
    withFifo(0, async ({ fifo, target }) => {
      const writer = fs.openSync(fifo, fs.constants.O_RDWR)
      const controller = new AbortController()
      const copying = copyFile(fifo, target, { signal: controller.signal })
      setTimeout(() => controller.abort(), 100)
      await assert.rejects(copying, { name: 'AbortError' })
      assert.equal(fs.existsSync(target), false)
      fs.closeSync(writer)
    }))

  it('waits for the writer of a fifo, and can be cancelled meanwhile', () =>
    withFifo(0, async ({ fifo, target }) => {
      const signal = AbortSignal.timeout(100)
      await assert.rejects(copyFile(fifo, target, { signal }), { name: 'TimeoutError' })
      assert.equal(fs.existsSync(target), false)
    }))
})

describe('copyReadable()', () => {
  it('copies what a Readable gives, into a window', () =>
    withFifo(1_000_000, async ({ data, target }) => {
      const report = await copyReadable(fs.createReadStream(data), target)
      assert.equal(report.bytes, 1_000_000)
      assertSameBytes(fs.readFileSync(target), dataOf(1_000_000))
      await copyReadable(Readable.from(['one', 'two']), target, { range: { targetOffset: 10 } })
      assert.equal(fs.readFileSync(target).toString('latin1', 10, 16), 'onetwo')
      assert.equal((await copyReadable(Readable.from([]), target)).bytes, 0)
    }))

  it('ends the source, and fails, when it gives more than the window holds', () =>
    withFifo(0, async ({ target }) => {
      let given = 0
      async function* endless() {
        for (;;) {
          given++
          yield Buffer.alloc(1000)
        }
      }
      const range = { window: 5500 }
      const error = { code: 'ERR_ROOTMERGE_OUT_OF_BOUNDS', bytesWritten: 5500 }
      await assert.rejects(copyReadable(endless(), target, { range }), error)
      const before = given
      await new Promise((resolve) => setTimeout(resolve, 50))
      assert.equal(given, before)
    }))

  it('keeps nothing in memory of what it has copied', () =>
    withFifo(0, async ({ target }) => {
      const given: WeakRef<Buffer>[] = []
      const chunk = () => {
        const bytes = Buffer.alloc(100_000)
        given.push(new WeakRef(bytes))
        return bytes
      }
      let kept = Number.NaN
      async function* several() {
        for (let n = 0; n < 20; n++) yield chunk()
        await new Promise((resolve) => setTimeout(resolve, 10))
        global.gc?.()
        kept = given.filter((each) => each.deref() !== undefined).length
      }
      await copyReadable(several(), target)
      assert.ok(kept <= 2, `${kept} of 20`)
    }))

  it("rejects with the source's error, and removes what it made", () =>
    withFifo(0, async ({ target }) => {
      async function* failing() {
        yield 'something'
        throw new Error('the source broke')
      }
      await assert.rejects(copyReadable(failing(), target), { message: 'the source broke' })
      assert.equal(fs.existsSync(target), false)
    }))

  it('can be cancelled while the source gives nothing', () =>
    withFifo(0, async ({ target }) => {
      const silent = new Readable({ read() {} })
      const signal = AbortSignal.timeout(100)
      await assert.rejects(copyReadable(silent, target, { signal }), { name: 'TimeoutError' })
      assert.equal(fs.existsSync(target), false)
      assert.equal(silent.destroyed, true)
    }))

  it('leaves no descriptor behind', () =>
    withFifo(0, async ({ target }) => {
      const count = () => fs.readdirSync('/proc/self/fd').length
      await copyReadable(Readable.from(['text']), target)
      const before = count()
      for (let n = 0; n < 5; n++) await copyReadable(Readable.from(['text']), target)
      assert.ok(count() <= before)
    }))
})

describe('copying to a stream', () => {
  it('writes all of a file with holes into a fifo', () =>
    withFifo(0, async ({ fifo, data, target }) => {
      const part = { kind: 'data', length: 200_000 } as const
      const expected = writeLayout(kernel, data, [part, { kind: 'hole', length: 1_000_000 }, part])
      const reader = spawn('sh', ['-c', `cat '${fifo}' > '${target}'`])
      const ended = new Promise((resolve) => reader.on('close', resolve))
      await copyFile(data, fifo)
      await ended
      assertSameBytes(fs.readFileSync(target), expected)
    }))

  it('can be cancelled while nobody reads', () =>
    withFifo(1_000_000, async ({ fifo, data }) => {
      await assert.rejects(copyFile(data, fifo, { signal: AbortSignal.timeout(100) }), { name: 'TimeoutError' })
      const [reading, writing] = kernel.pipe() // blocking, and full at 64 KiB
      const source = fs.openSync(data, 'r')
      const signal = AbortSignal.timeout(200)
      await assert.rejects(copyRange(source, writing, {}, { signal }), { name: 'TimeoutError' })
      for (const fd of [source, reading, writing]) fs.closeSync(fd)
      assert.ok(fs.existsSync(fifo))
    }))

  it('fails when the reader has gone', () =>
    withFifo(1_000_000, ({ data }) => {
      const [reading, writing] = kernel.pipe()
      fs.closeSync(reading)
      const source = fs.openSync(data, 'r')
      assert.throws(() => new Copier(kernel).copyContents(source, writing), { code: 'EPIPE' })
      fs.closeSync(writing)
      fs.closeSync(source)
    }))

  it('writes to a device that takes everything', () =>
    withFifo(1_000_000, async ({ data }) => {
      assert.equal((await copyFile(data, '/dev/null')).bytes, 1_000_000)
    }))
})

describe('cancelling', () => {
  it('takes effect between two calls, and empties the target', () =>
    withFifo(64 * 1024 * 1024, ({ data, target }) => {
      const cancel = new CancelFlag()
      let moved = 0
      const onProgress = (bytes: number) => {
        moved += bytes
        cancel.raise()
      }
      const [source, writing] = [fs.openSync(data, 'r'), fs.openSync(target, 'w')]
      const copier = new Copier(kernel, { cancel, onProgress })
      assert.throws(() => copier.copyContents(source, writing, { reflink: 'never' }), { name: 'Cancelled' })
      assert.ok(moved <= 16 * 1024 * 1024, `${moved} bytes were moved`)
      assert.equal(fs.fstatSync(writing).size, 0)
      fs.closeSync(source)
      fs.closeSync(writing)
    }))
})
