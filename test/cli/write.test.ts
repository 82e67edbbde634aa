// What becomes of the command's output where it is taken slowly, not to its end, or not at all.

import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as pause } from 'node:timers/promises'
import { linuxKernel, POLLOUT } from '../../src/sys/index.ts'
import { command, expectExit, type Outcome, run } from '../support/command.ts'
import { withDirectory } from '../support/scratch.ts'

const kernel = linuxKernel()

/** A root, and an image whose list is three times what a pipe takes. */
function withScene<T>(body: (scene: { root: string; image: string }) => T): T {
  return withDirectory((directory) => {
    const [root, image] = [join(directory, 'root'), join(directory, 'image')]
    fs.mkdirSync(root)
    fs.mkdirSync(image)
    for (let n = 0; n < 1000; n++) fs.writeFileSync(join(image, `${n}-${'n'.repeat(200)}`), '')
    return body({ root, image })
  })
}

const mergeWords = ({ root, image }: { root: string; image: string }): string[] => [
  ...['merge', image, '--package', 'p', '--root', root],
  ...['--durability', 'none'],
]

/** Runs the command with its standard output, or error, on an open file. */
function runInto(descriptor: number, stream: 1 | 2, ...args: string[]): Outcome {
  const stdio = ['ignore', 'pipe', 'pipe'].map((each, at) => (at === stream ? descriptor : (each as 'ignore' | 'pipe')))
  const { status, stdout, stderr } = spawnSync(process.execPath, [command, ...args], { stdio, encoding: 'utf8' })
  return { status, stdout: stdout ?? '', stderr: stderr ?? '' }
}

/** Runs the command with a stream on a device that is always full. */
function runIntoFull(stream: 1 | 2, ...args: string[]): Outcome {
  const full = fs.openSync('/dev/full', 'w')
  try {
    return runInto(full, stream, ...args)
  } finally {
    fs.closeSync(full)
  }
}

const unwritten = 'rootmerge: not all of its output could be written: ENOSPC: no space left on device, write\n'

describe('output', function () {
  this.timeout(60_000)

  it('arrives whole through a pipe that does not wait for a slow reader', () =>
    withScene(async (scene) => {
      expectExit(run(...mergeWords(scene)), 0)
      const words = ['list', 'p', '--root', scene.root]
      const [reader, waiting] = kernel.pipe()
      const writer = fs.openSync(`/proc/self/fd/${waiting}`, fs.constants.O_WRONLY | fs.constants.O_NONBLOCK)
      kernel.close(waiting)
      // By way of a shell: libuv lets its child's first three descriptors wait.
      const line = ['-c', 'exec "$0" "$@" >&3', process.execPath, command, ...words]
      const child = spawn('/bin/sh', line, { stdio: ['ignore', 'ignore', 'pipe', writer] })
      const ended = once(child, 'close')
      const isFull = () => kernel.poll([{ fd: writer, events: POLLOUT }], 0)[0] === 0
      while (!isFull()) await pause(5)
      await pause(50) // the next write is refused meanwhile
      assert.ok(isFull(), 'nothing was left to write')
      fs.closeSync(writer)
      const [heard, complaints] = await Promise.all([
        text(fs.createReadStream('', { fd: reader })),
        text(child.stderr as NonNullable<typeof child.stderr>),
      ])
      assert.equal(complaints, '')
      assert.deepEqual(await ended, [0, null])
      assert.equal(heard, run(...words).stdout)
      assert.equal(heard.split('\n').length, 1001)
    }))

  it('may be left by a reader that has seen enough', () =>
    withScene((scene) => {
      expectExit(run(...mergeWords(scene)), 0)
      const [reader, writer] = kernel.pipe()
      kernel.close(reader)
      assert.deepEqual(runInto(writer, 1, 'list', 'p', '--root', scene.root), { status: 0, stdout: '', stderr: '' })
      kernel.close(writer)
    }))

  for (const form of [[], ['--json']]) {
    it(`that cannot be written takes nothing back, and is no success ${form.join('')}`, () =>
      withScene((scene) => {
        const outcome = runIntoFull(1, ...mergeWords(scene), ...form)
        assert.deepEqual(outcome, { status: 3, stdout: '', stderr: unwritten })
        assert.equal(expectExit(run('recover', '--root', scene.root), 0).stdout, 'nothing to recover\n')
        assert.equal(expectExit(run('verify', 'p', '--root', scene.root), 0).stdout, 'everything is as recorded\n')
      }))
  }

  it('that cannot be written changes no answer that is no', () =>
    withScene((scene) => {
      expectExit(run(...mergeWords(scene)), 0)
      const [name = ''] = fs.readdirSync(scene.image)
      fs.appendFileSync(join(scene.root, name), '!')
      assert.deepEqual(runIntoFull(1, 'verify', '--root', scene.root), { status: 1, stdout: '', stderr: unwritten })
      assert.equal(runIntoFull(1, 'unmerge', 'absent', '--json', '--root', scene.root).status, 1)
      assert.equal(runIntoFull(2, 'unmerge', 'absent', '--root', scene.root).status, 1)
    }))
})
