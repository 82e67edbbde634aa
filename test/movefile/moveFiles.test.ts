import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { availableParallelism } from 'node:os'
import { basename, join } from 'node:path'
import { type MoveProgress, moveFiles } from '../../src/movefile/index.ts'
import { canBeShared } from '../../src/movefile/twoThreads.ts'
import { compareTrees } from '../support/compareTrees.ts'
import { withScene } from '../support/twoFileSystems.ts'

const many = Array.from({ length: 3000 }, (_, number) => `f /${number} "${number}"`).join('\n')

/** The paths of a directory's members. */
function membersOf(directory: string): string[] {
  return fs.readdirSync(directory).map((name) => join(directory, name))
}

describe('moveFiles()', () => {
  for (const sameFileSystem of [true, false]) {
    const way = sameFileSystem ? 'by renames' : 'by copies'
    it(`moves thousands, ${way}`, () =>
      withScene({ source: many, sameFileSystem }, async ({ from, to }) => {
        const results = await moveFiles(membersOf(from), to, { durability: 'none' })
        const methods = results.map((result) => result.status === 'fulfilled' && result.value.method)
        assert.deepEqual(new Set(methods), new Set([sameFileSystem ? 'rename' : 'copy']))
        assert.deepEqual(fs.readdirSync(from), [])
        assert.equal(fs.readdirSync(to).length, 3000)
        for (const name of fs.readdirSync(to)) assert.equal(fs.readFileSync(join(to, name), 'utf8'), name)
      }))

    it(`keeps names of one file names of one file, ${way}`, () =>
      withScene(
        { source: 'f 0640 /a "x"\nh /b == /a\nf /c "c"\nh /d == /a\nl /e -> a', sameFileSystem },
        async (scene) => {
          const { from, to } = scene
          const results = await moveFiles(membersOf(from).sort(), to)
          assert.ok(results.every(({ status }) => status === 'fulfilled'))
          const inodes = ['a', 'b', 'd'].map((name) => fs.lstatSync(join(to, name)).ino)
          assert.equal(new Set(inodes).size, 1)
          assert.equal(fs.lstatSync(join(to, 'a')).nlink, 3)
          assert.deepEqual(fs.readdirSync(from), [])
        },
      ))
  }

  it('takes a source with a slash at its end for a directory', () =>
    withScene({ source: 'f /file "x"\nf /tree/a "a"\nl /link -> tree' }, async ({ from, to }) => {
      const results = await moveFiles([`${from}/file/`, `${from}/tree/`, `${from}/link/`], to)
      const answers = results.map((result) => (result.status === 'rejected' ? result.reason.code : result.value.method))
      assert.deepEqual(answers, ['ENOTDIR', 'copy', 'ENOTDIR'])
      assert.deepEqual(fs.readdirSync(from).sort(), ['file', 'link'])
    }))

  it('keeps links, order and progress when two threads move thousands', () =>
    withScene({ source: `${many}\nf /linked "l"\nh /0-link == /linked\nh /z-link == /linked` }, async (scene) => {
      const { from, to } = scene
      const sources = [...membersOf(from), join(from, 'absent')]
      fs.mkdirSync(join(to, '17'))
      let entries = 0
      const options = {
        durability: 'none',
        onProgress: (progress: MoveProgress) => (entries = progress.entries),
      } as const
      const results = await moveFiles(sources, to, options)
      assert.equal(results.length, sources.length)
      const refused = sources.filter((_, index) => results[index]?.status === 'rejected')
      assert.deepEqual(refused, [join(from, '17'), join(from, 'absent')])
      const codes = results.flatMap((result) => (result.status === 'rejected' ? [result.reason.code] : []))
      assert.deepEqual(codes, ['EISDIR', 'ENOENT'])
      assert.deepEqual(fs.readdirSync(from), ['17'])
      const inodes = ['linked', '0-link', 'z-link'].map((name) => fs.lstatSync(join(to, name)).ino)
      assert.equal(new Set(inodes).size, 1)
      assert.equal(fs.lstatSync(join(to, 'linked')).nlink, 3)
      assert.equal(entries, 3000) // two of the links are no copies, and one of the files was refused
      for (const [index, result] of results.entries()) {
        if (result.status !== 'fulfilled' || result.value.copy === undefined) continue
        assert.equal(result.value.copy.bytes, fs.statSync(join(to, basename(sources[index] as string))).size)
      }
    }))

  it('shares only what cannot be told from moves one after the other', () => {
    const names = (prefix: string) => Array.from({ length: 2000 }, (_, index) => `${prefix}${index}`)
    assert.equal(canBeShared(names('/d/')), availableParallelism() > 1)
    assert.equal(canBeShared(names('')), availableParallelism() > 1)
    assert.equal(canBeShared(names('/d/').slice(1)), false)
    for (const other of ['/d/1', '/d', '/d/', '/e/1', '/d/1/member', '/d/x/', 'relative']) {
      assert.equal(canBeShared([...names('/d/'), other]), false, other)
    }
  })

  it('moves every type as moving one by one does', () => {
    const source = 'f 0640 /file "x" user.note="kept"\nl /link -> file\np 0620 /fifo\nd 0750 /tree\nf /tree/member "m"'
    return withScene({ source }, ({ from, to }) =>
      withScene({ source }, async (expected) => {
        await moveFiles(membersOf(from), to)
        const differences = compareTrees(expected.from, to)
        assert.deepEqual(
          differences.filter((difference) => !difference.startsWith('(top)')),
          [],
        )
      }),
    )
  })

  it('leaves what cannot be moved, says why in its place, and goes on', () =>
    withScene(
      { source: 'f /one "1"\nd /two\nf /three "3"\nf /sub/one "other"', target: 'f /two "in the way"' },
      async (scene) => {
        const { from, to } = scene
        const sources = ['one', 'absent', 'two', 'three', 'sub/one'].map((name) => join(from, name))
        const results = await moveFiles([...sources, `${from}/.`], to)
        assert.deepEqual(
          results.map((result) => (result.status === 'fulfilled' ? 'moved' : result.reason.code)),
          ['moved', 'ENOENT', 'ENOTDIR', 'moved', 'EEXIST', 'EBUSY'],
        )
        assert.equal(fs.readFileSync(join(to, 'one'), 'utf8'), '1')
        assert.equal(fs.readFileSync(join(from, 'sub/one'), 'utf8'), 'other')
        assert.deepEqual(fs.readdirSync(from).sort(), ['sub', 'two'])
      },
    ))

  it('moves nothing when the directory is none, and nothing when there is nothing', () =>
    withScene({ source: 'f /one "1"', target: 'f /file "x"' }, async ({ from, to }) => {
      await assert.rejects(moveFiles([join(from, 'one')], join(to, 'file')), { code: 'ENOTDIR' })
      await assert.rejects(moveFiles([join(from, 'one')], join(to, 'absent')), { code: 'ENOENT' })
      assert.deepEqual(await moveFiles([], to), [])
      assert.deepEqual(fs.readdirSync(from), ['one'])
    }))

  it('stops at a signal with every file whole on one side', () =>
    withScene({ source: many }, async ({ from, to }) => {
      const controller = new AbortController()
      const moving = moveFiles(membersOf(from), to, { durability: 'none', signal: controller.signal })
      while (fs.readdirSync(to).length === 0) await new Promise((resolve) => setTimeout(resolve, 1))
      controller.abort(new Error('enough'))
      await assert.rejects(moving, { message: 'enough' })
      const [left, moved] = [fs.readdirSync(from), fs.readdirSync(to)]
      assert.equal(left.length + moved.length, 3000)
      assert.ok(left.length > 0 && moved.length > 0)
      assert.ok(!moved.some((name) => name.startsWith('.')))
    }))
})
