import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { Copier } from '../../src/filecopy/index.ts'
import { linuxKernel } from '../../src/sys/index.ts'
import { canShare, itOnEach, itOnEachPair } from './filesystems.ts'

describe('fileSystems()', () => {
  itOnEach('gives a directory that can be written to', (directory) => {
    fs.writeFileSync(join(directory, 'file'), 'text')
  })

  itOnEachPair('share extents exactly where it is said', (pair) => {
    if (process.getuid?.() !== 0) return // what the temporary directory can is not known
    const source = join(pair.sourceDirectory, 'source')
    fs.writeFileSync(source, Buffer.alloc(1_000_000, 'abc'))
    const fds = [fs.openSync(source, 'r'), fs.openSync(join(pair.targetDirectory, 'target'), 'wx')] as const
    const report = new Copier(linuxKernel()).copyContents(...fds)
    for (const fd of fds) fs.closeSync(fd)
    assert.equal(report.reflinked, canShare(pair.source, pair.target))
  })
})
