// What is known of unpacked files: each by its name, and nothing that a later member made untrue.

import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { MadeFiles } from '../../../src/merge/archive/madeFiles.ts'
import { AT_FDCWD, linuxKernel, toName } from '../../../src/sys/index.ts'
import { withDirectory } from '../../support/scratch.ts'

describe('what is known of unpacked files', () => {
  const kernel = linuxKernel()
  const digestOf = (number: number) => Buffer.alloc(32, number)

  function statOfNewFile(bytes: number) {
    return withDirectory((directory) => {
      const path = join(directory, 'file')
      fs.writeFileSync(path, Buffer.alloc(bytes))
      return kernel.statat(AT_FDCWD, toName(path))
    })
  }

  it('is there for each of many files', () => {
    const files = new MadeFiles()
    const stats = [1, 2, 3].map(statOfNewFile)
    for (let number = 0; number < 3000; number++) {
      const stat = stats[number % 3]
      assert.ok(stat)
      files.set(`f${number}`, { digest: digestOf(number % 256), stat })
    }
    for (const number of [0, 1, 1023, 1024, 2999]) {
      assert.deepEqual(Buffer.from(files.digestOf(`f${number}`) ?? []), digestOf(number % 256))
      assert.equal(files.statOf(`f${number}`)?.size, (number % 3) + 1)
      assert.equal(files.statOf(`f${number}`)?.ino, stats[number % 3]?.ino)
    }
    assert.equal(files.digestOf('f3000'), undefined)
    assert.equal(files.statOf('f3000'), undefined)
  })

  it('does not say what a file with several names is', () => {
    const files = new MadeFiles()
    files.set('first', { digest: digestOf(1), stat: statOfNewFile(1) })
    files.set('alone', { digest: digestOf(2), stat: statOfNewFile(2) })
    files.link('second', 'first')
    files.link('other', 'no file')
    for (const name of ['first', 'second']) {
      assert.equal(files.statOf(name), undefined)
      assert.deepEqual(Buffer.from(files.digestOf(name) ?? []), digestOf(1))
    }
    assert.equal(files.statOf('alone')?.size, 2)
    assert.equal(files.digestOf('other'), undefined)
  })

  it('is forgotten when a later member takes the name', () => {
    const files = new MadeFiles()
    files.set('name', { digest: digestOf(1), stat: statOfNewFile(1) })
    files.delete('name')
    assert.equal(files.statOf('name'), undefined)
    assert.equal(files.digestOf('name'), undefined)
    files.set('name', { digest: digestOf(2), stat: statOfNewFile(2) })
    assert.equal(files.statOf('name')?.size, 2)
  })

  it('has no digest where none was taken', () => {
    const files = new MadeFiles()
    files.set('name', { digest: undefined, stat: statOfNewFile(4) })
    assert.equal(files.digestOf('name'), undefined)
    assert.equal(files.statOf('name')?.size, 4)
  })
})
