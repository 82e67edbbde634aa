import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { list, merge, NoSpaceError } from '../../../src/merge/index.ts'
import { rawMember, rawTar } from '../../support/rawTar.ts'
import { withDirectory } from '../../support/scratch.ts'
import { randomBytes } from '../../support/tree.ts'

const own = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
const cli = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url))
const bytes = rawTar(
  rawMember({ name: 'd/a', payload: 'a', ...own }),
  rawMember({ name: 'd/b', payload: randomBytes(3_000_000), ...own }),
)

function hiddenTrees(root: string): string[] {
  const state = join(root, 'var/lib/rootmerge')
  return fs.existsSync(state) ? fs.readdirSync(state).filter((name) => name.startsWith('.rootmerge-unpacked')) : []
}

async function until(holds: () => boolean): Promise<void> {
  for (let waited = 0; !holds(); waited += 20) {
    assert.ok(waited < 30_000, 'it never came')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

describe('unpacking that is interrupted', function () {
  this.timeout(120_000)

  for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
    it(`by ${signal}: nothing is in the root, and no hidden tree stays`, () =>
      withDirectory(async (root) => {
        const child = spawn(process.execPath, [cli, 'merge', '-', '--package', 'p', '--root', root], {
          stdio: ['pipe', 'ignore', 'ignore'],
        })
        child.stdin.on('error', () => {})
        child.stdin.write(bytes.subarray(0, 1_000_000)) // and no more: it waits for the rest
        await until(() => hiddenTrees(root).some((name) => fs.existsSync(join(root, 'var/lib/rootmerge', name, 'd/b'))))
        const ended = new Promise((resolve) => child.on('close', resolve))
        child.kill(signal)
        await ended
        assert.deepEqual(fs.readdirSync(root), ['var'])
        if (signal === 'SIGKILL') assert.equal(hiddenTrees(root).length, 1)
        const image = join(root, 'var/image')
        fs.writeFileSync(image, bytes)
        await merge({ root, image, package: 'p' })
        assert.deepEqual(hiddenTrees(root), [])
        assert.equal(fs.statSync(join(root, 'd/b')).size, 3_000_000)
      }))
  }

  it('by SIGTERM while a fifo has no writer, nor a list of digests one', () =>
    withDirectory(async (directory) => {
      const [root, image, fifo] = ['root', 'image.tar', 'fifo'].map((name) => join(directory, name)) as [
        string,
        string,
        string,
      ]
      fs.mkdirSync(root)
      fs.writeFileSync(image, bytes)
      execFileSync('mkfifo', [fifo])
      for (const words of [[fifo], [image, '--manifest', fifo]]) {
        const line = ['merge', ...words, '--package', 'p', '--root', root]
        const child = spawn(process.execPath, [cli, ...line], { stdio: 'ignore' })
        const ended = new Promise((resolve) => child.on('close', resolve))
        await until(() => hiddenTrees(root).length > 0)
        child.kill('SIGTERM')
        assert.equal(
          await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 20_000, 'it hangs').unref())]),
          143,
        )
        child.kill('SIGKILL')
        assert.deepEqual([fs.readdirSync(root), hiddenTrees(root)], [['var'], []])
      }
    }))

  it('by a file system that is full: says so, and leaves nothing', async function () {
    if (process.getuid?.() !== 0) {
      process.stderr.write('skipped: mounting needs root\n')
      return this.skip()
    }
    await withDirectory(async (directory) => {
      const root = join(directory, 'root')
      fs.mkdirSync(root)
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'rootmerge-test', root])
      try {
        const image = join(directory, 'image')
        fs.writeFileSync(image, bytes)
        await assert.rejects(merge({ root, image, package: 'p' }), NoSpaceError)
        assert.deepEqual([fs.readdirSync(root), hiddenTrees(root), await list({ root })], [['var'], [], []])
      } finally {
        execFileSync('umount', [root])
      }
    })
  })
})
