import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { command, expectExit, run } from '../support/command.ts'
import { withDirectory } from '../support/scratch.ts'
import { differencesBetween, type Snapshot, snapshot } from '../support/snapshot.ts'

function withImage(body: (paths: { directory: string; root: string; image: string }) => unknown): unknown {
  return withDirectory((directory) => {
    const [root, image] = [join(directory, 'root'), join(directory, 'image')]
    fs.mkdirSync(root)
    fs.mkdirSync(join(image, 'etc'), { recursive: true })
    fs.writeFileSync(join(image, 'etc/file'), 'bytes')
    return body({ directory, root, image })
  })
}

describe('the command', function () {
  this.timeout(120_000)
  const commands = ['merge', 'unmerge', 'verify', 'list', 'owner', 'recover', 'copy', 'move']

  for (const name of commands) {
    it(`has --help for ${name}`, () => {
      const { stdout } = expectExit(run(name, '--help'), 0)
      assert.match(stdout, new RegExp(`^Usage: rootmerge ${name}`))
    })
  }

  it('merges, lists, verifies, owns and unmerges', () =>
    withImage(({ root, image }) => {
      assert.match(expectExit(run('merge', `${image}=hello-1`, '--root', root), 0).stdout, /^hello-1 merged: 2 entries/)
      assert.equal(expectExit(run('list', '--root', root), 0).stdout, 'hello-1\n')
      assert.equal(expectExit(run('list', 'hello-1', '--root', root), 0).stdout, '/etc\n/etc/file\n')
      assert.equal(expectExit(run('owner', '/etc/file', '--root', root), 0).stdout, '/etc/file: hello-1\n')
      assert.equal(expectExit(run('verify', '--root', root), 0).stdout, 'everything is as recorded\n')
      fs.appendFileSync(join(root, 'etc/file'), '!')
      assert.match(expectExit(run('verify', '--root', root), 1).stdout, /^S\.5\.\.\.\.T\. {4}etc\/file \(hello-1\)$/m)
      assert.match(expectExit(run('unmerge', 'hello-1', '--root', root), 0).stdout, /kept etc\/file: edited/)
      assert.equal(expectExit(run('recover', '--root', root), 0).stdout, 'nothing to recover\n')
    }))

  it('takes names that are no UTF-8, and escapes what it prints', () =>
    withImage(({ directory, root }) => {
      const image = Buffer.concat([Buffer.from(directory), Buffer.from('/\xff odd', 'latin1')])
      fs.mkdirSync(image)
      fs.writeFileSync(Buffer.concat([image, Buffer.from('/\xfe\n', 'latin1')]), 'x')
      expectExit(run('merge', image, '--package', 'odd', '--root', root), 0)
      assert.equal(expectExit(run('list', 'odd', '--root', root), 0).stdout, '/\\376\\012\n')
    }))

  it('prints one JSON event per line where asked', () =>
    withImage(({ root, image }) => {
      const { stdout } = expectExit(run('merge', image, '--package', 'p', '--root', root, '--json'), 0)
      const events = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { event: string })
      assert.equal(events.at(-1)?.event, 'merge')
      assert.ok(events.some(({ event }) => event === 'progress'))
    }))

  it('answers each mistake with its exit code, and says what to do', () =>
    withImage(({ directory, root, image }) => {
      const before = snapshot(root)
      const mistakes: [string[], number, RegExp][] = [
        [['frobnicate'], 2, /unknown command/],
        [['merge', image, '--frobnicate'], 2, /unknown option/],
        [['merge'], 2, /missing required argument/],
        [['merge', image, '--package', 'a b', '--root', root], 2, /not a package name/],
        [['merge', image, '--package', 'p', '--root', join(directory, 'absent')], 2, /not a directory/],
        [['merge', join(directory, 'absent'), '--package', 'p', '--root', root], 2, /does not exist/],
        [['merge', join(image, 'etc/file'), '--package', 'p', '--root', root, '--dry-run'], 1, /./],
        [['unmerge', 'absent', '--root', root], 1, /no package 'absent'/],
        [['verify', 'absent', '--root', root], 1, /no package 'absent'/],
        [['owner', '/nobody', '--root', root], 1, /./],
      ]
      for (const [args, status, message] of mistakes) {
        const outcome = expectExit(run(...args), status)
        assert.match(`${outcome.stderr}${outcome.stdout}`, message, args.join(' '))
      }
      assert.deepEqual(
        [...snapshot(root).keys()].filter((name) => !name.startsWith('var') && !before.has(name)),
        [],
      )
    }))

  it('undoes a merge at Ctrl-C and exits as a shell expects', () =>
    withImage(async ({ root, image }) => {
      for (let n = 0; n < 4000; n++) fs.writeFileSync(join(image, `etc/${n}`), 'x')
      const args = [command, 'merge', image, '--package', 'p', '--root', root, '--json']
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] })
      child.stdout.on('data', (chunk: Buffer) => {
        if (chunk.includes('"stage"')) child.kill('SIGINT')
      })
      const status = await new Promise((resolve) => child.on('close', resolve))
      assert.equal(status, 130)
      assert.deepEqual(fs.readdirSync(root), ['var'])
    }))
})

describe('a killed upgrade', function () {
  this.timeout(300_000)

  it('is the old or the new version after recover, and no staging name is left', () =>
    withImage(async ({ directory, root, image }) => {
      const next = join(directory, 'next')
      fs.cpSync(image, next, { recursive: true })
      for (let n = 0; n < 300; n++) {
        fs.writeFileSync(join(image, `etc/${n}`), `old ${n}`)
        fs.writeFileSync(join(next, `etc/${n + 60}`), `new ${n}`)
      }
      const look = () => snapshot(root, { without: ['var'], directoryTimes: false })
      const versions: Snapshot[] = []
      for (const version of [next, image]) {
        expectExit(run('merge', version, '--package', 'p', '--root', root), 0)
        versions.unshift(look())
      }
      const outcomes = { old: 0, new: 0, recovered: 0 }
      for (let attempt = 0; attempt < 9; attempt++) {
        await killAt(next, root, attempt)
        const { stdout } = expectExit(run('recover', '--root', root, '--json'), 0)
        if ((JSON.parse(stdout) as { action: string }).action !== 'nothing') outcomes.recovered++
        const [toOld, toNew] = versions.map((version) => differencesBetween(look(), version))
        assert.ok(toOld?.length === 0 || toNew?.length === 0, `neither: ${toOld?.slice(0, 3)} / ${toNew?.slice(0, 3)}`)
        outcomes[toOld?.length === 0 ? 'old' : 'new']++
        expectExit(run('verify', '--root', root), 0)
        expectExit(run('merge', image, '--package', 'p', '--root', root), 0)
      }
      process.stdout.write(`      killed ${JSON.stringify(outcomes)}\n`)
      assert.ok(outcomes.recovered > 1, JSON.stringify(outcomes))
    }))

  function killAt(image: string, root: string, attempt: number): Promise<unknown> {
    const args = [command, 'merge', image, '--package', 'p', '--root', root, '--json']
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] })
    const phase = ['"plan"', '"stage"', '"commit"'][attempt % 3] as string
    child.stdout.on('data', (chunk: Buffer) => {
      if (chunk.includes(phase)) setTimeout(() => child.kill('SIGKILL'), (attempt * 7) % 23)
    })
    return new Promise((resolve) => child.on('close', resolve))
  }
})
