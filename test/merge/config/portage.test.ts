// Portage's own walk-through of configuration protection, and each of its defects that was seen.

import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { unmerge, verify } from '../../../src/merge/index.ts'
import { type ConfigBench, type Contents, file, withBench } from './configBench.ts'

const one: Readonly<Record<string, Contents>> = {
  'etc/A/dir_a/.keep_A-0': '',
  'etc/A/symlink_replaces_dir/.keep_A-0': '',
  'etc/A/regular_replaces_dir/.keep_A-0': '',
  'etc/A/regular_a': 'regular_a_1\n',
  'etc/A/regular_b': 'regular_b_1\n',
  'etc/A/regular_replaces_symlink': { link: 'regular_a' },
  'etc/A/symlink_replaces_symlink': { link: 'regular_b' },
  'etc/A/regular_replaces_regular': 'regular_replaces_regular_1\n',
  'etc/A/symlink_replaces_regular': 'symlink_replaces_regular\n',
}
const two: Readonly<Record<string, Contents>> = {
  'etc/A/dir_a/.keep_A-0': '',
  'etc/A/symlink_replaces_dir': { link: 'dir_a' },
  'etc/A/regular_replaces_dir': 'regular_replaces_dir\n',
  'etc/A/regular_a': 'regular_a_2\n',
  'etc/A/regular_b': 'regular_b_2\n',
  'etc/A/regular_replaces_symlink': 'regular_replaces_symlink\n',
  'etc/A/symlink_replaces_symlink': { link: 'regular_b' },
  'etc/A/regular_replaces_regular': 'regular_replaces_regular_2\n',
  'etc/A/symlink_replaces_regular': { link: 'regular_a' },
}

/** As etc-update and dispatch-conf find them. */
function pending(bench: ConfigBench): string[] {
  return bench.names('etc/A').filter((name) => /^\._cfg\d{4}_/.test(name))
}

/** etc-update --automode -5: every update gets its name. */
function acceptAll(bench: ConfigBench): void {
  for (const name of pending(bench).sort()) bench.rename(`etc/A/${name}`, `etc/A/${name.slice(10)}`)
}

function modifyAll(bench: ConfigBench): void {
  for (const name of bench.names('etc/A')) {
    const contents = bench.read(`etc/A/${name}`)
    if (contents === 'a directory') continue
    bench.write(
      `etc/A/${name}`,
      typeof contents === 'string' ? `${contents}modified\n` : { link: `${contents?.link} modified` },
    )
  }
}

describe("Portage's walk-through of configuration protection", () => {
  it(
    'has as many updates at each step as in its own test',
    withBench(async (bench) => {
      const counts: number[] = []
      const count = () => counts.push(pending(bench).length)
      await bench.merge(one, {}, 'A')
      count()
      await bench.merge(two, {}, 'A')
      count()
      acceptAll(bench)
      count()
      await bench.merge(two, {}, 'A')
      count()
      fs.rmSync(join(bench.root, 'etc/A'), { recursive: true }) // bug 523684
      await bench.merge(two, {}, 'A')
      count()
      acceptAll(bench)
      count()
      modifyAll(bench)
      await bench.merge(two, {}, 'A')
      count()
      acceptAll(bench)
      count()
      modifyAll(bench)
      await bench.merge(one, { noConfigMemory: true }, 'A')
      count()
      acceptAll(bench)
      count()
      assert.deepEqual(counts, [0, 2, 0, 0, 8, 0, 6, 0, 6, 0])
      assert.equal(bench.read('etc/A/regular_replaces_dir.backup'), 'regular_replaces_dir\nmodified\nmodified\n')
    }),
  )

  it(
    'goes through versions of one file as Portage does, but never has one update twice',
    withBench(async (bench) => {
      const steps: [string, () => unknown, Record<string, Contents>][] = [
        ['v1, nothing there', () => bench.merge({ [file]: 'v1' }), { 'c.conf': 'v1' }],
        ['v2, untouched', () => bench.merge({ [file]: 'v2' }), { 'c.conf': 'v2' }],
        [
          'v3, edited',
          () => {
            bench.write(file, 'L')
            return bench.merge({ [file]: 'v3' })
          },
          { 'c.conf': 'L', '._cfg0000_c.conf': 'v3' },
        ],
        ['v3 again', () => bench.merge({ [file]: 'v3' }), { 'c.conf': 'L', '._cfg0000_c.conf': 'v3' }],
        [
          'v3 without memory: reused',
          () => bench.merge({ [file]: 'v3' }, { noConfigMemory: true }),
          { 'c.conf': 'L', '._cfg0000_c.conf': 'v3' },
        ],
        [
          'v4',
          () => bench.merge({ [file]: 'v4' }),
          { 'c.conf': 'L', '._cfg0000_c.conf': 'v3', '._cfg0001_c.conf': 'v4' },
        ],
        [
          'downgrade to v3: Portage adds a second one, here it gets the highest number',
          () => bench.merge({ [file]: 'v3' }),
          { 'c.conf': 'L', '._cfg0001_c.conf': 'v4', '._cfg0002_c.conf': 'v3' },
        ],
        [
          'deleted, v3: 0002 is reused',
          () => {
            bench.write(file, undefined)
            return bench.merge({ [file]: 'v3' })
          },
          { '._cfg0001_c.conf': 'v4', '._cfg0002_c.conf': 'v3' },
        ],
        [
          '0001 accepted by hand, v4',
          () => {
            bench.rename('etc/._cfg0001_c.conf', file)
            return bench.merge({ [file]: 'v4' })
          },
          { 'c.conf': 'v4', '._cfg0002_c.conf': 'v3' },
        ],
        [
          'unmerge: Portage leaves 0002 behind, here nothing is',
          () => unmerge({ root: bench.root, packages: ['p'] }),
          {},
        ],
      ]
      for (const [title, act, expected] of steps) {
        await act()
        assert.deepEqual(bench.etc(), expected, title)
      }
    }),
  )

  it(
    'places an empty .keep file that somebody removed',
    withBench(async (bench) => {
      await bench.merge({ 'etc/.keep_p': '', [file]: 'v1' })
      bench.write('etc/.keep_p', undefined)
      await bench.merge({ 'etc/.keep_p': '', [file]: 'v1' })
      assert.deepEqual(bench.names(), ['.keep_p', 'c.conf'])
    }),
  )
})

describe('defects of Portage that are not here', () => {
  it(
    'E2: numbers go past 9999, and every update keeps its own',
    withBench(async (bench) => {
      await bench.merge({ [file]: 'v1' })
      bench.write(file, 'L')
      bench.write('etc/._cfg9999_c.conf', 'an old one')
      for (const version of ['v2', 'v3']) await bench.merge({ [file]: version })
      assert.deepEqual(bench.etc(), {
        'c.conf': 'L',
        '._cfg9999_c.conf': 'an old one',
        '._cfg10000_c.conf': 'v2',
        '._cfg10001_c.conf': 'v3',
      })
    }),
  )

  it(
    'E2: names that only look like updates do not count',
    withBench(async (bench) => {
      await bench.merge({ [file]: 'v1' })
      bench.write(file, 'L')
      for (const junk of ['._cfg 12 _c.conf', '._cfg-003_c.conf', '._cfg012_c.conf']) bench.write(`etc/${junk}`, 'junk')
      await bench.merge({ [file]: 'v2' })
      assert.equal(bench.read('etc/._cfg0000_c.conf'), 'v2')
    }),
  )

  it(
    'E3f: a symlink that waits already is not offered again, also without memory',
    withBench(async (bench) => {
      await bench.merge({ [file]: { link: 'a' } })
      bench.write(file, { link: 'mine' })
      for (let time = 0; time < 3; time++) await bench.merge({ [file]: { link: 'b' } }, { noConfigMemory: true })
      assert.deepEqual(bench.etc(), { 'c.conf': { link: 'mine' }, '._cfg0000_c.conf': { link: 'b' } })
    }),
  )

  const oddNames = [
    'a name with blanks',
    '#comment',
    'new\nline',
    'non-UTF-8 \xff\xfe',
    ' leading',
    '-dash',
    '._cfg0000_x',
  ]
  for (const name of oddNames) {
    it(
      `E3g: remembers what was declined of ${JSON.stringify(name)}`,
      withBench(async (bench) => {
        const path = `etc/${name}`
        await bench.merge({ [path]: 'v1' })
        bench.write(path, 'L')
        await bench.merge({ [path]: 'v2' })
        const update = `etc/._cfg0000_${name}`
        assert.equal(bench.read(update), 'v2')
        bench.write(update, undefined) // declined
        await bench.merge({ [path]: 'v2' })
        assert.deepEqual(bench.names(), [name])
        await bench.merge({ [path]: 'v3' })
        assert.equal(bench.read(update), 'v3')
      }),
    )
  }

  for (let length = 240; length <= 255; length++) {
    it(
      `offers names of ${length} bytes`,
      withBench(async (bench) => {
        const name = `${'n'.repeat(length - 5)}.conf`
        await bench.merge({ [`etc/${name}`]: 'v1' })
        bench.write(`etc/${name}`, 'L')
        const updates = () => bench.names().filter((other) => other !== name)
        await bench.merge({ [`etc/${name}`]: 'v2' })
        assert.equal(updates().length, 1)
        if (length <= 245) assert.deepEqual(updates(), [`._cfg0000_${name}`])
        await bench.merge({ [`etc/${name}`]: 'v2' })
        await bench.merge({ [`etc/${name}`]: 'v3' })
        assert.deepEqual(
          updates().map((update) => bench.read(`etc/${update}`)),
          ['v2', 'v3'],
        )
        await unmerge({ root: bench.root, packages: ['p'] })
        assert.deepEqual(bench.etc(), { [name]: 'L' })
      }),
    )
  }

  it(
    'a dangling symlink of the administrator counts as something that is there',
    withBench(async (bench) => {
      bench.write(file, { link: '/nowhere/at/all' })
      await bench.merge({ [file]: 'v1' })
      assert.deepEqual(bench.etc(), { 'c.conf': { link: '/nowhere/at/all' }, '._cfg0000_c.conf': 'v1' })
    }),
  )

  it(
    'protection does not depend on capital letters',
    withBench(async (bench) => {
      await bench.merge({ 'etc/Xorg/A.conf': 'v1' }, { protect: ['/etc/Xorg'] })
      bench.write('etc/Xorg/A.conf', 'L')
      await bench.merge({ 'etc/Xorg/A.conf': 'v2' }, { protect: ['/etc/Xorg'] })
      assert.equal(bench.read('etc/Xorg/A.conf'), 'L')
      assert.deepEqual(
        (await verify({ root: bench.root })).map(({ name }) => name),
        ['etc/Xorg/A.conf'],
      )
    }),
  )
})
