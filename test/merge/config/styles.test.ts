// The outcomes of dpkg, rpm, pacman, apk and Portage, observed on one file: X the old version, Y the new one, L local.

import assert from 'node:assert/strict'
import { unmerge } from '../../../src/merge/index.ts'
import { type ConfigBench, type Contents, file, withBench } from './configBench.ts'

type StyleName = 'portage' | 'dpkg' | 'dpkg-confnew' | 'rpm' | 'rpm-replace' | 'pacman' | 'apk'

/** What is in /etc afterwards, without the directory's name. */
type Outcome = Readonly<Record<string, Contents>>

const [X, Y, L] = ['old\n', 'new\n', 'local\n']
const link = { link: 'e' }
const styles: readonly StyleName[] = ['portage', 'dpkg', 'dpkg-confnew', 'rpm', 'rpm-replace', 'pacman', 'apk']

interface Case {
  readonly title: string
  run(bench: ConfigBench, style: StyleName): Promise<unknown>
  readonly expected: Readonly<Record<StyleName, Outcome>>
}

/** Endings of updates; Portage has numbered names. */
const updates: Readonly<Record<StyleName, string>> = {
  portage: '._cfg0000_c.conf',
  dpkg: 'c.conf.dpkg-dist',
  'dpkg-confnew': '',
  rpm: 'c.conf.rpmnew',
  'rpm-replace': '',
  pacman: 'c.conf.pacnew',
  apk: 'c.conf.apk-new',
}

function all(outcome: Outcome): Record<StyleName, Outcome> {
  return Object.fromEntries(styles.map((style) => [style, outcome])) as Record<StyleName, Outcome>
}

/** L stays and Y is beside it; or L is saved and Y is there. */
function aside(live: Contents, brought: string, saved: { dpkg: string; rpm: string }): Record<StyleName, Outcome> {
  const besides = (style: StyleName) => ({
    [updates[style]]: brought,
    ...(live === undefined ? {} : { 'c.conf': live }),
  })
  return {
    ...(Object.fromEntries(styles.map((style) => [style, besides(style)])) as Record<StyleName, Outcome>),
    'dpkg-confnew': { 'c.conf': brought, [`c.conf${saved.dpkg}`]: live },
    'rpm-replace': { 'c.conf': brought, [`c.conf${saved.rpm}`]: live },
  }
}

async function upgrade(bench: ConfigBench, style: StyleName, local: Contents, next: string): Promise<void> {
  await bench.merge({ [file]: X }, { style })
  bench.write(file, local)
  await bench.merge({ [file]: next }, { style })
}

async function remove(bench: ConfigBench, style: StyleName, local: Contents): Promise<void> {
  await bench.merge({ [file]: X }, { style })
  bench.write(file, local)
  await unmerge({ root: bench.root, packages: ['p'] })
}

const cases: readonly Case[] = [
  {
    title: 'nothing there, first install of X',
    run: (bench, style) => bench.merge({ [file]: X }, { style }),
    expected: all({ 'c.conf': X }),
  },
  { title: 'local X, new Y', run: (bench, style) => upgrade(bench, style, X, Y), expected: all({ 'c.conf': Y }) },
  {
    title: 'local L, new X, which is unchanged upstream',
    run: (bench, style) => upgrade(bench, style, L, X),
    // Portage offers it once; apk would leave X as .apk-new at each upgrade, which nobody needs to see.
    expected: { ...all({ 'c.conf': L }), portage: { 'c.conf': L, '._cfg0000_c.conf': X } },
  },
  {
    title: 'local is Y already, new Y',
    run: (bench, style) => upgrade(bench, style, Y, Y),
    expected: all({ 'c.conf': Y }),
  },
  {
    title: 'local L, new Y',
    run: (bench, style) => upgrade(bench, style, L, Y),
    expected: aside(L, Y, { dpkg: '.dpkg-old', rpm: '.rpmsave' }),
  },
  {
    title: 'deleted, new X',
    run: (bench, style) => upgrade(bench, style, undefined, X),
    expected: { ...all({ 'c.conf': X }), portage: { '._cfg0000_c.conf': X }, dpkg: {}, 'dpkg-confnew': {} },
  },
  {
    title: 'deleted, new Y',
    run: (bench, style) => upgrade(bench, style, undefined, Y),
    expected: { ...all({ 'c.conf': Y }), portage: { '._cfg0000_c.conf': Y }, dpkg: { 'c.conf.dpkg-dist': Y } },
  },
  {
    title: 'a symlink in its place, new Y',
    // dpkg writes .dpkg-new beside the link and looks for it beside the link's target; here the update is found.
    run: async (bench, style) => {
      await bench.merge({ [file]: X }, { style })
      bench.write(file, link)
      bench.write('etc/e', L)
      await bench.merge({ [file]: Y }, { style })
      assert.equal(bench.read('etc/e'), L)
      bench.write('etc/e', undefined)
    },
    expected: aside(link, Y, { dpkg: '.dpkg-old', rpm: '.rpmsave' }),
  },
  {
    title: 'unowned L, first install of X',
    run: (bench, style) => {
      bench.write(file, L)
      return bench.merge({ [file]: X }, { style })
    },
    expected: aside(L, X, { dpkg: '.dpkg-old', rpm: '.rpmorig' }),
  },
  {
    title: 'removal of unmodified X',
    run: (bench, style) => remove(bench, style, X),
    expected: { ...all({}), dpkg: { 'c.conf': X }, 'dpkg-confnew': { 'c.conf': X } },
  },
  {
    title: 'removal of modified L',
    run: (bench, style) => remove(bench, style, L),
    expected: {
      ...all({ 'c.conf': L }),
      rpm: { 'c.conf.rpmsave': L },
      'rpm-replace': { 'c.conf.rpmsave': L },
      pacman: { 'c.conf.pacsave': L },
    },
  },
]

describe('configuration styles', () => {
  for (const { title, run, expected } of cases) {
    for (const style of styles) {
      it(
        `${style}: ${title}`,
        withBench(async (bench) => {
          await run(bench, style)
          assert.deepEqual(bench.etc(), expected[style])
        }),
      )
    }
  }

  it('covers eleven cases for each style', () => assert.equal(cases.length, 11))

  for (const style of styles) {
    it(
      `${style}: saves an edited file that a directory takes the place of`,
      withBench(async (bench) => {
        await bench.merge({ [file]: X }, { style })
        bench.write(file, L)
        await bench.merge({ [`${file}/inside`]: Y }, { style })
        const saved = { portage: '.backup', apk: '.apk-old', pacman: '.pacsave' }[style as string]
        const ending = saved ?? (style.startsWith('rpm') ? '.rpmsave' : '.dpkg-old')
        assert.deepEqual(bench.etc(), { 'c.conf': 'a directory', [`c.conf${ending}`]: L })
        assert.equal(bench.read(`${file}/inside`), Y)
      }),
    )

    it(
      `${style}: a file takes the place of a directory of the old version`,
      withBench(async (bench) => {
        await bench.merge({ [`${file}/inside`]: X, 'etc/other': X }, { style })
        await bench.merge({ [file]: Y, 'etc/other': X }, { style })
        // Portage offers it (its own test counts two such), and the directory goes, since nothing is left in it.
        const expected = style === 'portage' ? { '._cfg0000_c.conf': Y } : { 'c.conf': Y }
        assert.deepEqual(bench.etc(), { ...expected, other: X })
      }),
    )
  }

  for (const style of ['dpkg', 'dpkg-confnew'] as const) {
    it(
      `${style}: a purge removes what was kept, modified or not`,
      withBench(async (bench) => {
        await bench.merge({ [file]: X, 'etc/other': X }, { style })
        bench.write(file, L)
        await unmerge({ root: bench.root, packages: ['p'], purge: true })
        assert.deepEqual(bench.etc(), {})
      }),
    )
  }

  it(
    'pacman: what was saved before moves on to a number, and nothing is lost',
    withBench(async (bench) => {
      for (const local of ['one\n', 'two\n', 'three\n']) await remove(bench, 'pacman', local)
      assert.deepEqual(bench.etc(), {
        'c.conf.pacsave': 'three\n',
        'c.conf.pacsave.1': 'two\n',
        'c.conf.pacsave.2': 'one\n',
      })
    }),
  )

  it(
    'rpm: an update that the administrator has worked on is not overwritten by the next',
    withBench(async (bench) => {
      await upgrade(bench, 'rpm', L, Y)
      await bench.merge({ [file]: 'newer\n' }, { style: 'rpm' })
      assert.deepEqual(bench.etc(), { 'c.conf': L, 'c.conf.rpmnew': 'newer\n' })
      bench.write(`${file}.rpmnew`, 'half merged\n')
      await bench.merge({ [file]: 'newest\n' }, { style: 'rpm' })
      assert.deepEqual(bench.etc(), { 'c.conf': L, 'c.conf.rpmnew': 'newest\n', 'c.conf.rpmnew.old': 'half merged\n' })
    }),
  )
})
