// A journal that is so long that a part of it is written before the flush that makes it count.

import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { recover } from '../../src/merge/index.ts'
import { type Kernel, linuxKernel, SyscallError } from '../../src/sys/index.ts'
import { Crash, wrapKernel } from '../support/kernelDoubles.ts'
import { mergeImages } from '../support/operations.ts'
import { withDirectory } from '../support/scratch.ts'
import { contextOf, mortal } from './scenarios.ts'

const files = 12_000
/** Only the journal is written in such pieces here: the files are empty. */
const earlyBytes = 1024 * 1024

function withImage(body: (at: { root: string; image: string }) => Promise<void>): Promise<void> {
  return withDirectory(async (directory) => {
    const at = { root: join(directory, 'root'), image: join(directory, 'image') }
    fs.mkdirSync(at.root)
    fs.mkdirSync(join(at.image, 'many'), { recursive: true })
    for (let number = 0; number < files; number++)
      fs.writeFileSync(join(at.image, 'many', `${'long-'.repeat(14)}${number}`), '')
    await body(at)
  })
}

/** Whether a call is the writing of records before their flush. */
function isEarly(call: string, args: readonly unknown[]): boolean {
  return call === 'pwrite' && (args[1] as Uint8Array).length >= earlyBytes
}

describe('records that are written early', function () {
  this.timeout(120_000)

  it('leave the root as it was when they cannot be written', () =>
    withImage(async ({ root, image }) => {
      let hits = 0
      const kernel: Kernel = wrapKernel(linuxKernel(), (call, args, proceed) => {
        if (isEarly(call, args) && hits++ === 0) throw new SyscallError('EIO', 'pwrite')
        return proceed(...args)
      })
      await assert.rejects(mergeImages(contextOf(kernel), { root, image, package: 'p' }), { code: 'EIO' })
      assert.ok(hits > 0)
      assert.deepEqual(fs.readdirSync(root), ['var'])
      assert.equal((await recover({ root })).action, 'nothing')
    }))

  it('are discarded when the process dies after them', () =>
    withImage(async ({ root, image }) => {
      let isDead = false
      const process = mortal()
      const kernel: Kernel = wrapKernel(process.kernel, (call, args, proceed) => {
        if (isDead) throw new Crash()
        const result = proceed(...args)
        isDead = isEarly(call, args)
        return result
      })
      await assert.rejects(mergeImages(contextOf(kernel), { root, image, package: 'p' }))
      assert.ok(isDead)
      process.bury()
      assert.equal((await recover({ root })).action, 'discard')
      assert.deepEqual(fs.readdirSync(root), ['var'])
    }))
})
