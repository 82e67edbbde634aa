import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { command, run, Terminal } from '../support/command.ts'
import { withDirectory } from '../support/scratch.ts'

/** An image that takes a second or two, in one thread: its files are told in their order. */
function withLongMerge(body: (root: string, args: string[]) => Promise<void>): Promise<void> {
  return withDirectory(async (directory) => {
    const [root, image] = [join(directory, 'root'), join(directory, 'image')]
    fs.mkdirSync(root)
    fs.mkdirSync(join(image, 'd'), { recursive: true })
    for (let n = 0; n < 6000; n++) fs.writeFileSync(join(image, `d/${n}`), 'x')
    await body(root, ['merge', image, '--package', 'p', '--root', root, '--jobs', '1'])
  })
}

describe('signals', function () {
  this.timeout(120_000)

  it('Ctrl-C at a terminal undoes, says so, and exits as a shell expects', () =>
    withLongMerge(async (root, args) => {
      const terminal = new Terminal([...args, '--verbose'])
      await terminal.until(/d\/1000: /)
      terminal.type('\x03')
      assert.equal(await terminal.ended(), 130)
      assert.match(terminal.shown, /rootmerge: SIGINT: undoing … \(again: ends at once, the next run recovers\)/)
      assert.match(terminal.shown, /interrupted by SIGINT: undone, nothing was changed/)
      assert.deepEqual(fs.readdirSync(root), ['var'])
      assert.equal(run('recover', '--root', root).stdout, 'nothing to recover\n')
    }))

  it('a second Ctrl-C ends it at once by the default handler, and the next run recovers', () =>
    withLongMerge(async (root, args) => {
      const terminal = new Terminal([...args, '--verbose']) // a third is staged by d/2999: undoing takes a moment
      await terminal.until(/d\/2999: /)
      terminal.type('\x03')
      await terminal.until(/SIGINT: undoing/)
      terminal.type('\x03')
      assert.equal(await terminal.ended(), 130)
      assert.doesNotMatch(terminal.shown, /undone, nothing was changed/)
      assert.match(run('recover', '--root', root).stdout, /p: what had been staged was removed|nothing to recover/) // the undo may have won
      assert.deepEqual(fs.readdirSync(root), ['var'])
    }))

  it('after a second signal the process has died by it, not exited', () =>
    withLongMerge(async (_, args) => {
      const child = spawn(process.execPath, [command, ...args, '--verbose'], { stdio: ['ignore', 'ignore', 'pipe'] })
      const ended = new Promise<NodeJS.Signals | null>((resolve) => child.on('close', (_, signal) => resolve(signal)))
      let told = ''
      let sent = 0
      child.stderr.on('data', (chunk: Buffer) => {
        told += chunk.toString()
        if (sent === 0 && /d\/2999: /.test(told)) sent += Number(child.kill('SIGTERM'))
        else if (sent === 1 && told.includes('undoing')) sent += Number(child.kill('SIGTERM'))
      })
      assert.equal(await ended, 'SIGTERM')
    }))

  for (const [signal, status] of [
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    it(`${signal} undoes, and exits with ${status}`, () =>
      withLongMerge(async (root, args) => {
        const child = spawn(process.execPath, [command, ...args, '--json'], { stdio: ['ignore', 'pipe', 'ignore'] })
        let events = ''
        child.stdout.on('data', (chunk: Buffer) => {
          events += chunk.toString()
          if (chunk.includes('"stage"')) child.kill(signal)
        })
        const ended = new Promise((resolve) => child.on('close', resolve))
        assert.equal(await ended, status)
        const last = JSON.parse(events.trim().split('\n').at(-1) ?? '') as { code: string; exitCode: number }
        assert.deepEqual([last.code, last.exitCode], ['ERR_ROOTMERGE_INTERRUPTED', status])
        assert.deepEqual(fs.readdirSync(root), ['var'])
      }))
  }
})
