import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { commands } from '../../src/cli/commands.ts'
import { withDirectory } from '../support/scratch.ts'

const project = fileURLToPath(new URL('../../..', import.meta.url))
const published = join(project, 'dist')
const { exports } = JSON.parse(fs.readFileSync(join(project, 'package.json'), 'utf8')) as {
  exports: Record<string, { default: string }>
}
const entryPoints = Object.entries(exports).flatMap(([name, { default: file }]) =>
  file ? [[name, file] as const] : [],
)

function run(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(published, 'cli/main.cjs'), ...args], {
    encoding: 'utf8',
  })
  assert.equal(status, 0, `${args.join(' ')}: ${stdout}${stderr}`)
  return stdout
}

describe('the published modules', function () {
  this.timeout(60_000)

  for (const [name, file] of entryPoints) {
    it(`export from ${name} what the sources export`, async () => {
      const ours = (await import(join(project, file))) as object
      const sources = (await import(join(project, file.replace('/dist/', '/build/src/')))) as object
      assert.deepEqual(Object.keys(ours), Object.keys(sources))
      assert.ok(fs.existsSync(join(project, file.replace(/\.js$/, '.d.ts'))))
    })
  }

  it('are one copy of each class, whichever entry point it comes from', async () => {
    const [root, merge] = await Promise.all(
      ['index.js', 'merge/index.js'].map((file) => import(join(published, file)) as Promise<Record<string, unknown>>),
    )
    assert.equal(typeof root?.CollisionError, 'function')
    assert.equal(root?.CollisionError, merge?.CollisionError)
  })

  for (const { name } of commands) {
    it(`have the command ${name}`, () => {
      assert.match(run(name, '--help'), new RegExp(`^Usage: rootmerge ${name}`))
    })
  }

  it('merge in threads, verify in threads and move in a thread', () =>
    withDirectory(async (directory) => {
      const [root, image] = [join(directory, 'root'), join(directory, 'image')]
      for (const each of [root, image]) fs.mkdirSync(each)
      for (let n = 0; n < 1200; n++) fs.writeFileSync(join(image, `${n}`), `${n}`)
      run('merge', image, '--package', 'p', '--root', root, '--durability', 'none', '--jobs', '2')
      run('verify', '--root', root, '--jobs', '2')
      assert.equal(fs.readFileSync(join(root, '1199'), 'utf8'), '1199')
      run('move', join(image, '7'), join(directory, 'seven'))
      assert.equal(fs.readFileSync(join(directory, 'seven'), 'utf8'), '7')
    }))

  it('fail with 13, as Node does, when a command waits for what never comes', () =>
    withDirectory((directory) => {
      const preload = join(directory, 'preload.cjs')
      fs.writeFileSync(
        preload,
        `const Module = require('node:module')
         const { _load: load } = Module
         const never = { listCommand: () => new Promise(() => {}) }
         Module._load = (name, ...rest) => (name.endsWith('listCommand.cjs') ? never : load(name, ...rest))`,
      )
      const main = join(published, 'cli/main.cjs')
      assert.equal(spawnSync(process.execPath, ['--require', preload, main, 'list', '--help']).status, 13)
      assert.equal(spawnSync(process.execPath, ['--require', preload, main, 'verify', '--help']).status, 0)
    }))

  it('run the main program once through a link, as npm makes one', () =>
    withDirectory((directory) => {
      const link = join(directory, 'rootmerge')
      fs.symlinkSync(join(published, 'cli/main.cjs'), link)
      assert.equal(spawnSync(process.execPath, [link, '--version'], { encoding: 'utf8' }).stdout, run('--version'))
    }))
})
