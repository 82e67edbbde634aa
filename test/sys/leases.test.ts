import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { copyFile } from '../../src/filecopy/index.ts'
import { copyTree } from '../../src/movefile/index.ts'
import { engineContext } from '../../src/sys/engineThread.ts'
import {
  AT_FDCWD,
  CancelFlag,
  type Kernel,
  linuxKernel,
  O_NONBLOCK,
  O_RDONLY,
  SyscallError,
} from '../../src/sys/index.ts'
import { withDirectory } from '../support/scratch.ts'

const holder = fileURLToPath(new URL('../support/leaseHolder.js', import.meta.url))

/** Every file has a lease, which nobody gives back. */
function leased(): { kernel: Kernel; pauses: () => number } {
  let pauses = 0
  const kernel: Kernel = {
    ...linuxKernel(),
    openat() {
      throw new SyscallError('EAGAIN', 'openat')
    },
    poll() {
      pauses++
      return []
    },
  }
  return { kernel, pauses: () => pauses }
}

describe('waitForLeases()', () => {
  for (const [what, copy] of Object.entries({ copyFile, copyTree })) {
    it(`lets ${what} copy a file on which another process has a lease`, () =>
      withDirectory(async (directory) => {
        const [source, target] = [join(directory, 'source'), join(directory, 'target')]
        fs.writeFileSync(source, 'leased')
        const process = spawn(globalThis.process.execPath, [holder, source], { stdio: ['ignore', 'pipe', 'inherit'] })
        try {
          await once(process.stdout, 'data')
          await copy(source, target)
          assert.equal(fs.readFileSync(target, 'utf8'), 'leased')
        } finally {
          process.kill()
        }
      }))
  }

  it('gives up after a minute, and at once where the caller may be blocked', () => {
    const { kernel, pauses } = leased()
    const waiting = engineContext(kernel).kernel
    assert.throws(() => waiting.openat(AT_FDCWD, '/', O_RDONLY), { code: 'EAGAIN' })
    assert.equal(pauses(), 0)
    assert.throws(() => waiting.openat(AT_FDCWD, '/', O_RDONLY | O_NONBLOCK), { code: 'EAGAIN' })
    assert.equal(pauses(), 3000)
  })

  it('can be cancelled', () => {
    const cancel = new CancelFlag()
    cancel.raise()
    const waiting = engineContext(leased().kernel, cancel).kernel
    assert.throws(() => waiting.openat(AT_FDCWD, '/', O_NONBLOCK), { name: 'Cancelled' })
  })
})
