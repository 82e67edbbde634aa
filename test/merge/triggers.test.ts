import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { merge, plan, planUnmerge, unmerge } from '../../src/merge/index.ts'
import { run } from '../support/command.ts'
import { withDirectory } from '../support/scratch.ts'
import { writeTree } from '../support/tree.ts'

describe('triggers', function () {
  this.timeout(30_000)
  const triggers = {
    ldconfig: ['usr/lib/*.so*', 'lib/*.so*'],
    systemd: ['/usr/lib/systemd/system/**'],
    icons: ['usr/share/icons/**'],
  }

  it('are told that a merge, its plan and an unmerge touch, by new, changed, removed and aliased names', () =>
    withDirectory(async (directory) => {
      const [root, one, two] = ['root', 'one', 'two'].map((name) => join(directory, name)) as [string, string, string]
      for (const path of [root, one, two]) fs.mkdirSync(path)
      const icon = 'f /usr/share/icons/theme/a.png "i" mtime=1600000000'
      writeTree(root, 'd /usr/lib\nl /lib -> usr/lib')
      writeTree(one, `f /lib/x.so.1 "1"\n${icon}\nf /usr/lib/systemd/system/a.service "1"`)
      writeTree(two, `f /lib/x.so.1 "2"\n${icon}`)
      const touched = async (image: string) => {
        const planned = (await plan({ root, image, package: 'p', triggers })).triggered
        const { triggered } = await merge({ root, image, package: 'p', triggers })
        assert.deepEqual(planned, triggered)
        return triggered
      }
      assert.deepEqual(await touched(one), ['ldconfig', 'systemd', 'icons'])
      assert.deepEqual(await touched(one), [])
      assert.deepEqual(await touched(two), ['ldconfig', 'systemd'])
      assert.deepEqual((await planUnmerge({ root, packages: ['p'], triggers })).triggered, ['ldconfig', 'icons'])
      assert.deepEqual((await unmerge({ root, packages: ['p'], triggers })).triggered, ['ldconfig', 'icons'])
    }))

  it('are given to the command as NAME=PATTERN, several patterns for one name', () =>
    withDirectory((directory) => {
      const [root, image] = [join(directory, 'root'), join(directory, 'image')]
      for (const path of [root, image]) fs.mkdirSync(path)
      writeTree(image, 'f /usr/lib/x.so "1"\nf /etc/x "1"')
      const flags = [
        '--trigger',
        'ldconfig=lib/*.so',
        '--trigger',
        'ldconfig=usr/lib/*.so',
        '--trigger',
        'other=opt/**',
      ]
      const merged = run('merge', image, '--package', 'p', '--root', root, ...flags)
      assert.match(merged.stdout, /^ {2}trigger touched: ldconfig$/m, merged.stderr)
      assert.doesNotMatch(merged.stdout, /other/)
      const events = run('unmerge', 'p', '--root', root, '--json', ...flags)
        .stdout.trim()
        .split('\n')
      assert.deepEqual(JSON.parse(events.at(-1) ?? '').triggered, ['ldconfig'])
      assert.equal(run('merge', image, '--root', root, '--trigger', 'nothing').status, 2)
    }))
})
