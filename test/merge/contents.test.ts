import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { InexpressibleError, list, merge, readContents } from '../../src/merge/index.ts'
import { withDirectory } from '../support/scratch.ts'
import { writeTree } from '../support/tree.ts'

const command = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))

async function withImage(tree: string, body: (root: string, image: string) => Promise<void>): Promise<void> {
  await withDirectory(async (directory) => {
    const [root, image] = [join(directory, 'root'), join(directory, 'image')]
    fs.mkdirSync(root)
    fs.mkdirSync(image)
    writeTree(image, tree)
    await body(root, image)
  })
}

const md5 = (text: string) => createHash('md5').update(text).digest('hex')

const tree = `
d           /usr
f           /usr/plain                 "text" mtime=1234567890.999999999
f           /usr/with\\040blank\\040\\040two  "more" mtime=0
h           /usr/zlink                 == /usr/plain
l           /usr/soft\\040->\\040link         -> a\\040target mtime=77.5
p           /usr/zfifo
`

/** Portage's own pattern for a line (vartree.py, _contents_re), with Python's named groups as JavaScript has them. */
const portagesPattern =
  /^((?<dir>(dev|dir|fif) (.+))|(?<obj>(obj) (.+) (\S+) (\d+))|(?<sym>(sym) (.+) -> (.+) ((\d+)|(?<oldsym>\(\d+, \d+L, \d+L, \d+, \d+, \d+, \d+L, \d+, (\d+), \d+\)))))$/

describe('readContents()', () => {
  it('writes every line as Portage reads it: md5, whole seconds rounded down, blanks in names', () =>
    withImage(tree, async (root, image) => {
      await merge({ root, image, package: 'cat/pkg-1', contents: true, durability: 'none' })
      const lines = Buffer.from(await readContents({ root, package: 'cat/pkg-1' }))
        .toString()
        .split('\n')
      assert.deepEqual(lines, [
        'dir /usr',
        `obj /usr/plain ${md5('text')} 1234567890`,
        'sym /usr/soft -> link -> a target 77',
        `obj /usr/with blank  two ${md5('more')} 0`,
        'fif /usr/zfifo',
        `obj /usr/zlink ${md5('text')} 1234567890`,
        '',
      ])
      for (const line of lines.slice(0, -1)) assert.match(line, portagesPattern)
      const sym = portagesPattern.exec(lines[2] ?? '')
      assert.deepEqual([sym?.[12], sym?.[13]], ['/usr/soft -> link', 'a target'])
    }))

  const beyond: readonly [what: string, line: string, reason: RegExp][] = [
    ['a line feed in a name', 'd /bad\\012name', /line feed/],
    ['a carriage return in a name', 'f /bad\\015name "x"', /carriage return/],
    ['a line feed in a target', 'l /bad -> to\\012there', /line feed/],
    ['a name that is not UTF-8', 'f /bad\\377 "x"', /not UTF-8/],
    ["a target with ' -> ' (which Portage records under another name)", 'l /bad -> to\\040->\\040there', /' -> '/],
    ['a file of before 1970 (which Portage orphans)', 'f /bad "x" mtime=-1.5', /before 1970/],
    ['a target that begins with an arrow', 'l /bad -> ->\\040there', /' -> '/],
    ['a link of before 1970', 'l /bad -> x mtime=-3', /before 1970/],
    ['a socket', 's /bad', /no word/],
  ]
  for (const [what, line, reason] of beyond) {
    it(`refuses ${what}, and the merge that asks for it changes nothing`, () =>
      withImage(`${line}\nf /good "x"\n`, async (root, image) => {
        const refused = (error: unknown) =>
          error instanceof InexpressibleError &&
          error.names.length === 1 &&
          error.names[0]?.name.startsWith('bad') === true &&
          reason.test(error.names[0].reason)
        await assert.rejects(merge({ root, image, package: 'pkg', contents: true, durability: 'none' }), refused)
        assert.deepEqual(await list({ root }), [])
        assert.ok(!fs.existsSync(join(root, 'good')))
        await merge({ root, image, package: 'pkg', durability: 'none' })
        await assert.rejects(readContents({ root, package: 'pkg' }), refused)
      }))
  }

  it('lists every file that is not as recorded: its md5 would be of something else', () =>
    withImage('f /one "1"\nf /two "2"\nf /three "3"', async (root, image) => {
      await merge({ root, image, package: 'pkg', durability: 'none' })
      fs.writeFileSync(join(root, 'one'), 'X')
      fs.rmSync(join(root, 'two'))
      await assert.rejects(
        readContents({ root, package: 'pkg' }),
        (error) => error instanceof InexpressibleError && error.names.map(({ name }) => name).join() === 'one,two',
      )
    }))
})

describe('--contents and --format contents', () => {
  it('write the same bytes', () =>
    withImage(tree, async (root, image) => {
      const file = join(image, '../CONTENTS')
      const run = (...args: string[]) => execFileSync(process.execPath, [command, ...args, '--root', root])
      run('merge', image, '--package', 'pkg', '--contents', file)
      assert.deepEqual(run('list', 'pkg', '--format', 'contents'), fs.readFileSync(file))
    }))

  it('refuse with 1 and list the names', () =>
    withImage('d /bad\\012name', async (root, image) => {
      const args = [command, 'merge', image, '--package', 'pkg', '--contents', join(image, '../C'), '--root', root]
      const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
      assert.equal(status, 1)
      assert.match(stderr, /bad\\012name: a line feed/)
      assert.ok(!fs.existsSync(join(image, '../C')))
    }))
})
