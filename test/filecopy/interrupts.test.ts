import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Copier } from '../../src/filecopy/index.ts'
import { linuxKernel } from '../../src/sys/index.ts'
import { assertSameBytes, dataOf, withDescriptors } from '../support/layouts.ts'
import { withDirectory } from '../support/scratch.ts'

const stormy = fileURLToPath(new URL('../support/signalStorm.js', import.meta.url))

interface Storm {
  readonly signals: number
  readonly interrupted: number
  readonly calls: number
  readonly bytes: number
}

/** Copies in a process that a signal hits every 300 µs, without SA_RESTART. */
function copyInStorm(source: string, target: string, method: string): Storm {
  const child = spawnSync(process.execPath, [stormy, source, target, method], { timeout: 50_000 })
  assert.equal(child.status, 0, child.stderr.toString())
  return JSON.parse(child.stdout.toString())
}

describe('a storm of signals', () => {
  for (const method of ['copy_file_range', 'sendfile', 'read_write']) {
    it(`changes nothing but the number of calls of ${method}`, () =>
      withDirectory((directory) => {
        const [source, target] = [join(directory, 'source'), join(directory, 'target')]
        fs.writeFileSync(source, dataOf(64 * 1024 * 1024))
        const storm = copyInStorm(source, target, method)
        assertSameBytes(fs.readFileSync(target), fs.readFileSync(source))
        assert.ok(storm.signals > 5, `${storm.signals} signals`)
        // Quiet, it takes one call of copy_file_range; interrupted, each call ends with a short count.
        if (method === 'copy_file_range') assert.ok(storm.calls > 12, `${storm.calls} calls`)
        fs.writeSync(1, `      ${method}: ${JSON.stringify(storm)}\n`)
      }))
  }

  it('interrupts waiting for a pipe, which is then waited for again', () =>
    withDirectory((directory) => {
      const target = join(directory, 'target')
      const storm = copyInStorm('slow pipe', target, 'read_write')
      assert.equal(fs.readFileSync(target, 'utf8'), 'slow and steady')
      assert.ok(storm.interrupted >= 1, 'nothing was interrupted')
    }))
})

describe('memory', () => {
  it('does not grow over many copies, and is small for a large one', () => {
    const kernel = linuxKernel()
    const full = process.env.ROOTMERGE_TEST_FULL !== undefined
    withDirectory((directory) => {
      const [source, large, target] = ['source', 'large', 'target'].map((name) => join(directory, name)) as [
        string,
        string,
        string,
      ]
      fs.writeFileSync(source, dataOf(5000))
      fs.writeFileSync(large, '')
      fs.truncateSync(large, 2 ** 33)
      const copier = new Copier(kernel)
      const copyMany = (count: number) => {
        withDescriptors(source, target, (from, to) => {
          for (let n = 0; n < count; n++) copier.copyContents(from, to)
        })
      }
      const buffers = process.memoryUsage().arrayBuffers
      withDescriptors(large, join(directory, 'sparse'), (from, to) =>
        copier.copyContents(from, to, { sparse: 'always' }),
      )
      withDescriptors(large, join(directory, 'dense'), (from, to) =>
        copier.copyRange(from, to, { length: 64 * 1024 * 1024 }, { methods: ['read_write'], sparse: 'never' }),
      )
      assert.ok(process.memoryUsage().arrayBuffers - buffers < 2 * 1024 * 1024, 'buffers of 2 MiB or more')
      const sizes = Array.from({ length: 5 }, () => {
        copyMany(full ? 25_000 : 2000)
        global.gc?.()
        return process.memoryUsage().rss
      })
      // The heap comes and goes by megabytes; what leaks grows every time.
      const growths = sizes.slice(1).map((size, n) => size - (sizes[n] ?? 0))
      assert.ok(Math.min(...growths) < 1024 * 1024, `grew by ${growths} bytes`)
    })
  })
})
