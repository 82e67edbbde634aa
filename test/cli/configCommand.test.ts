// rootmerge config, by flags alone and on a terminal.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { merge } from '../../src/merge/index.ts'
import { command, type Outcome, Terminal } from '../support/command.ts'
import { withDirectory } from '../support/scratch.ts'

/** Something that is waited for, and what is typed then. */
type Exchange = readonly [expected: string, typed: string]

const text = (version: string, ...changed: [number, string][]) => {
  const lines = Array.from({ length: 12 }, (_, n) => `line ${n}`)
  for (const [n, line] of changed) lines[n] = line
  return `${[version, ...lines].join('\n')}\n`
}

/** Two files whose updates can be merged, and one whose update cannot. */
const versions: Readonly<Record<string, readonly [old: string, live: string, next: string]>> = {
  'a.conf': [text('a'), text('a', [2, 'mine']), text('a', [9, 'theirs'])],
  'b.conf': [text('b'), text('b', [2, 'mine']), text('b', [9, 'theirs'])],
  'c.conf': [text('c'), text('c', [2, 'mine']), text('c', [2, 'theirs'])],
}
const merged = (name: string) => text(name, [2, 'mine'], [9, 'theirs'])

interface Bench {
  readonly root: string
  run(...words: string[]): Outcome
  /** With an editor that is a shell command on "$1". */
  edit(editor: string, ...words: string[]): Outcome
  type(
    words: readonly string[],
    exchanges: readonly Exchange[],
    editor?: string,
  ): Promise<{ status: number | null; shown: string }>
  read(name: string): string
  names(): string[]
}

function withBench(body: (bench: Bench) => unknown): () => unknown {
  return () =>
    withDirectory(async (directory) => {
      const root = join(directory, 'root')
      const etc = join(root, 'etc')
      const environment = { ...process.env, NO_COLOR: '', VISUAL: '', EDITOR: 'false' }
      const editorOf = (script: string) => {
        const path = join(directory, 'editor')
        fs.writeFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 })
        return { ...environment, EDITOR: path }
      }
      const start = (env: NodeJS.ProcessEnv, ...words: string[]) =>
        spawnSync(process.execPath, [command, ...words, '--root', root], { encoding: 'utf8', env })
      const mergeVersion = async (version: number) => {
        const image = join(directory, `image-${version}`)
        fs.mkdirSync(join(image, 'etc'), { recursive: true })
        for (const [name, contents] of Object.entries(versions))
          fs.writeFileSync(join(image, 'etc', name), contents[version] ?? '')
        await merge({ root, image, package: 'p', protect: ['/etc'] })
      }
      fs.mkdirSync(root)
      await mergeVersion(0)
      for (const [name, [, live]] of Object.entries(versions)) fs.writeFileSync(join(etc, name), live)
      await mergeVersion(2)
      return body({
        root,
        run: (...words) => start(environment, ...words),
        edit: (editor, ...words) => start(editorOf(editor), ...words),
        type: (words, exchanges, editor = 'false') =>
          typed(
            new Terminal([...words, '--root', root], {
              env: { ...editorOf(editor), NO_COLOR: undefined, CI: undefined },
            }),
            exchanges,
          ),
        read: (name) => fs.readFileSync(join(etc, name), 'utf8'),
        names: () => fs.readdirSync(etc).sort(),
      })
    })
}

/** Types each answer when its question has come. */
async function typed(terminal: Terminal, exchanges: readonly Exchange[]) {
  let from = 0
  for (const [expected, keys] of exchanges) {
    const text = expected.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
    await terminal.until(new RegExp(`^[^]{${from},}?${text}`))
    from = terminal.shown.indexOf(expected, from) + expected.length
    terminal.type(keys)
  }
  return { status: await terminal.ended(), shown: terminal.shown }
}

const updates = ['._cfg0000_a.conf', '._cfg0000_b.conf', '._cfg0000_c.conf']
const files = Object.keys(versions)

describe('rootmerge config, by flags', function () {
  this.timeout(120_000)

  it(
    'lists, as lines and as events',
    withBench(({ run }) => {
      const { status, stdout } = run('config', 'list')
      assert.equal(status, 0)
      assert.deepEqual(
        stdout.trim().split('\n'),
        files.map((name) => `etc/._cfg0000_${name}  for etc/${name} (p)`),
      )
      assert.equal(run('config').stdout, stdout, 'without an action, not on a terminal')
      const events = run('config', 'list', '--json')
        .stdout.trim()
        .split('\n')
        .map((line) => JSON.parse(line))
      assert.deepEqual(
        events.map(({ event, name }) => [event, name]),
        files.map((name) => ['configUpdate', `etc/${name}`]),
      )
    }),
  )

  it(
    'shows differences and exits with 1, and with 0 when nothing waits',
    withBench(({ run }) => {
      const { status, stdout } = run('config', 'diff', '/etc/a.conf')
      assert.equal(status, 1)
      assert.match(stdout, /^--- etc\/a\.conf\n\+\+\+ etc\/\._cfg0000_a\.conf\n@@ .*\n(.*\n)*-mine\n\+line 2\n/)
      assert.equal(run('config', 'accept', '--all').status, 0)
      assert.deepEqual([run('config', 'diff').status, run('config', 'diff').stdout], [0, ''])
    }),
  )

  it(
    'accepts and rejects by name, by directory, all of them, and refuses to guess',
    withBench(({ run, names, read }) => {
      assert.match(run('config', 'accept').stderr, /say which updates to accept, or --all/)
      assert.equal(run('config', 'accept').status, 2)
      assert.deepEqual(names(), [...updates, ...files])
      assert.match(run('config', 'accept', 'etc/a.conf').stdout, /^etc\/a\.conf is now etc\/\._cfg0000_a\.conf$/m)
      assert.equal(read('a.conf'), versions['a.conf']?.[2])
      assert.match(run('config', 'reject', '/etc/._cfg0000_b.conf').stdout, /^etc\/\._cfg0000_b\.conf rejected$/m)
      assert.equal(run('config', 'reject', '/etc').status, 0)
      assert.deepEqual(names(), files)
      assert.equal(read('c.conf'), versions['c.conf']?.[1])
      const { status, stderr } = run('config', 'accept', '/etc/a.conf')
      assert.equal(status, 1)
      assert.match(stderr, /no update is waiting for '\/?etc\/a\.conf'/)
    }),
  )

  it(
    'merges what has no conflict, exits with 1 for what has, and leaves that as it was',
    withBench(({ run, names, read }) => {
      const { status, stderr } = run('config', 'merge', '--all')
      assert.equal(status, 1)
      assert.match(stderr, /^etc\/c\.conf: 1 conflict$/m)
      assert.deepEqual(names(), ['._cfg0000_c.conf', ...files])
      assert.deepEqual([read('a.conf'), read('b.conf')], [merged('a'), merged('b')])
      assert.equal(read('c.conf'), versions['c.conf']?.[1])
      assert.equal(run('config', 'merge', '--conflicts', 'markers').status, 0)
      assert.match(read('._cfg0000_c.conf'), /^<<<<<<< etc\/c\.conf$/m)
      const refused = run('config', 'accept', '--all')
      assert.equal(refused.status, 1)
      assert.match(refused.stderr, /has conflict markers/)
      assert.equal(read('c.conf'), versions['c.conf']?.[1])
      assert.equal(run('config', 'accept', '--all', '--force').status, 0)
      assert.match(read('c.conf'), /^>>>>>>> /m)
    }),
  )

  for (const [side, index] of [
    ['live', 1],
    ['update', 2],
  ] as const) {
    it(
      `takes the side of ${side} in conflicts where told to`,
      withBench(({ run, read, names }) => {
        assert.equal(run('config', 'merge', '/etc/c.conf', '--conflicts', side).status, 0)
        assert.equal(read('c.conf'), versions['c.conf']?.[index])
        assert.ok(!names().includes('._cfg0000_c.conf'))
      }),
    )
  }

  it(
    'edits by $EDITOR, and changes nothing when that fails or leaves markers',
    withBench(({ edit, read, names }) => {
      assert.equal(edit('exit 3', 'config', 'edit', '/etc/a.conf').status, 1)
      assert.equal(edit('true', 'config', 'merge', '/etc/c.conf', '--conflicts', 'edit').status, 1)
      assert.deepEqual(names(), [...updates, ...files])
      assert.equal(edit('sed -i s/theirs/edited/ "$1"', 'config', 'edit', '/etc/a.conf').status, 0)
      assert.equal(read('a.conf'), text('a', [9, 'edited']))
      const keepOurs = "sed -i -e '/^|||||||/,/^>>>>>>>/d' -e '/^<<<<<<</d' \"$1\""
      assert.equal(edit(keepOurs, 'config', 'merge', '/etc/c.conf', '--conflicts', 'edit').status, 0)
      assert.equal(read('c.conf'), versions['c.conf']?.[1])
    }),
  )
})

describe('rootmerge config, on a terminal', function () {
  this.timeout(120_000)
  const question = '[q]uit? '

  it(
    'shows each update in colour, and accepts, rejects, skips and quits',
    withBench(async ({ type, read, names }) => {
      const { status, shown } = await type(
        ['config'],
        [
          [question, 'd\n'],
          [question, 'a\n'],
          [question, 'r\n'],
          [question, 'x\n'],
          [question, 's\n'],
        ],
      )
      assert.equal(status, 0)
      assert.match(shown, /\[1\/3\] etc\/a\.conf \(p\): etc\/\._cfg0000_a\.conf/)
      assert.ok(shown.includes('\x1b[32m+theirs\x1b[39m') && shown.includes('\x1b[31m-mine\x1b[39m'), shown)
      assert.deepEqual(names(), ['._cfg0000_c.conf', ...files])
      assert.deepEqual([read('a.conf'), read('b.conf')], [versions['a.conf']?.[2], versions['b.conf']?.[1]])
      assert.equal((await type(['config'], [[question, 'q\n']])).status, 0)
      assert.deepEqual(names(), ['._cfg0000_c.conf', ...files])
    }),
  )

  it(
    'merges without conflict, and with one by the editor, which is asked again while markers are left',
    withBench(async ({ type, read, names }) => {
      const first = '[ -e "$0.seen" ] && sed -i -e "/^|||||||/,/^>>>>>>>/d" -e "/^<<<<<<</d" "$1"; : > "$0.seen"'
      const { status, shown } = await type(['config', 'merge', '/etc/a.conf'], [['merged with', '']])
      assert.equal(status, 0, shown)
      assert.equal(read('a.conf'), merged('a'))
      const dialog = await type(
        ['config', '--verbose'],
        [
          [question, 'm\n'],
          [question, 'm\n'],
          ['conflict markers are left', ''],
          [question, 'm\n'],
        ],
        first,
      )
      assert.deepEqual(names(), files, dialog.shown)
      assert.deepEqual([read('b.conf'), read('c.conf')], [merged('b'), versions['c.conf']?.[1]])
    }),
  )

  it(
    'accepts nothing for a file that was changed after it was shown, until it is shown again',
    withBench(async ({ root, type, read }) => {
      const { shown } = await type(
        ['config'],
        [
          [question, 'e\n'],
          ['the editor failed', ''],
          [question, 'a\n'],
          ["etc/a.conf' was changed", ''],
          [question, 'd\n'],
          ['typed meanwhile', ''],
          [question, 'a\n'],
          [question, 'q\n'],
        ],
        `echo typed meanwhile > '${root}/etc/a.conf'; exit 1`,
      )
      assert.equal(read('a.conf'), versions['a.conf']?.[2], shown)
    }),
  )

  it(
    'edits, and asks before it accepts all or rejects',
    withBench(async ({ type, read, names }) => {
      await type(
        ['config'],
        [
          [question, 'e\n'],
          [question, 'q\n'],
        ],
        'echo typed > "$1"',
      )
      assert.equal(read('a.conf'), 'typed\n')
      await type(
        ['config', 'reject'],
        [
          ['reject etc/._cfg0000_b.conf? [y/n/q] ', 'n\n'],
          ['reject etc/._cfg0000_c.conf? [y/n/q] ', 'y\n'],
        ],
      )
      assert.deepEqual(names(), ['._cfg0000_b.conf', ...files])
      const { status } = await type(['config', 'accept', '--all'], [['is now', '']])
      assert.equal(status, 0)
      assert.deepEqual(names(), files)
      assert.equal(read('b.conf'), versions['b.conf']?.[2])
    }),
  )

  it(
    'ends at the end of the input, and at Ctrl-C, with everything else as it was',
    withBench(async ({ type, names }) => {
      assert.equal((await type(['config'], [[question, '\x04']])).status, 0)
      await type(['config'], [[question, '\x03']])
      assert.deepEqual(names(), [...updates, ...files])
    }),
  )

  it(
    'shows control characters of a file as text',
    withBench(async ({ root, type }) => {
      fs.appendFileSync(join(root, 'etc/a.conf'), '\x1b[2J\n')
      const { shown } = await type(['config', 'diff', '/etc/a.conf'], [['\\033[2J', '']])
      assert.ok(!shown.includes('\x1b[2J'), shown)
    }),
  )
})
