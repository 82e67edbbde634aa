// Hard-link groups through a change of some of their names: what one inode has to be, what must not be, and what stays.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import type { MergeOptions } from '../../src/merge/index.ts'
import { linuxKernel } from '../../src/sys/index.ts'
import { mergeImages, unmergePackages, verifyPackages } from '../support/operations.ts'
import { withDirectory } from '../support/scratch.ts'
import { differencesBetween, type Snapshot, snapshot } from '../support/snapshot.ts'
import { writeTree } from '../support/tree.ts'
import { contextOf } from './scenarios.ts'

const at = 'mtime=1600000000.000000001'
const file = (name: string, bytes = 'bytes', mode = '0644') => `f ${mode} /${name} "${bytes}" ${at}`
/** The first name of a group, with its bytes, and the others. */
const group = (names: string, bytes?: string, mode?: string) => {
  const [first = '', ...others] = names.split(' ')
  return [file(first, bytes, mode), ...others.map((name) => `h /${name} == /${first}`)].join('\n')
}

interface Case {
  readonly title: string
  readonly before: string
  readonly after: string
  /** What somebody does between the two merges, by paths. */
  readonly meanwhile?: (path: (name: string) => string) => void
  readonly options?: Partial<MergeOptions>
  /** The root after the second merge, where that is not the image. */
  readonly expected?: string
  /** What `verify` names then, and unmerging leaves: nothing by default. */
  readonly differing?: readonly string[]
  readonly left?: readonly string[]
}

/** Every way in which the names of a group, or the group as a whole, can be another one afterwards. */
const cases: readonly Case[] = [
  { title: 'a member is removed', before: group('a b c'), after: group('a b') },
  { title: 'the first name is removed', before: group('a b c'), after: group('b c') },
  { title: 'all names but one are removed', before: group('a b c'), after: file('c') },
  { title: 'a member is removed, and the others change', before: group('a b c'), after: group('a c', 'others') },
  {
    title: 'a member is removed, and the others change their mode',
    before: group('a b c'),
    after: group('a c', 'bytes', '0600'),
  },
  { title: 'all members change', before: group('a b c'), after: group('a b c', 'others') },
  { title: 'a member moves to another directory', before: group('x/a x/b y/c'), after: group('x/a y/b y/c') },
  { title: 'a member becomes a symlink', before: group('a b c'), after: `${group('a c')}\nl /b -> a ${at}` },
  {
    title: 'a member becomes a directory',
    before: group('a b c'),
    after: `${group('a c')}\nd 0755 /b ${at}\n${file('b/new')}`,
  },
  { title: 'a member becomes a fifo', before: group('a b c'), after: `${group('a c')}\np 0644 /b ${at}` },
  { title: 'the first name becomes a symlink', before: group('a b c'), after: `l /a -> b ${at}\n${group('b c')}` },
  {
    title: 'the first name becomes a directory, with a member in it',
    before: group('a b c'),
    after: `d 0755 /a ${at}\n${group('a/in b c')}`,
  },
  { title: 'a symlink becomes a member', before: `${group('a b')}\nl /c -> a ${at}`, after: group('a b c') },
  {
    title: 'a directory becomes a member',
    before: `${group('a b')}\nd 0755 /c ${at}\n${file('c/old')}`,
    after: group('a b c'),
  },
  { title: 'a member is added', before: group('a b'), after: group('a b c') },
  { title: 'a member is added before the first name', before: group('b c'), after: group('a b c') },
  { title: 'a member is added in a new directory', before: group('a b'), after: group('a b new/c new/d') },
  { title: 'a lone file becomes a group', before: file('a'), after: group('a b') },
  {
    title: 'a group is split in two of the same bytes',
    before: group('a b c d'),
    after: `${group('a b')}\n${group('c d')}`,
  },
  {
    title: 'a group is split in two of other bytes',
    before: group('a b c d'),
    after: `${group('a c', '1')}\n${group('b d', '2')}`,
  },
  {
    title: 'a group is split into lone files',
    before: group('a b c'),
    after: `${file('a')}\n${file('b')}\n${file('c', 'other')}`,
  },
  { title: 'two files of the same bytes are joined', before: `${file('a')}\n${file('b')}`, after: group('a b') },
  { title: 'two files of other bytes are joined', before: `${file('a')}\n${file('b', 'other')}`, after: group('a b') },
  { title: 'two groups are joined', before: `${group('a b')}\n${group('c d')}`, after: group('a b c d') },
  {
    title: 'two groups exchange members',
    before: `${group('a b', '1')}\n${group('c d', '2')}`,
    after: `${group('a c', '1')}\n${group('b d', '2')}`,
  },
  {
    title: 'a link of nobody stays on the old inode',
    before: group('a b c'),
    after: group('a b', 'others'),
    meanwhile: (path) => fs.linkSync(path('a'), path('z')),
    expected: `${group('a b', 'others')}\n${file('z')}`,
    left: ['z'],
  },
  {
    title: 'a link of nobody stays on the inode that stays',
    before: group('a b c'),
    after: group('a b'),
    meanwhile: (path) => fs.linkSync(path('c'), path('z')),
    expected: group('a b z'),
    left: ['z'],
  },
  {
    title: 'a member that somebody made a file of its own is a member again',
    before: group('a b c'),
    after: group('a b c'),
    meanwhile: (path) => {
      fs.copyFileSync(path('b'), path('copy'))
      fs.utimesSync(path('copy'), 1_600_000_000, 1_600_000_000)
      fs.renameSync(path('copy'), path('b'))
    },
  },
  {
    title: 'a member that somebody removed, and the version removes',
    before: group('a b c'),
    after: group('a c'),
    meanwhile: (path) => fs.unlinkSync(path('b')),
  },
  {
    title: 'a first name that somebody removed comes again',
    before: group('a b c'),
    after: group('a b c'),
    meanwhile: (path) => fs.unlinkSync(path('a')),
  },
  {
    title: 'a protected member that somebody replaced stays, and the others are placed',
    before: group('a b c'),
    after: group('a b c', 'others'),
    options: { protect: ['/b'] },
    meanwhile: (path) => replace(path('b')),
    expected: `${group('a c', 'others')}\n${file('._cfg0000_b', 'others')}\n${file('b', 'mine')}`,
    differing: ['b'],
    left: ['b'],
  },
  {
    title: 'a protected first name that somebody replaced stays, and the others are placed',
    before: group('a b c'),
    after: group('a b c', 'others'),
    options: { protect: ['/a'] },
    meanwhile: (path) => replace(path('a')),
    expected: `${file('._cfg0000_a', 'others')}\n${file('a', 'mine')}\n${group('b c', 'others')}`,
    differing: ['a'],
    left: ['a'],
  },
  {
    title: 'a protected member that somebody replaced stays when its version removes it',
    before: group('a b c'),
    after: group('a c'),
    options: { protect: ['/b'] },
    meanwhile: (path) => replace(path('b')),
    expected: `${group('a c')}\n${file('b', 'mine')}`,
    left: ['b'],
  },
  {
    title: 'a protected member that nobody edited is placed with its group',
    before: group('a b c'),
    after: group('a b c', 'others'),
    options: { protect: ['/b'] },
  },
]

/** As an editor saves: a new file under the name. */
function replace(path: string): void {
  fs.writeFileSync(`${path}.saved`, 'mine')
  fs.chmodSync(`${path}.saved`, 0o644)
  fs.utimesSync(`${path}.saved`, 1_600_000_000, 1_600_000_000)
  fs.renameSync(`${path}.saved`, path)
}

/** Names, types, bytes, modes, and which names are one inode; times but for the whole second are another test's. */
function look(top: string): Snapshot {
  const seen = snapshot(top, { without: ['var'], directoryTimes: false })
  return new Map(
    [...seen].filter(([name]) => name !== '').map(([name, line]) => [name, line.replace(/mtime=\d+ /, '')]),
  )
}

class Bench {
  readonly root: string
  readonly #directory: string

  constructor(directory: string) {
    this.#directory = directory
    this.root = join(directory, 'root')
    fs.mkdirSync(this.root)
  }

  tree(text: string): string {
    const made = fs.mkdtempSync(join(this.#directory, 'image-'))
    writeTree(made, text)
    return made
  }

  merge(text: string, more: Partial<MergeOptions> = {}, name = 'p') {
    const options = { root: this.root, image: this.tree(text), package: name, durability: 'none', ...more }
    return mergeImages(contextOf(linuxKernel()), options as MergeOptions)
  }

  verify(): readonly string[] {
    return verifyPackages(contextOf(linuxKernel()), { root: this.root }).map(({ name }) => name)
  }

  unmerge(name = 'p') {
    return unmergePackages(contextOf(linuxKernel()), { root: this.root, packages: [name], durability: 'none' })
  }

  readonly path = (name: string) => join(this.root, name)
  readonly inode = (name: string) => fs.lstatSync(this.path(name)).ino
}

const withBench = (body: (bench: Bench) => Promise<void>) => () =>
  withDirectory((directory) => body(new Bench(directory)))

describe('a hard-link group', () => {
  for (const { title, before, after, meanwhile, options, expected, differing = [], left = [] } of cases) {
    for (const mode of ['copy', 'move'] as const) {
      it(
        `${title} (${mode})`,
        withBench(async (bench) => {
          await bench.merge(before, { ...options, mode })
          meanwhile?.(bench.path)
          await bench.merge(after, { ...options, mode })
          const wanted = look(bench.tree(expected ?? after))
          assert.deepEqual(differencesBetween(look(bench.root), wanted), [])
          assert.deepEqual(bench.verify(), differing)
          const inodes = () => [...wanted.keys()].map((name) => [name, bench.inode(name)])
          const settled = inodes()
          await bench.merge(after, { ...options, mode })
          assert.deepEqual(inodes(), settled, 'the same again changes an inode')
          await bench.unmerge()
          assert.deepEqual([...look(bench.root).keys()].sort(), left)
        }),
      )
    }
  }

  it(
    'that two packages share keeps the names of the one that stays',
    withBench(async (bench) => {
      const both = { shareIdentical: true }
      await bench.merge(group('a b c'), both)
      await bench.merge(group('a b c'), both, 'q')
      const { ino } = fs.statSync(bench.path('a'))
      await bench.merge(group('a b'), both)
      assert.deepEqual(['a', 'b', 'c'].map(bench.inode), [ino, ino, ino])
      await bench.unmerge()
      assert.deepEqual(['a', 'b', 'c'].map(bench.inode), [ino, ino, ino])
      assert.deepEqual(bench.verify(), [])
      await bench.unmerge('q')
      assert.deepEqual([...look(bench.root).keys()], [])
    }),
  )

  for (const [title, after, stashMode] of [
    ['keeps its bits while a name of it stays', group('a b', 'bytes', '4755'), 0o4755],
    ['loses them on the old inode when all its names are replaced', group('a b', 'others', '4755'), 0o755],
    ['loses them on the old inode when all its names go', file('other'), 0o755],
  ] as const) {
    it(
      `with set-id bits ${title}`,
      withBench(async (bench) => {
        await bench.merge(group('a b c', 'bytes', '4755'))
        fs.linkSync(bench.path('c'), bench.path('stash'))
        await bench.merge(after)
        assert.equal(fs.statSync(bench.path('stash')).mode & 0o7777, stashMode)
        if (fs.existsSync(bench.path('a'))) assert.equal(fs.statSync(bench.path('a')).mode & 0o7777, 0o4755)
        await bench.unmerge()
        assert.equal(fs.statSync(bench.path('stash')).mode & 0o7777, 0o755)
      }),
    )
  }
})

/** Where `m` is another file system: what has to be one inode, and what is one of its own. */
const acrossMounts: readonly { title: string; before: string; after: string; groups: readonly string[] }[] = [
  { title: 'a member beyond is removed', before: group('a b m/c'), after: group('a b'), groups: ['a b'] },
  {
    title: 'all members but the one beyond are removed',
    before: group('a b m/c'),
    after: file('m/c'),
    groups: ['m/c'],
  },
  { title: 'a member beyond is added', before: group('a b'), after: group('a b m/c'), groups: ['a b', 'm/c'] },
  { title: 'the first name moves beyond', before: group('a b c'), after: group('m/a b c'), groups: ['m/a', 'b c'] },
  { title: 'all members change', before: group('a b m/c'), after: group('a b m/c', 'others'), groups: ['a b', 'm/c'] },
  {
    title: 'a member beyond becomes a symlink',
    before: group('a b m/c'),
    after: `${group('a b')}\nl /m/c -> ../a ${at}`,
    groups: ['a b'],
  },
  {
    title: 'a group is split along the border',
    before: group('a b m/c'),
    after: `${group('a b')}\n${file('m/c')}`,
    groups: ['a b', 'm/c'],
  },
]

describe('a hard-link group across mounts', () => {
  before(function () {
    if (process.getuid?.() === 0) return
    process.stderr.write('      needs root: mounts\n')
    this.skip()
  })

  for (const { title, before: old, after, groups } of acrossMounts) {
    it(
      title,
      withBench(async (bench) => {
        fs.mkdirSync(bench.path('m'))
        execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', bench.path('m')])
        try {
          await bench.merge(old)
          await bench.merge(after)
          for (const names of groups) {
            const [first = '', ...others] = names.split(' ')
            for (const name of others) assert.equal(bench.inode(name), bench.inode(first), name)
          }
          const apart = (seen: Snapshot) =>
            [...seen].filter(([name]) => name !== 'm').map(([name, line]) => `${name} ${line.replace(/first=\S+/, '')}`)
          const image = bench.tree(after)
          assert.deepEqual(apart(look(bench.root)), apart(look(image)))
          assert.deepEqual(bench.verify(), [])
          await bench.unmerge()
          assert.deepEqual([...look(bench.root).keys()], ['m'])
        } finally {
          execFileSync('umount', [bench.path('m')])
        }
      }),
    )
  }
})
