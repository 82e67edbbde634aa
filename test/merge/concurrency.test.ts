// Others at the same time: further writers, readers during a commit, and the caller's own event loop.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { list, merge, verify } from '../../src/merge/index.ts'
import { AT_FDCWD, LOCK_EX, LOCK_NB, linuxKernel, O_RDONLY, toName } from '../../src/sys/index.ts'
import { wrapKernel } from '../support/kernelDoubles.ts'
import { LoopWatch } from '../support/loopWatch.ts'
import { mergeImages } from '../support/operations.ts'
import { withDirectory } from '../support/scratch.ts'
import { command, runCommand } from '../support/tracedCommand.ts'
import { writeTree } from '../support/tree.ts'
import { memory, tell } from './outcome.ts'
import { contextOf } from './scenarios.ts'
import { full } from './sweeping.ts'

async function withRoot(body: (paths: { directory: string; root: string }) => Promise<void>): Promise<void> {
  await withDirectory(async (directory) => {
    const root = join(directory, 'root')
    fs.mkdirSync(root)
    await body({ directory, root })
  }, memory)
}

function makeImage(directory: string, name: string, tree: string): string {
  fs.mkdirSync(join(directory, name))
  writeTree(join(directory, name), tree)
  return join(directory, name)
}

describe('several writers of one root', function () {
  this.timeout(300_000)

  it('wait for each other, and all of them are there in the end', () =>
    withRoot(async ({ directory, root }) => {
      const names = ['a', 'b', 'c', 'd', 'e', 'f']
      const images = names.map((name) =>
        makeImage(directory, name, `f /usr/share/${name} "${name}"\nf /opt/new/${name} "${name}"`),
      )
      const [commands, calls] = [images.slice(0, 3), images.slice(3)]
      const ends = await Promise.all([
        ...commands.map((image) => runCommand(['merge', image, '--root', root, '--lock-wait', '120', '--quiet'])),
        ...calls.map((image, index) => merge({ root, image, package: names[index + 3] as string, lockWait: 120 })),
      ])
      for (const end of ends) if ('status' in end) assert.equal(end.status, 0, end.stderr)
      assert.deepEqual(await list({ root }), names)
      assert.deepEqual(await verify({ root }), [])
      assert.deepEqual(fs.readdirSync(join(root, 'opt/new')).sort(), names)
    }))

  it('are told who holds the lock', () =>
    withRoot(async ({ directory, root }) => {
      const image = makeImage(directory, 'image', 'f /file "x"')
      const statuses: (number | null)[] = []
      let said = ''
      const kernel = wrapKernel(linuxKernel(), (call, args, proceed) => {
        if (call === 'renameat' && args[3] === 'file' && statuses.length === 0) {
          const { status, stderr } = spawnSync(process.execPath, [
            command,
            'merge',
            image,
            '--package',
            'q',
            '--root',
            root,
          ])
          statuses.push(status)
          said = stderr.toString()
        }
        return proceed(...args)
      })
      await mergeImages(contextOf(kernel), { root, image, package: 'p' })
      assert.deepEqual(statuses, [1])
      assert.match(said, new RegExp(`process ${process.pid}`))
      assert.deepEqual(await list({ root }), ['p'])
    }))
})

describe('readers during a commit', function () {
  this.timeout(300_000)

  it('are told that a transaction is pending, at every rename of it', () =>
    withRoot(async ({ directory, root }) => {
      const image = makeImage(directory, 'image', 'f /usr/one "1"\nf /opt/two "2"\nf /srv/three "3"')
      const first = makeImage(directory, 'first', 'f /usr/zero "0"')
      await mergeImages(contextOf(linuxKernel()), { root, image: first, package: 'p' })
      const readers = [['list'], ['owner', '/usr/zero'], ['verify'], ['list', 'p']]
      const statuses: (number | null)[] = []
      const kernel = wrapKernel(linuxKernel(), (call, args, proceed) => {
        const result = proceed(...args)
        const reader = readers[statuses.length]
        if (call === 'renameat' && /^\.rootmerge-/.test(`${args[1]}`) && reader !== undefined) {
          statuses.push(spawnSync(process.execPath, [command, ...reader, '--root', root]).status)
        }
        return result
      })
      await mergeImages(contextOf(kernel), { root, image, package: 'p' })
      assert.deepEqual(statuses, [4, 4, 4, 4])
      const after = await runCommand(['owner', '/usr/one', '--root', root])
      assert.equal(after.stdout, '/usr/one: p\n')
    }))

  it('need no lock, and hold none', () =>
    withRoot(async ({ directory, root }) => {
      await merge({ root, image: makeImage(directory, 'image', 'f /file "x"'), package: 'p' })
      const kernel = linuxKernel()
      const fd = kernel.openat(AT_FDCWD, toName(root), O_RDONLY)
      kernel.flock(fd, LOCK_EX | LOCK_NB)
      assert.equal((await runCommand(['list', '--root', root])).stdout, 'p\n')
      kernel.close(fd)
    }))
})

const entries = full ? 1_000_000 : 20_000

describe("a merge's caller", function () {
  this.timeout(3_600_000)

  it('is seen to be held up where it is', async () => {
    const watch = new LoopWatch()
    await wait(5)
    const before = process.cpuUsage()
    while (process.cpuUsage(before).user < 80_000); // of processor time, whoever else wants some
    await wait(5)
    const longest = watch.stop()
    assert.ok(longest > 40, `${longest} ms`)
  })

  it(`is never held up for 50 ms by ${entries} entries`, () =>
    withRoot(async ({ directory, root }) => {
      const image = join(directory, 'image')
      for (let top = 0; top < entries / 1000; top++) {
        fs.mkdirSync(join(image, `${top}`), { recursive: true })
        for (let n = 0; n < 999; n++) fs.writeFileSync(join(image, `${top}/${n}`), '')
        await wait(0)
      }
      // A collection of garbage is not ours to time: three attempts, of which the best counts.
      const longest: number[] = []
      for (let attempt = 0; attempt < 3 && (longest.length === 0 || Math.min(...longest) >= 50); attempt++) {
        const watch = new LoopWatch()
        const report = await merge({
          root,
          image,
          package: `p${attempt}`,
          digest: 'none',
          durability: 'none',
          shareIdentical: true,
        })
        longest.push(watch.stop())
        assert.equal(report.entries, entries)
      }
      tell(
        `the event loop of a merge of ${entries} entries was held up for at most ${longest.map((ms) => ms.toFixed(1)).join(', ')} ms`,
      )
      assert.ok(Math.min(...longest) < 50)
    }))
})
