import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { withScene } from '../support/twoFileSystems.ts'

const command = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))

function rootmerge(...words: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [command, ...words], { encoding: 'utf8' })
}

describe('rootmerge move', () => {
  it('moves across file systems, and says how where asked', () =>
    withScene({ source: 'f /file "x"\nf /tree/a "y"' }, ({ from, to }) => {
      const quiet = rootmerge('move', join(from, 'file'), join(to, 'file'))
      assert.deepEqual([quiet.status, quiet.stdout, quiet.stderr], [0, '', ''])
      const told = rootmerge('move', '--verbose', join(from, 'tree'), join(to, 'tree'))
      assert.deepEqual([told.status, told.stdout, told.stderr], [0, 'copied 2 objects, 1 B\n', ''])
      assert.equal(rootmerge('move', '--verbose', join(to, 'file'), join(to, 'other')).stdout, 'renamed\n')
      assert.deepEqual(fs.readdirSync(to).sort(), ['other', 'tree'])
      assert.deepEqual(fs.readdirSync(from), [])
    }))

  it('prints one event where asked', () =>
    withScene({ source: 'f /file "x" mtime=5.000000007' }, ({ from, to }) => {
      const { stdout } = rootmerge('move', '--json', '--durability', 'none', join(from, 'file'), join(to, 'file'))
      const { event, method, mtimeNs, lost } = JSON.parse(stdout)
      assert.deepEqual(
        { event, method, mtimeNs, lost },
        { event: 'moved', method: 'copy', mtimeNs: '5000000007', lost: [] },
      )
    }))

  it('refuses a target that is there with --no-replace, and a directory over a file, with 3 and a reason', () =>
    withScene({ source: 'f /file "x"\nd /tree', target: 'f /file "old"' }, ({ from, to }) => {
      const taken = rootmerge('move', '--no-replace', join(from, 'file'), join(to, 'file'))
      assert.equal(taken.status, 3)
      assert.match(taken.stderr, /^rootmerge: EEXIST: file exists, renameat2 '.*' -> '.*'\n$/)
      assert.equal(rootmerge('move', join(from, 'tree'), join(to, 'file')).status, 3)
      assert.equal(fs.readFileSync(join(to, 'file'), 'utf8'), 'old')
    }))

  it('refuses the source itself with 1, and words that it does not know with 2', () =>
    withScene({ source: 'f /file "x"' }, ({ from }) => {
      assert.equal(rootmerge('move', join(from, 'file'), join(from, 'file')).status, 1)
      assert.equal(rootmerge('move', '--metadata', 'perhaps', 'a', 'b').status, 2)
      assert.equal(rootmerge('move', 'a').status, 2)
    }))
})

describe('rootmerge move --target-directory', () => {
  it('moves many, tells of each, and ends with the code of the first that stayed', () =>
    withScene({ source: 'f /one "1"\nf /two "2"' }, ({ from, to }) => {
      const sources = ['one', 'absent', 'two'].map((name) => join(from, name))
      const { status, stdout, stderr } = rootmerge('move', '-t', to, '--verbose', ...sources)
      assert.equal(status, 3)
      assert.equal(stdout, `${sources[0]}: copied 1 object, 1 B\n${sources[2]}: copied 1 object, 1 B\n`)
      assert.match(stderr, /^rootmerge: ENOENT: .*absent'\n {2}Look at the path\.\n$/)
      assert.deepEqual(fs.readdirSync(to).sort(), ['one', 'two'])
      assert.deepEqual(fs.readdirSync(from), [])
    }))

  it('wants exactly two words without it', () => {
    assert.equal(rootmerge('move', 'a', 'b', 'c').status, 2)
    assert.match(rootmerge('move', 'a').stderr, /a source and a target are wanted, or --target-directory/)
  })
})

describe('rootmerge copy --archive', () => {
  it('copies a tree with its metadata', () =>
    withScene({ source: 'f 0640 /tree/file "x" user.note="kept"\nl /tree/link -> file' }, ({ from, to }) => {
      const { status, stderr } = rootmerge('copy', '-a', join(from, 'tree'), join(to, 'tree'))
      assert.deepEqual([status, stderr], [0, ''])
      assert.equal(fs.readlinkSync(join(to, 'tree/link')), 'file')
      assert.equal(fs.lstatSync(join(to, 'tree/file')).mode & 0o7777, 0o640)
    }))
})
