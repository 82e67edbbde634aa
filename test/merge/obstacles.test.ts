import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import {
  CollisionError,
  ImmutableError,
  type MergeOptions,
  MountPointError,
  merge,
  NoSpaceError,
  RefusedError,
  UnsafeEntryError,
  unmerge,
} from '../../src/merge/index.ts'
import { linuxKernel, SyscallError } from '../../src/sys/index.ts'
import { itAsRoot } from '../support/asRoot.ts'
import { itOnEach } from '../support/filesystems.ts'
import { wrapKernel } from '../support/kernelDoubles.ts'
import { mergeImages } from '../support/operations.ts'
import { withDirectory } from '../support/scratch.ts'
import { snapshot } from '../support/snapshot.ts'
import { writeTree } from '../support/tree.ts'
import { contextOf } from './scenarios.ts'

interface Bench {
  readonly root: string
  readonly image: string
  readonly directory: string
}

function makeBench(directory: string, tree: string): Bench {
  const bench = { directory, root: join(directory, 'root'), image: join(directory, 'image') }
  fs.mkdirSync(bench.root)
  fs.mkdirSync(bench.image)
  writeTree(bench.image, tree)
  return bench
}

const withBench = (tree: string, body: (bench: Bench) => Promise<unknown>) =>
  withDirectory((directory) => body(makeBench(directory, tree)))

/** A bench whose root is a file system of its own, mounted with these options. */
async function withMounted(options: string, tree: string, body: (bench: Bench) => Promise<unknown>): Promise<void> {
  await withBench(tree, async (bench) => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', bench.root])
    try {
      await body(bench)
    } finally {
      execFileSync('umount', ['-l', bench.root])
    }
  })
}

/** Merges, and demands that nothing but the state was touched: not even looked at for writing. */
async function refused(bench: Bench, options: Partial<MergeOptions> = {}): Promise<Error> {
  const opened: string[] = []
  const kernel = wrapKernel(linuxKernel(), (call, args, proceed) => {
    if (/^(mkdirat|renameat|linkat|symlinkat|mknodat)$/.test(call)) opened.push(`${call} ${args[1]}`)
    return proceed(...args)
  })
  const before = snapshot(bench.root, { without: ['var'], directoryTimes: false })
  let error: unknown
  try {
    await mergeImages(contextOf(kernel), {
      root: bench.root,
      image: bench.image,
      package: 'p',
      ...options,
    } as MergeOptions)
  } catch (thrown) {
    error = thrown
  }
  assert.ok(error instanceof Error, 'it was merged')
  const inState = /^(mkdirat (var|lib|rootmerge|packages|parents|\.)|(mkdirat|renameat) \.rootmerge-move-\w+)$/
  assert.deepEqual(
    opened.filter((each) => !inState.test(each)),
    [],
  )
  assert.deepEqual(snapshot(bench.root, { without: ['var'], directoryTimes: false }), before)
  return error
}

describe('a merge that cannot be', function () {
  this.timeout(60_000)

  itAsRoot('says how many bytes are missing before it stages, and how many inodes', () =>
    withMounted('size=1m,nr_inodes=40', 'f /big random:3M', async (bench) => {
      const error = await refused(bench)
      assert.ok(error instanceof NoSpaceError)
      const { bavail, bsize } = fs.statfsSync(bench.root)
      const missing = error.missingBytes ?? 0
      assert.ok(Math.abs(missing - (3 * 1024 ** 2 - bavail * bsize)) < 4096, String(missing))
      fs.rmSync(join(bench.image, 'big'))
      for (let n = 0; n < 60; n++) fs.writeFileSync(join(bench.image, `f${n}`), '')
      const inodes = await refused(bench)
      assert.ok(inodes instanceof NoSpaceError && (inodes.missingInodes ?? 0) > 20, String(inodes))
      assert.equal(inodes.missingBytes, 0)
    }),
  )

  itAsRoot('counts neither holes, nor further names of an inode, nor what is there already', () =>
    withMounted('size=2m', 'f /sparse "x" hole:50M\nf /one random:1M\nh /two == /one', async ({ root, image }) => {
      await merge({ root, image, package: 'p' })
      await merge({ root, image, package: 'p' })
      assert.equal(fs.statSync(join(root, 'two')).nlink, 2)
    }),
  )

  /** Where nothing can be shared; of others only the attempt tells (XFS without reflink, overlayfs), of an unknown one nothing. */
  const neverShares = new Set(['ext4', 'tmpfs', 'shared memory'])

  itOnEach('counts nothing for what reflink may share', async (directory, { name }) => {
    const size = 8 * 1024 ** 2
    const bench = makeBench(directory, `f /big random:${size / 1024 ** 2}M`)
    const full = 64 * 1024
    const kernel = wrapKernel(linuxKernel(), (call, args, proceed) => {
      if (call !== 'fstatfs') return proceed(...args)
      return { ...(proceed(...args) as object), bytesFree: full, bytesAvailable: full }
    })
    const merging = mergeImages(contextOf(kernel), { root: bench.root, image: bench.image, package: 'p' })
    if (neverShares.has(name)) await assert.rejects(merging, NoSpaceError)
    else if (name === 'temporary files') await merging.catch((error) => assert.ok(error instanceof NoSpaceError))
    else await merging
  })

  itAsRoot('tells room that runs out while staging as that, and is undone', () =>
    withMounted('size=2m', 'f /big random:1M', async (bench) => {
      const plenty = 1024 ** 3
      let files = 0
      const kernel = wrapKernel(linuxKernel(), (call, args, proceed) => {
        if (call === 'fstatfs') return { ...(proceed(...args) as object), bytesFree: plenty }
        if (/^(write|pwrite|copyFileRange|sendfile)$/.test(call) && files++ === 3)
          throw new SyscallError('ENOSPC', call, '/full')
        return proceed(...args)
      })
      const merging = mergeImages(contextOf(kernel), { root: bench.root, image: bench.image, package: 'p' })
      await assert.rejects(merging, (error) => {
        assert.ok(error instanceof NoSpaceError)
        assert.match(error.message, /ENOSPC.*'\/full'/)
        return true
      })
      assert.deepEqual(fs.readdirSync(bench.root), ['var'])
    }),
  )

  itAsRoot('names immutable and append-only objects, parents and targets, all of them', () =>
    withBench('f /a/target "new"\nf /b/child "new"\nf /c/append "new"\nf /d/ok "new"', async (bench) => {
      const parent = fs.existsSync('/dev/shm') ? '/dev/shm' : bench.directory
      await withDirectory(async (root) => {
        writeTree(root, 'f /a/target "old"\nd /b\nf /c/append "old"')
        const flags: [string, string][] = [
          ['+i', 'a/target'],
          ['+i', 'b'],
          ['+a', 'c/append'],
        ]
        const change = (sign: string) => {
          for (const [flag, name] of flags) execFileSync('chattr', [flag.replace('+', sign), join(root, name)])
        }
        change('+')
        try {
          const error = await refused({ ...bench, root }, { collisionIgnore: ['**'] })
          assert.ok(error instanceof ImmutableError, String(error))
          assert.deepEqual([...error.paths].sort(), [join(root, 'a/target'), join(root, 'b'), join(root, 'c/append')])
        } finally {
          change('-')
        }
      }, parent)
    }),
  )

  itAsRoot('names a mount point that would have to move, and a read-only mount once', () =>
    withBench('f /etc/hosts "new"\nf /ro/x "1"\nf /ro/deep/er/y "1"', async (bench) => {
      const { root, directory } = bench
      writeTree(root, 'f /etc/hosts "old"\nd /ro/deep/er')
      fs.writeFileSync(join(directory, 'over'), 'mounted')
      execFileSync('mount', ['--bind', join(directory, 'over'), join(root, 'etc/hosts')])
      execFileSync('mount', ['--bind', join(root, 'ro'), join(root, 'ro')])
      execFileSync('mount', ['-o', 'remount,bind,ro', join(root, 'ro')])
      try {
        const error = await refused(bench, { collisionIgnore: ['**'] })
        assert.ok(error instanceof RefusedError)
        assert.deepEqual(error.reasons.map(({ name }) => name).sort(), ['MountPointError', 'SyscallError'])
        const [mounted, readOnly] = error.reasons
        assert.ok(mounted instanceof MountPointError && mounted?.message.includes('etc/hosts'))
        assert.ok(readOnly instanceof SyscallError && readOnly.code === 'EROFS')
        assert.equal(readOnly.path, join(root, 'ro'))
      } finally {
        execFileSync('umount', [join(root, 'ro')])
        execFileSync('umount', [join(root, 'etc/hosts')])
      }
    }),
  )

  itAsRoot('names every directory that an ordinary user may not write, and what stands in a sticky one', () =>
    withBench('f /no/x "1"\nf /neither/x "1"\nf /sticky/x "1"', async ({ root, image, directory }) => {
      writeTree(
        root,
        'd 0755 /no\nd 0755 /neither\nd 1777 /sticky\nf 0644 /sticky/x "old"\nd 0777 /var\nd 0777 /var/lib',
      )
      fs.chmodSync(directory, 0o755)
      const command = ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath, 'build/src/cli/main.js']
      const { status, stderr } = spawnSync(
        'setpriv',
        [
          ...command,
          'merge',
          image,
          '--root',
          root,
          '--package',
          'p',
          '--collision-ignore',
          '**',
          '--metadata',
          'best-effort',
        ],
        { encoding: 'utf8' },
      )
      assert.equal(status, 1, stderr)
      for (const name of ['no', 'neither']) assert.match(stderr, new RegExp(`EACCES.*root/${name}'`))
      assert.match(stderr, /EPERM.*sticky\/x/)
      assert.deepEqual(fs.readdirSync(join(root, 'no')), [])
    }),
  )

  it('lists unsafe entries, collisions and escapes together, each with what is below it left out', () =>
    withBench(
      'f /etc/.rootmerge-x/y "1"\nf /.rootmerge-z "1"\nf /etc/taken "1"\nf /var/lib/rootmerge/journal "1"',
      async (bench) => {
        writeTree(bench.root, 'f /etc/taken "admin"')
        const error = await refused(bench)
        assert.ok(error instanceof RefusedError)
        const unsafe = error.reasons.filter((each) => each instanceof UnsafeEntryError).map(({ entry }) => entry)
        assert.deepEqual(unsafe, ['.rootmerge-z', 'etc/.rootmerge-x', 'var/lib/rootmerge/journal'])
        assert.equal(error.reasons.filter((each) => each instanceof CollisionError).length, 1)
        assert.equal(error.reasons.length, 4)
      },
    ))

  itAsRoot('is found for an unmerge too', () =>
    withBench('f /a "1"\nf /b "1"', async ({ root, image }) => {
      await merge({ root, image, package: 'p' })
      execFileSync('chattr', ['+i', join(root, 'a')])
      try {
        await assert.rejects(unmerge({ root, packages: ['p'] }), ImmutableError)
        assert.deepEqual(fs.readdirSync(root).sort(), ['a', 'b', 'var'])
      } finally {
        execFileSync('chattr', ['-i', join(root, 'a')])
      }
    }),
  )
})
