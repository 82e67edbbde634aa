// Merges that the file system hinders: full disks, immutable objects, mounts in the middle of the root. The error says
// what hindered it, the root is as it was, and once the hindrance is gone the same merge succeeds.

import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { RecoveryPendingError } from '../../src/merge/errors.ts'
import { linuxKernel } from '../../src/sys/index.ts'
import { run } from '../support/disks.ts'
import { fileSystems } from '../support/filesystems.ts'
import { mergeImages, unmergePackages } from '../support/operations.ts'
import { withDirectory } from '../support/scratch.ts'
import { differencesBetween, snapshot } from '../support/snapshot.ts'
import { randomBytes, writeTree } from '../support/tree.ts'
import { checkRecords, memory, tell } from './outcome.ts'
import { contextOf, stagingNames } from './scenarios.ts'

interface Scene {
  readonly directory: string
  readonly root: string
  image(name: string, tree: string): string
  merge(image: string): Promise<unknown>
}

const one = 'f /etc/kept "1"\nf /usr/share/doc/file "1"\nf /usr/share/gone "1"\nf 4755 /usr/bin/tool "1"'
const two = 'f /etc/kept "2"\nf /usr/share/doc/file "22"\nf /usr/share/new/file "2"\nf 4755 /usr/bin/tool "2"'

/** Runs `body` in a directory (on a file system that is mounted for it) where version one is merged. */
async function withScene(mount: readonly string[] | string, body: (scene: Scene) => Promise<void>): Promise<void> {
  await withDirectory(
    async (directory) => {
      const point = join(directory, 'mounted')
      fs.mkdirSync(point)
      if (typeof mount !== 'string') run('mount', ...mount, point)
      try {
        const root = join(point, 'root')
        fs.mkdirSync(root)
        const scene: Scene = {
          directory,
          root,
          image(name, tree) {
            fs.mkdirSync(join(directory, name))
            writeTree(join(directory, name), tree)
            return join(directory, name)
          },
          merge: (image) => mergeImages(contextOf(linuxKernel()), { root, image, package: 'p' }),
        }
        await scene.merge(scene.image('one', one))
        await body(scene)
      } finally {
        if (typeof mount !== 'string') run('umount', point)
      }
    },
    typeof mount === 'string' ? mount : memory,
  )
}

const look = (root: string) => snapshot(root, { without: ['var'] })

/** Demands that a merge is refused with such words and changes nothing. */
async function expectHindered({ root, merge }: Scene, image: string, words: RegExp): Promise<void> {
  const before = look(root)
  await assert.rejects(merge(image), (error: Error) => {
    assert.ok(!(error instanceof RecoveryPendingError), error.message)
    assert.match(`${error.message} ${(error as { hint?: string }).hint}`, words)
    return true
  })
  assert.deepEqual(differencesBetween(look(root), before), [])
  assert.deepEqual(stagingNames(join(root, '..')), [])
}

async function expectMerged({ root, merge }: Scene, image: string): Promise<void> {
  await merge(image)
  assert.deepEqual(stagingNames(join(root, '..')), [])
  await checkRecords(join(root, '..'), 'after the merge')
}

/** A directory on a file system of the matrix. */
function on(name: string): string {
  const found = fileSystems().find((each) => each.name === name)
  if (found === undefined) throw new Error(`no ${name} here`)
  return found.directory()
}

function itAsRoot(title: string, body: () => Promise<void>): void {
  it(title, function () {
    if (process.getuid?.() === 0 && process.env.ROOTMERGE_TEST_FILESYSTEMS !== 'quick') return body()
    process.stderr.write(`skipped: ${title}: it needs root and file systems of its own\n`)
    return this.skip()
  })
}

describe('a merge that the file system hinders', function () {
  this.timeout(300_000)

  itAsRoot('is undone on a full disk, however much room is left', () =>
    withScene(['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs'], async (scene) => {
      const big = scene.image('big', `${two}\nf /opt/large random:2M\nf /opt/other random:900K\nf /srv/file "small"`)
      const filler = join(scene.root, '..', 'filler')
      let hindered = 0
      for (const kibibytes of [0, 60, 200, 700, 2100]) {
        fs.rmSync(filler, { force: true })
        fillUp(filler, kibibytes)
        await expectHindered(scene, big, /ENOSPC|space/i)
        hindered++
      }
      fs.rmSync(filler)
      await expectMerged(scene, big)
      assert.equal(hindered, 5)
    }),
  )

  itAsRoot('is before or after where the disk is full but for a little, with an index or without', () =>
    withScene(['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs'], async (scene) => {
      const filler = join(scene.root, '..', 'filler')
      const image = scene.image('two', two)
      const outcomes = { before: 0, after: 0 }
      for (let kibibytes = 0; kibibytes < 100; kibibytes += 4) {
        fs.rmSync(filler, { force: true })
        await scene.merge(join(scene.directory, 'one'))
        fillUp(filler, kibibytes)
        const before = look(scene.root)
        try {
          await scene.merge(image)
          outcomes.after++
        } catch (error) {
          assert.match(String(error), /ENOSPC|space/i)
          assert.deepEqual(differencesBetween(look(scene.root), before), [], `with ${kibibytes} KiB`)
          outcomes.before++
        }
        await checkRecords(join(scene.root, '..'), `with ${kibibytes} KiB`)
      }
      tell('a full disk but for a little', outcomes)
      assert.ok(outcomes.before > 0 && outcomes.after > 0, JSON.stringify(outcomes))
    }),
  )

  itAsRoot('is made where there is room for what its journal really holds', () =>
    withScene(['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs'], async (scene) => {
      const many = Array.from({ length: 12_000 }, (_, n) => `f /usr/lib/many/${n} ""`).join('\n')
      fillUp(join(scene.root, '..', 'filler'), 3000)
      await scene.merge(scene.image('many', many))
      assert.equal(fs.readdirSync(join(scene.root, 'usr/lib/many')).length, 12_000)
    }),
  )

  itAsRoot('is undone when there are no inodes left', () =>
    withScene(['-t', 'tmpfs', '-o', 'nr_inodes=100', 'tmpfs'], async (scene) => {
      const many = Array.from({ length: 120 }, (_, n) => `f /usr/lib/many/${n} "x"`).join('\n')
      await expectHindered(scene, scene.image('many', `${two}\n${many}`), /ENOSPC|inode|space/i)
      await expectMerged(scene, scene.image('two', two))
    }),
  )

  for (const [what, name, flag] of [
    ['a file that it replaces is immutable', 'etc/kept', 'i'],
    ['a file that goes is immutable', 'usr/share/gone', 'i'],
    ['a directory that it adds to is immutable', 'usr/share', 'i'],
    ['a directory that it removes from is append-only', 'usr/share', 'a'],
  ] as const) {
    itAsRoot(`changes nothing when ${what}`, () =>
      withScene(on('ext4'), async (scene) => {
        const image = scene.image('two', two)
        run('chattr', `+${flag}`, join(scene.root, name))
        try {
          await expectHindered(scene, image, /EPERM|immutable|append/)
        } finally {
          run('chattr', `-${flag}`, join(scene.root, name))
        }
        await expectMerged(scene, image)
      }),
    )
  }

  itAsRoot('changes nothing when a directory with a mount in it would be replaced', () =>
    withScene(memory, async (scene) => {
      await scene.merge(scene.image('with-data', `${one}\nf /srv/data/file "1"\nd /srv/data/volume`))
      const leave = mounting('-t', 'tmpfs', 'tmpfs')(join(scene.root, 'srv/data/volume'), scene.root)
      const image = scene.image('with-link', `${one}\nl /srv/data -> elsewhere`)
      try {
        await expectHindered(scene, image, /srv\/data/)
      } finally {
        leave()
      }
      await expectMerged(scene, image)
    }),
  )

  itAsRoot('changes nothing when a part of the root is mounted read-only, and says which', () =>
    withScene(on('ext4'), async (scene) => {
      const image = scene.image('two', two)
      const point = join(scene.root, 'usr/share')
      run('mount', '--bind', point, point)
      run('mount', '-o', 'remount,bind,ro', point)
      try {
        await expectHindered(scene, image, /usr\/share/)
      } finally {
        run('umount', point)
      }
      await expectMerged(scene, image)
    }),
  )
})

/** Leaves so much room on a file system as is said. */
function fillUp(file: string, kibibytesLeft: number): void {
  const { bavail, bsize } = fs.statfsSync(join(file, '..'))
  const bytes = bavail * bsize - kibibytesLeft * 1024
  fs.writeFileSync(file, randomBytes(65536))
  if (bytes > 65536) fs.appendFileSync(file, Buffer.alloc(bytes - 65536, 'full'))
}

/** A part of the root that nothing can be renamed into from elsewhere. */
const parts: Readonly<Record<string, readonly [on: string, make: (point: string, directory: string) => () => void]>> = {
  'another file system': ['ext4', mounting('-t', 'tmpfs', 'tmpfs')],
  'a bind mount of another directory of the same file system': [
    'ext4',
    (point, directory) => {
      fs.mkdirSync(join(directory, 'elsewhere'))
      return mounting('--bind', join(directory, 'elsewhere'))(point, directory)
    },
  ],
  'an overlay': [
    'ext4',
    (point, directory) => {
      const [lower, upper, work] = ['lower', 'upper', 'work'].map((each) => join(directory, each)) as string[]
      for (const each of [lower, upper, work]) fs.mkdirSync(each as string)
      fs.cpSync(point, lower as string, { recursive: true, preserveTimestamps: true })
      return mounting(
        '-t',
        'overlay',
        'overlay',
        '-o',
        `lowerdir=${lower},upperdir=${upper},workdir=${work}`,
      )(point, directory)
    },
  ],
  'a btrfs subvolume': [
    'btrfs subvolume one',
    (point) => {
      run('btrfs', 'subvolume', 'create', point)
      return () => {}
    },
  ],
  'a directory with a project of its own': [
    'xfs',
    (point) => {
      run('chattr', '-p', '42', '+P', point)
      return () => {}
    },
  ],
}

function mounting(...words: string[]): (point: string, directory: string) => () => void {
  return (point) => {
    run('mount', ...words, point)
    return () => void run('umount', point)
  }
}

describe('a merge across a border inside the root', function () {
  this.timeout(300_000)

  for (const [what, [fileSystem, make]] of Object.entries(parts)) {
    itAsRoot(`is one transaction with ${what}`, () =>
      withScene(on(fileSystem), async (scene) => {
        const point = join(scene.root, 'srv/part')
        if (what.includes('subvolume')) fs.mkdirSync(join(scene.root, 'srv'))
        else fs.mkdirSync(point, { recursive: true })
        const leave = make(point, scene.directory)
        try {
          const tree = (v: string) => `f /srv/part/file "${v}"\nf /srv/part/deep/${v} "${v}"`
          await expectMerged(scene, scene.image('three', `${one}\n${tree('3')}`))
          await expectMerged(scene, scene.image('four', `${two}\n${tree('4')}`))
          assert.equal(fs.readFileSync(join(point, 'deep/4'), 'utf8'), '4')
          assert.ok(!fs.existsSync(join(point, 'deep/3')))
          unmergePackages(contextOf(linuxKernel()), { root: scene.root, packages: ['p'] })
          assert.deepEqual(fs.existsSync(point) ? fs.readdirSync(point) : [], [])
        } finally {
          leave()
        }
      }),
    )
  }

  itAsRoot('splits a group of hard links, and says so', () =>
    withScene(on('ext4'), async ({ root, image, merge }) => {
      const point = join(root, 'srv/part')
      fs.mkdirSync(point, { recursive: true })
      const leave = mounting('-t', 'tmpfs', 'tmpfs')(point, root)
      try {
        const tree = `${one}\nf /opt/first "linked"\nh /opt/second == /opt/first\nh /srv/part/third == /opt/first\nh /srv/part/fourth == /opt/first`
        const report = await merge(image('linked', tree))
        const inode = (name: string) => fs.statSync(join(root, name)).ino
        assert.equal(inode('opt/first'), inode('opt/second'))
        assert.equal(fs.readFileSync(join(point, 'third'), 'utf8'), 'linked')
        assert.equal(fs.readFileSync(join(point, 'fourth'), 'utf8'), 'linked')
        assert.match(JSON.stringify(report), /srv\/part\/third/)
        await checkRecords(join(root, '..'), 'after the merge')
      } finally {
        leave()
      }
    }),
  )
})
