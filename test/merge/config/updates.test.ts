// Listing, comparing, merging, accepting and rejecting updates: the library.

import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { resolveUpdate as resolveNow } from '../../../src/merge/config/resolveUpdate.ts'
import {
  ConflictMarkersError,
  configUpdates,
  diffUpdate,
  mergeUpdate,
  NoUpdateError,
  RootChangedError,
  readUpdate,
  resolveUpdate,
  unmerge,
  verify,
} from '../../../src/merge/index.ts'
import { linuxKernel } from '../../../src/sys/index.ts'
import { isRoot } from '../../support/asRoot.ts'
import { asUser, nobody } from '../../support/ordinaryUser.ts'
import { contextOf } from '../scenarios.ts'
import { type ConfigBench, file, withBench } from './configBench.ts'

const lines = (...changed: [number, string][]) => {
  const all = Array.from({ length: 12 }, (_, n) => `line ${n}\n`)
  for (const [n, text] of changed) all[n] = `${text}\n`
  return all.join('')
}
const [v1, local, v2] = [lines(), lines([1, 'mine']), lines([10, 'theirs'])]
const both = lines([1, 'mine'], [10, 'theirs'])
const update = 'etc/._cfg0000_c.conf'

async function offer(bench: ConfigBench, style: 'portage' | 'rpm' = 'portage'): Promise<void> {
  await bench.merge({ [file]: v1 }, { style })
  bench.write(file, local)
  await bench.merge({ [file]: v2 }, { style })
}

/** No update waits, nothing new is offered for the same version, and an edit is merged from `base` next time. */
async function expectResolved(bench: ConfigBench, live: string): Promise<void> {
  const { root } = bench
  assert.deepEqual(bench.etc(), { 'c.conf': live })
  assert.deepEqual(await configUpdates({ root }), [])
  await bench.merge({ [file]: v2 })
  assert.deepEqual(bench.etc(), { 'c.conf': live }, 'it was offered again')
}

describe('configUpdates()', () => {
  it(
    'lists updates with their packages, of every style and of other installers, the oldest first',
    withBench(async (bench) => {
      await offer(bench)
      await bench.merge({ [file]: 'v3' })
      bench.write('etc/c.conf.pacnew', "another installer's")
      const found = await configUpdates({ root: bench.root })
      assert.deepEqual(
        found.map(({ name, update: at, packages, isNewest }) => [name, at, packages, isNewest]),
        [
          [file, 'etc/c.conf.pacnew', ['p'], false],
          [file, update, ['p'], false],
          [file, 'etc/._cfg0001_c.conf', ['p'], true],
        ],
      )
      for (const names of [['/etc'], [file], [update]])
        assert.ok((await configUpdates({ root: bench.root, names })).some(({ update: at }) => at === update))
      assert.deepEqual(await configUpdates({ root: bench.root, names: ['/usr'] }), [])
    }),
  )

  it(
    'finds an update that an unmerged package left, because somebody had worked on it',
    withBench(async (bench) => {
      await offer(bench)
      bench.write(update, 'half merged\n')
      await unmerge({ root: bench.root, packages: ['p'] })
      const found = await configUpdates({ root: bench.root })
      assert.deepEqual(
        found.map(({ update: at, packages }) => [at, packages]),
        [[update, []]],
      )
      await resolveUpdate({ root: bench.root, update, action: 'accept' })
      assert.deepEqual(bench.etc(), { 'c.conf': 'half merged\n' })
    }),
  )
})

describe('diffUpdate()', () => {
  it(
    'is a unified diff, with mode and owner',
    withBench(async (bench) => {
      await offer(bench)
      fs.chmodSync(join(bench.root, update), 0o600)
      const { text } = await diffUpdate({ root: bench.root, update: file })
      const expected = [
        `--- ${file}`,
        `+++ ${update}`,
        'mode 0644 -> 0600',
        '@@ -1,5 +1,5 @@',
        ' line 0',
        '-mine',
        '+line 1',
      ]
      assert.deepEqual(Buffer.from(text).toString().split('\n').slice(0, 7), expected)
    }),
  )

  it(
    'says what it cannot show: binary contents, another type, nothing there',
    withBench(async (bench) => {
      const text = async () => Buffer.from((await diffUpdate({ root: bench.root, update: file })).text).toString()
      await bench.merge({ [file]: 'v1\n' })
      bench.write(file, { link: 'mine' })
      await bench.merge({ [file]: 'a\0b' })
      assert.match(await text(), /^type symlink -> file$/m)
      assert.match(await text(), /^Binary files differ$/m)
      bench.write(file, undefined)
      assert.match(await text(), /^--- \/dev\/null$/m)
    }),
  )
})

describe('resolveUpdate()', () => {
  it(
    'accepts: the file is the update, with its metadata, and as recorded',
    withBench(async (bench) => {
      await offer(bench)
      const before = fs.statSync(join(bench.root, update), { bigint: true })
      await resolveUpdate({ root: bench.root, update: file, action: 'accept' })
      const after = fs.statSync(join(bench.root, file), { bigint: true })
      assert.deepEqual([after.mode, after.mtimeNs, after.uid], [before.mode, before.mtimeNs, before.uid])
      assert.deepEqual(await verify({ root: bench.root }), [])
      await expectResolved(bench, v2)
    }),
  )

  it(
    'accepts where the file is gone, and older updates go with it',
    withBench(async (bench) => {
      await offer(bench)
      await bench.merge({ [file]: 'v3' })
      bench.write(file, undefined)
      const { superseded } = await resolveUpdate({ root: bench.root, update: file, action: 'accept' })
      assert.deepEqual(superseded, [update])
      assert.deepEqual(bench.etc(), { 'c.conf': 'v3' })
      assert.deepEqual(await verify({ root: bench.root }), [])
    }),
  )

  for (const style of ['portage', 'rpm'] as const) {
    it(
      `rejects, and ${style} does not offer it again, but what changes after it`,
      withBench(async (bench) => {
        await offer(bench, style)
        await resolveUpdate({ root: bench.root, update: file, action: 'reject' })
        await expectResolved(bench, local)
        const v3 = lines([10, 'theirs'], [5, 'later'])
        await bench.merge({ [file]: v3 }, { style })
        const merged = await mergeUpdate({ root: bench.root, update: file })
        // What was rejected counts as merged: only what came after it is brought in.
        assert.equal(Buffer.from(merged.contents).toString(), lines([1, 'mine'], [5, 'later']))
      }),
    )
  }

  it(
    'rejects one of several by its own name, or all by the name of the file',
    withBench(async (bench) => {
      await offer(bench)
      await bench.merge({ [file]: 'v3' })
      await bench.merge({ [file]: 'v4' })
      await resolveUpdate({ root: bench.root, update: 'etc/._cfg0001_c.conf', action: 'reject' })
      assert.deepEqual(bench.names(), ['._cfg0000_c.conf', '._cfg0002_c.conf', 'c.conf'])
      await resolveUpdate({ root: bench.root, update: file, action: 'reject' })
      assert.deepEqual(bench.names(), ['c.conf'])
      await bench.merge({ [file]: 'v3' })
      assert.deepEqual(bench.names(), ['c.conf'])
    }),
  )

  it(
    'puts a merged text in place, with the mode of the file, and merges from the new version next time',
    withBench(async (bench) => {
      await offer(bench)
      fs.chmodSync(join(bench.root, file), 0o640)
      const merged = await mergeUpdate({ root: bench.root, update: file })
      assert.deepEqual([merged.conflicts, merged.hasBase], [0, true])
      const { contents, expectedLive } = merged
      assert.equal(Buffer.from(contents).toString(), both)
      await resolveUpdate({ root: bench.root, update: file, action: 'replace', contents, expectedLive })
      assert.equal(fs.statSync(join(bench.root, file)).mode & 0o7777, 0o640)
      await expectResolved(bench, both)
      await bench.merge({ [file]: lines([10, 'theirs'], [6, 'later']) })
      const next = await mergeUpdate({ root: bench.root, update: file })
      assert.equal(Buffer.from(next.contents).toString(), lines([1, 'mine'], [10, 'theirs'], [6, 'later']))
      assert.equal(next.conflicts, 0)
    }),
  )

  it(
    'merges over several versions from the one that the file comes from',
    withBench(async (bench) => {
      await offer(bench)
      await bench.merge({ [file]: lines([10, 'theirs'], [6, 'later']) })
      const { contents, conflicts } = await mergeUpdate({ root: bench.root, update: file })
      assert.equal(Buffer.from(contents).toString(), lines([1, 'mine'], [10, 'theirs'], [6, 'later']))
      assert.equal(conflicts, 0)
    }),
  )

  it(
    'refuses when the file was changed since it was merged, and changes nothing',
    withBench(async (bench) => {
      await offer(bench)
      const { contents, expectedLive } = await mergeUpdate({ root: bench.root, update: file })
      bench.write(file, 'changed meanwhile')
      const before = bench.etc()
      await assert.rejects(
        resolveUpdate({ root: bench.root, update: file, action: 'replace', contents, expectedLive }),
        RootChangedError,
      )
      assert.deepEqual(bench.etc(), before)
    }),
  )

  it(
    'refuses when another version waits by now, and changes nothing',
    withBench(async (bench) => {
      const { root } = bench
      await bench.merge({ [file]: v1 }, { style: 'rpm' })
      bench.write(file, lines([1, 'mine']))
      await bench.merge({ [file]: v2 }, { style: 'rpm' })
      const merged = await mergeUpdate({ root, update: file })
      const read = await readUpdate({ root, update: file })
      const shown = await diffUpdate({ root, update: file })
      await bench.merge({ [file]: lines([10, 'theirs'], [6, 'later']) }, { style: 'rpm' })
      const before = bench.etc()
      for (const { expectedLive, expectedUpdate } of [merged, read, shown]) {
        for (const answer of [
          { action: 'replace', contents: merged.contents },
          { action: 'accept' },
          { action: 'reject' },
        ] as const)
          await assert.rejects(
            resolveUpdate({ root, update: file, ...answer, expectedLive, expectedUpdate }),
            RootChangedError,
          )
      }
      assert.deepEqual(bench.etc(), before)
    }),
  )

  it(
    'marks conflicts with all three texts, takes a side where told to, and accepts no markers',
    withBench(async (bench) => {
      await bench.merge({ [file]: v1 })
      bench.write(file, lines([3, 'mine']))
      await bench.merge({ [file]: lines([3, 'theirs'], [9, 'more']) })
      const { root } = bench
      const { contents, conflicts } = await mergeUpdate({ root, update: file })
      assert.equal(conflicts, 1)
      assert.match(
        Buffer.from(contents).toString(),
        /<<<<<<< etc\/c\.conf\nmine\n\|{7} base\nline 3\n=======\ntheirs\n>>>>>>> etc\/\._cfg0000_c\.conf\n/,
      )
      for (const [favour, text] of [
        ['live', lines([3, 'mine'], [9, 'more'])],
        ['update', lines([3, 'theirs'], [9, 'more'])],
      ] as const)
        assert.equal(Buffer.from((await mergeUpdate({ root, update: file, favour })).contents).toString(), text)
      await resolveUpdate({ root, update: file, action: 'rework', contents })
      assert.equal(bench.read(update), Buffer.from(contents).toString('latin1'))
      assert.equal(bench.read(file), lines([3, 'mine']))
      await assert.rejects(resolveUpdate({ root, update: file, action: 'accept' }), ConflictMarkersError)
      bench.write(update, 'edited by hand\n')
      await resolveUpdate({ root, update: file, action: 'accept' })
      assert.deepEqual(bench.etc(), { 'c.conf': 'edited by hand\n' })
    }),
  )

  it(
    'merges without a base by asking about every difference',
    withBench(async (bench) => {
      await offer(bench)
      fs.unlinkSync(join(bench.root, 'var/lib/rootmerge/packages/p/bases'))
      const { hasBase, conflicts } = await mergeUpdate({ root: bench.root, update: file })
      assert.deepEqual([hasBase, conflicts], [false, 2])
    }),
  )

  it(
    'takes a damaged base for none',
    withBench(async (bench) => {
      await offer(bench)
      const bases = join(bench.root, 'var/lib/rootmerge/packages/p/bases')
      const text = fs.readFileSync(bases, 'latin1')
      fs.writeFileSync(bases, text.replace(/ ./g, ' A'))
      assert.equal((await mergeUpdate({ root: bench.root, update: file })).hasBase, false)
    }),
  )

  it(
    'keeps bytes that are no UTF-8, and a last line without an end',
    withBench(async (bench) => {
      await bench.merge({ [file]: 'a\xff\nb\nc' })
      bench.write(file, 'a\xff!\nb\nc')
      await bench.merge({ [file]: 'a\xff\nb\nc\xfe' })
      const { contents, conflicts } = await mergeUpdate({ root: bench.root, update: file })
      assert.deepEqual([Buffer.from(contents).toString('latin1'), conflicts], ['a\xff!\nb\nc\xfe', 0])
    }),
  )

  it(
    'says so when nothing waits, or something is no text',
    withBench(async (bench) => {
      await bench.merge({ [file]: { link: 'a' } })
      for (const act of [diffUpdate, readUpdate, mergeUpdate])
        await assert.rejects(act({ root: bench.root, update: file }), NoUpdateError)
      bench.write(file, { link: 'mine' })
      await bench.merge({ [file]: { link: 'b' } })
      await assert.rejects(
        mergeUpdate({ root: bench.root, update: file }),
        /cannot be merged or edited: it is a symlink/,
      )
      await resolveUpdate({ root: bench.root, update: file, action: 'accept' })
      assert.deepEqual(bench.etc(), { 'c.conf': { link: 'b' } })
    }),
  )

  it(
    'merges a file that not even its owner may write, and keeps its mode',
    withBench(async (bench) => {
      const { root } = bench
      await offer(bench)
      for (const name of [file, update]) fs.chmodSync(join(root, name), 0o444)
      if (isRoot) for (const name of ['', ...(fs.readdirSync(root, { recursive: true }) as string[])]) give(root, name)
      if (isRoot) give(root, '..')
      const resolve = (action: 'rework' | 'replace', contents: string) =>
        resolveNow(contextOf(linuxKernel()), { root, update: file, action, contents: Buffer.from(contents) })
      asUser(() => resolve('rework', 'reworked'))
      assert.equal(bench.read(update), 'reworked')
      asUser(() => resolve('replace', both))
      assert.deepEqual(bench.etc(), { 'c.conf': both })
      const { mode, mtimeMs } = fs.statSync(join(root, file))
      assert.equal(mode & 0o7777, 0o444)
      assert.ok(Date.now() - mtimeMs < 60_000, 'what is new has a new time')
    }),
  )
})

function give(root: string, name: string): void {
  fs.lchownSync(join(root, name), nobody, nobody)
}

describe('paths of updates', () => {
  const spellings = [
    'etc/c.conf',
    '/etc/c.conf',
    './etc/c.conf',
    '//etc/.//c.conf/',
    '/etc/../etc/c.conf',
    '../etc/c.conf',
  ]

  it(
    'may be written in any way, and lead through symlinks',
    withBench(async (bench) => {
      await offer(bench)
      fs.symlinkSync('etc', join(bench.root, 'settings'))
      const { root } = bench
      for (const path of [...spellings, 'settings/c.conf', './etc', '/etc/../settings/._cfg0000_c.conf']) {
        assert.equal((await configUpdates({ root, names: [path] })).length, 1, path)
        if (path.endsWith('conf')) assert.equal((await diffUpdate({ root, update: path })).name, file, path)
      }
      await resolveUpdate({ root, update: './etc//c.conf', action: 'accept' })
      assert.deepEqual(bench.etc(), { 'c.conf': v2 })
    }),
  )

  it(
    'are not empty, which would be the whole root',
    withBench(async (bench) => {
      await offer(bench)
      await assert.rejects(configUpdates({ root: bench.root, names: [''] }), /a path is empty/)
      await assert.rejects(resolveUpdate({ root: bench.root, update: '', action: 'accept' }), /a path is empty/)
    }),
  )

  it(
    'of older updates are told from that of their file, however they are written',
    withBench(async (bench) => {
      await offer(bench)
      const { root } = bench
      await bench.merge({ [file]: lines([5, 'later']) })
      const older = await configUpdates({ root, names: ['./etc//._cfg0000_c.conf'], resolvable: true })
      assert.deepEqual(
        older.map((each) => each.update),
        [update],
      )
      const newest = await configUpdates({ root, names: ['./etc'], resolvable: true })
      assert.deepEqual(
        newest.map((each) => each.update),
        ['etc/._cfg0001_c.conf'],
      )
      await assert.rejects(configUpdates({ root, names: [file, 'etc/d'], resolvable: true }), NoUpdateError)
      await resolveUpdate({ root, update: '/etc/./._cfg0001_c.conf', action: 'reject' })
      assert.equal(bench.read(update), v2, 'only the one that was named goes')
    }),
  )
})
