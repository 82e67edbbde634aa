// rootmerge history and rootmerge undo, as a user runs them.

import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { eventsOf, expectExit, run } from '../support/command.ts'
import { withDirectory } from '../support/scratch.ts'

/** A root in which hello-1 became hello-2, both of which can be undone. */
function withUpgrade(body: (root: string) => unknown): unknown {
  return withDirectory((directory) => {
    const root = join(directory, 'root')
    fs.mkdirSync(root)
    for (const version of ['1', '2']) {
      const image = join(directory, version)
      fs.mkdirSync(image)
      fs.writeFileSync(join(image, 'file'), `version ${version}`)
      fs.writeFileSync(join(image, `only-${version}`), '')
      expectExit(run('merge', image, '--package', 'hello', '--root', root, '--keep-undo', '2'), 0)
    }
    return body(root)
  })
}

const contents = (root: string): string => fs.readFileSync(join(root, 'file'), 'utf8')
const names = (root: string): string[] => fs.readdirSync(root).filter((name) => name !== 'var')

/** The ids that `history` lists, the newest first. */
function idsOf(root: string): string[] {
  const lines = expectExit(run('history', '--root', root), 0)
    .stdout.split('\n')
    .slice(0, -1)
  return lines.map((line) => {
    const [, id, time, packages] = /^([0-9a-f]{16}) {2}(\S+) {2}(.*)$/.exec(line) ?? []
    assert.ok(id !== undefined && time !== undefined, line)
    assert.equal(new Date(time).toISOString(), time)
    assert.equal(packages, 'hello')
    return id
  })
}

describe('rootmerge undo', function () {
  this.timeout(60_000)

  it('takes the last transaction back, then the one before, and says which', () =>
    withUpgrade((root) => {
      const [last, first] = idsOf(root)
      assert.equal(expectExit(run('undo', '--root', root), 0).stdout, `hello: transaction ${last} is undone\n`)
      assert.deepEqual([contents(root), names(root)], ['version 1', ['file', 'only-1']])
      assert.deepEqual(idsOf(root), [first])
      assert.equal(
        expectExit(run('undo', `${first}`, '--root', root), 0).stdout,
        `hello: transaction ${first} is undone\n`,
      )
      assert.deepEqual(names(root), [])
      assert.equal(expectExit(run('list', '--root', root), 0).stdout, '')
      assert.equal(expectExit(run('history', '--root', root), 0).stdout, '')
      assert.match(expectExit(run('undo', '--root', root), 2).stderr, /Nothing was changed\./)
    }))

  it('is silent with --quiet, and tells all of it in events with --json', () =>
    withUpgrade((root) => {
      const history = eventsOf(expectExit(run('history', '--root', root, '--json'), 0))
      assert.deepEqual(
        history.map(({ event, packages }) => [event, packages]),
        [
          ['transaction', ['hello']],
          ['transaction', ['hello']],
        ],
      )
      const told = eventsOf(expectExit(run('undo', '--root', root, '--json'), 0)).at(-1)
      const { event: _, version: __, ...undone } = history[0] ?? {}
      assert.equal(told?.event, 'undo')
      assert.deepEqual(told?.undone, undone)
      assert.deepEqual([told?.leftOvers, told?.notes], [[], []])
      assert.deepEqual(expectExit(run('undo', '--root', root, '--quiet'), 0), { status: 0, stdout: '', stderr: '' })
      assert.deepEqual(names(root), [])
    }))

  it('is refused where somebody changed what it would take back, and changes nothing', () =>
    withUpgrade((root) => {
      const [last, first] = idsOf(root)
      fs.writeFileSync(join(root, 'file'), 'edited')
      const { stdout, stderr } = expectExit(run('undo', '--root', root), 1)
      assert.equal(stdout, '')
      assert.match(stderr, new RegExp(`transaction ${last} cannot be undone.*\\n {2}file: was changed`))
      assert.deepEqual([contents(root), names(root)], ['edited', ['file', 'only-2']])
      assert.deepEqual(idsOf(root), [last, first])
    }))

  it('says where the ids are when one is not known', () =>
    withUpgrade((root) => {
      const { stderr } = expectExit(run('undo', 'no-such-id', '--root', root), 2)
      assert.match(stderr, /no transaction 'no-such-id' is kept\n.*rootmerge history/)
      assert.equal(contents(root), 'version 2')
    }))
})
