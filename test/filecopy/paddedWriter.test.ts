import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { Copier, PaddedWriter } from '../../src/filecopy/index.ts'
import { linuxKernel } from '../../src/sys/index.ts'
import { itOnEach } from '../support/filesystems.ts'
import { allocated, assertSameBytes, dataOf } from '../support/layouts.ts'

const kernel = linuxKernel()

/** A writer on a new file, which holds `old` already. */
function withWriter<T>(directory: string, old: Buffer, body: (writer: PaddedWriter, path: string) => T): T {
  const path = join(directory, 'image')
  fs.writeFileSync(path, old)
  const fd = fs.openSync(path, 'r+')
  try {
    return body(new PaddedWriter(new Copier(kernel), fd, { offset: 512, window: 1_000_000 }), path)
  } finally {
    fs.closeSync(fd)
  }
}

describe('PaddedWriter', () => {
  for (const as of ['hole', 'bytes'] as const) {
    itOnEach(`writes bytes and files, and pads with ${as}, over old data too`, (directory) => {
      const source = join(directory, 'source')
      fs.writeFileSync(source, dataOf(100_000))
      for (const old of [Buffer.alloc(0), Buffer.alloc(300_000, 'old')]) {
        withWriter(directory, old, (writer, path) => {
          writer.write(Buffer.from('header'))
          assert.equal(writer.pad(512, as), 506)
          const fd = fs.openSync(source, 'r')
          assert.equal(writer.copyFrom(fd).bytes, 100_000)
          assert.equal(writer.copyFrom(fd, 10).bytes, 10)
          fs.closeSync(fd)
          writer.pad(65536, as)
          assert.equal(writer.pad(65536, as), 0)
          assert.equal(writer.written, 131072)
          const expected = Buffer.alloc(Math.max(512 + 131072, old.length))
          old.copy(expected)
          expected.fill(0, 512, 512 + 131072)
          expected.write('header', 512)
          dataOf(100_000).copy(expected, 1024)
          dataOf(10).copy(expected, 101_024)
          assertSameBytes(fs.readFileSync(path), expected)
        })
      }
    })
  }

  itOnEach('leaves padding out where that is asked', (directory) => {
    const path = withWriter(directory, Buffer.alloc(0), (writer, path) => {
      writer.write(Buffer.from('x'))
      writer.pad(512 * 1024)
      writer.write(Buffer.from('y'))
      return path
    })
    // Only now: XFS keeps what it allocates ahead until a file is closed.
    assert.ok(allocated(path) <= 16, `${allocated(path)} KiB`)
    assert.equal(fs.statSync(path).size, 512 + 512 * 1024 + 1)
  })

  itOnEach('writes what fits into its window, counts it, and fails', (directory) => {
    const error = { code: 'ERR_ROOTMERGE_OUT_OF_BOUNDS' }
    const source = join(directory, 'source')
    fs.writeFileSync(source, dataOf(1_000_000))
    const overfill: Record<string, (writer: PaddedWriter) => unknown> = {
      'by bytes': (writer) => writer.write(dataOf(999_489)),
      'by a file': (writer) => {
        const fd = fs.openSync(source, 'r')
        try {
          writer.copyFrom(fd)
        } finally {
          fs.closeSync(fd)
        }
      },
      'by padding': (writer) => {
        writer.write(dataOf(10))
        writer.pad(1_000_000)
      },
    }
    for (const body of Object.values(overfill)) {
      withWriter(directory, Buffer.alloc(0), (writer, path) => {
        assert.throws(() => body(writer), error)
        assert.equal(writer.written, 999_488)
        assert.equal(fs.statSync(path).size, 1_000_000)
        assert.throws(() => writer.write(Buffer.from('x')), error)
        assert.equal(writer.written, 999_488)
      })
    }
  })

  it('refuses an alignment that is none', () => {
    const writer = new PaddedWriter(new Copier(kernel), 0)
    for (const alignment of [0, -1, 1.5, Number.NaN]) assert.throws(() => writer.pad(alignment), RangeError)
  })
})
