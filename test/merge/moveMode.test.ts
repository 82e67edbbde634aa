import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { merge, RecoveryPendingError, readRecord, verify } from '../../src/merge/index.ts'
import type { MergeReport } from '../../src/merge/options.ts'
import { type Kernel, linuxKernel, type Stat } from '../../src/sys/index.ts'
import { compareTrees } from '../support/compareTrees.ts'
import { itOnEach, itOnEachPair } from '../support/filesystems.ts'
import { crashAt, declining, recording, wrapKernel } from '../support/kernelDoubles.ts'
import { mergeImages, recoverRootNow } from '../support/operations.ts'
import { rawMember, rawPax, rawTar } from '../support/rawTar.ts'
import { withDirectory } from '../support/scratch.ts'
import { differencesBetween, snapshot } from '../support/snapshot.ts'
import { writeTree } from '../support/tree.ts'
import { contextOf, mortal } from './scenarios.ts'

const isRoot = process.getuid?.() === 0
const withoutState = { ignoreTop: true, ignoreNames: /^var(\/|$)/ }

const tree = `
d 0750      /etc                 user.directory="kept"
f 0640      /etc/foo.conf        "colour=blue\\n" user.note="x"
l           /etc/foo             -> foo.conf
f           /usr/bin/tool        random:100K
h           /usr/bin/tool-too    == /usr/bin/tool
h           /opt/deep/down/tool  == /usr/bin/tool
f           /opt/deep/sparse     "start" hole:2M random:5K hole:1M
f           /opt/deep/empty      ""
p           /opt/deep/fifo
f           /opt/odd\\377\\012name  "bytes"
d 2755      /srv/group
${isRoot ? 'f 4755 7:8  /usr/bin/set-id      "program"\nd 0755 /opt/acl acl=d:u:7:rwx\nf 0644 /opt/acl/file "x" acl=u:7:rw' : ''}
`

interface Bench {
  readonly root: string
  readonly image: string
  /** A copy of the image as it was. */
  readonly expected: string
}

function makeBench(directory: string, image: string, text = tree): Bench {
  const [root, expected] = [join(directory, 'root'), join(directory, 'expected')]
  fs.mkdirSync(root)
  fs.mkdirSync(image)
  writeTree(image, text)
  execFileSync('cp', ['-a', image, expected])
  return { root, image, expected }
}

function withBench(body: (bench: Bench) => unknown, text = tree): Promise<void> {
  return withDirectory(async (directory) => {
    await body(makeBench(directory, join(directory, 'image'), text))
  })
}

const move = (bench: Bench, more: object = {}): Promise<MergeReport> =>
  merge({ ...bench, package: 'a', mode: 'move', durability: 'none', ...more })

const moveHere = (kernel: Kernel, { root, image }: Bench, more: object = {}): Promise<MergeReport> =>
  mergeImages(contextOf(kernel), { root, image, package: 'a', mode: 'move', durability: 'none', ...more })

const recoverHere = ({ root }: Bench, undo = false, kernel = linuxKernel()) =>
  recoverRootNow(contextOf(kernel), { root, undo })

/** The inode of each file in a tree, by name. */
function inodes(top: string): Map<string, bigint> {
  const names = fs.readdirSync(top, { recursive: true, encoding: 'latin1' })
  return new Map(
    names.map((name) => [name, fs.lstatSync(Buffer.from(`${top}/${name}`, 'latin1'), { bigint: true }).ino]),
  )
}

describe('merge() in move mode', () => {
  itOnEach('makes what a copy makes, and leaves nothing of the image', async (directory) => {
    const bench = makeBench(directory, join(directory, 'image'))
    const before = inodes(bench.image)
    const report = await move(bench)
    assert.deepEqual(compareTrees(bench.root, bench.expected, withoutState), [])
    assert.deepEqual(fs.readdirSync(bench.image), [])
    assert.deepEqual(await verify(bench), [])
    const after = inodes(bench.root)
    for (const name of ['etc/foo.conf', 'usr/bin/tool', 'opt/deep/down/tool', 'etc/foo', 'opt/deep'])
      assert.equal(after.get(name), before.get(name), `${name} was copied`)
    assert.deepEqual(Object.keys(report.bytesByMethod), ['renamed'])
  })

  itOnEachPair(
    'copies across file systems, and then removes what it copied',
    async ({ sourceDirectory, targetDirectory }) => {
      const bench = makeBench(targetDirectory, join(sourceDirectory, 'image'))
      await move(bench)
      assert.deepEqual(compareTrees(bench.root, bench.expected, withoutState), [])
      assert.deepEqual(fs.readdirSync(bench.image), [])
      assert.deepEqual(await verify(bench), [])
    },
  )

  it('takes a new directory with everything in it by one rename', () =>
    withBench(async (bench) => {
      const { kernel, calls } = recording(linuxKernel())
      await moveHere(kernel, bench)
      const renames = calls.filter(({ call }) => call === 'renameat').map(({ args }) => args[1])
      const taken = renames.filter((name) => fs.existsSync(join(bench.expected, String(name))))
      assert.deepEqual(taken.sort(), ['etc', 'opt', 'srv', 'usr'])
      // The state's own parents are made aside, under a name of movefile's.
      const isStaged = (name: string) => name.startsWith('.rootmerge-') && !name.startsWith('.rootmerge-move-')
      const made = calls.filter(({ call, args }) => call === 'mkdirat' && isStaged(String(args[1])))
      assert.deepEqual(made, [])
    }))

  it('has the names in the journal, durably, before the first rename', () =>
    withBench(async (bench) => {
      const { kernel, calls } = recording(linuxKernel())
      await moveHere(kernel, bench, { durability: 'transaction' })
      const isTaking = ({ call, args }: { call: string; args: readonly unknown[] }) =>
        call === 'pwrite' && Buffer.from(args[1] as Uint8Array).includes('"kind":"taking"')
      const written = calls.findIndex(isTaking)
      const renamed = calls.findIndex(({ call, args }) => call === 'renameat' && args[1] === 'etc')
      const flushed = calls.findIndex(({ call }, index) => index > written && call === 'fdatasync')
      assert.ok(written >= 0 && written < flushed && flushed < renamed, `${written} ${flushed} ${renamed}`)
    }))

  it('takes single objects where their directory is live, and removes what was already the same', () =>
    withBench(async (bench) => {
      await merge({ ...bench, image: bench.expected, package: 'a', exclude: ['usr/**', 'opt/deep/empty'] })
      const before = inodes(bench.image)
      await move(bench)
      assert.deepEqual(compareTrees(bench.root, bench.expected, { ...withoutState, ignore: ['mtime'] }), [])
      assert.deepEqual(fs.readdirSync(bench.image), [])
      assert.equal(inodes(bench.root).get('opt/deep/empty'), before.get('opt/deep/empty'))
      assert.notEqual(inodes(bench.root).get('opt/deep/sparse'), before.get('opt/deep/sparse'))
      assert.deepEqual(await verify(bench), [])
    }))

  it('leaves in the image what was not to be merged', () =>
    withBench(async (bench) => {
      fs.rmSync(Buffer.from(`${bench.image}/opt/odd\xff\nname`, 'latin1'))
      await move(bench, { exclude: ['opt/deep/empty', 'etc'] })
      const left = [...snapshot(bench.image).keys()].filter((name) => name !== '')
      assert.deepEqual(left, ['etc', 'etc/foo', 'etc/foo.conf', 'opt', 'opt/deep', 'opt/deep/empty'])
      assert.ok(!fs.existsSync(join(bench.root, 'opt/deep/empty')))
    }))

  it('copies an object with a link outside the image, so that nobody else holds what is installed', () =>
    withBench(async (bench) => {
      fs.linkSync(join(bench.image, 'usr/bin/tool'), join(bench.image, '../outside'))
      const before = inodes(bench.image)
      await move(bench)
      const after = inodes(bench.root)
      assert.notEqual(after.get('usr/bin/tool'), before.get('usr/bin/tool'))
      assert.equal(after.get('opt/deep/down/tool'), after.get('usr/bin/tool'))
      assert.equal(after.get('etc/foo.conf'), before.get('etc/foo.conf'))
      assert.equal(fs.statSync(join(bench.image, '../outside')).nlink, 1)
      assert.deepEqual(fs.readdirSync(bench.image), [])
    }))

  it('copies what a rename would leave with attributes that are not kept', () =>
    withBench(async (bench) => {
      const before = inodes(bench.image)
      await move(bench, { excludeXattrs: ['user.note'] })
      const after = inodes(bench.root)
      assert.notEqual(after.get('etc/foo.conf'), before.get('etc/foo.conf'))
      assert.equal(after.get('etc/foo'), before.get('etc/foo'))
      assert.deepEqual(compareTrees(bench.root, bench.expected, { ...withoutState, ignoreXattrs: /^user\.note/ }), [])
      const [note] = compareTrees(bench.root, bench.expected, withoutState)
      assert.match(note ?? '', /foo\.conf.*xattrs ,/)
    }))

  it('copies what the kernel does not rename, whatever it answers', async () => {
    for (const code of ['EXDEV', 'EPERM', 'EACCES', 'EROFS', 'EBUSY', 'EMLINK', 'EINVAL'] as const) {
      await withBench(async (bench) => {
        const kernel = wrapKernel(linuxKernel(), (call, args, proceed) => {
          const isTaking = call === 'renameat' && !String(args[1]).startsWith('.rootmerge-')
          return isTaking ? declining(linuxKernel(), 'renameat', code).renameat(0, '', 0, '') : proceed(...args)
        })
        const report = await moveHere(kernel, bench)
        assert.deepEqual(compareTrees(bench.root, bench.expected, withoutState), [])
        assert.deepEqual(fs.readdirSync(bench.image), [])
        assert.equal(report.bytesByMethod.renamed, undefined)
      })
    }
  })

  it('refuses an image that changes while it is merged, and gives it back', () =>
    withBench(async (bench) => {
      const kernel = wrapKernel(linuxKernel(), (call, args, proceed) => {
        if (call === 'renameat' && args[1] === 'opt') fs.writeFileSync(join(bench.image, 'opt/deep/late'), 'x')
        return proceed(...args)
      })
      await assert.rejects(moveHere(kernel, bench), { name: 'SourceReplacedError', message: /opt' changed/ })
      fs.unlinkSync(join(bench.image, 'opt/deep/late'))
      assert.deepEqual(compareTrees(bench.image, bench.expected, { ignore: ['mtime'] }), [])
      assert.deepEqual(compareTrees(bench.root, bench.image, withoutState).length > 0, true)
    }))

  it('leaves what changed in the image after it was copied, and says so', () =>
    withBench(async (bench) => {
      await merge({ ...bench, image: bench.expected, package: 'a', include: ['etc/**'] })
      const kernel = wrapKernel(linuxKernel(), (call, args, proceed) => {
        const isFinal = call === 'pwrite' && Buffer.from(args[1] as Uint8Array).includes('"kind":"final"')
        if (isFinal) fs.writeFileSync(join(bench.image, 'etc/foo.conf'), 'somebody goes on working')
        return proceed(...args)
      })
      const report = await moveHere(kernel, bench)
      assert.match(report.leftOvers[0]?.name ?? '', /image\/etc\/foo\.conf$/)
      assert.deepEqual(fs.readdirSync(bench.image), ['etc'])
    }))

  describe('that dies after it has taken everything', () => {
    const dead = async (bench: Bench, marker: string): Promise<void> => {
      const process = mortal()
      const { seen } = crashAt(process.kernel, Number.POSITIVE_INFINITY)
      let isDead = false
      const kernel = wrapKernel(process.kernel, (call, args, proceed) => {
        isDead ||= call === 'pwrite' && Buffer.from(args[1] as Uint8Array).includes(`"kind":"${marker}"`)
        if (isDead) throw new Error(`died in ${call} (${seen.calls})`)
        return proceed(...args)
      })
      await assert.rejects(moveHere(kernel, bench))
      process.bury()
    }

    it('gives the image back with its times', () =>
      withBench(async (bench) => {
        const before = snapshot(bench.image)
        await dead(bench, 'commit')
        assert.deepEqual(fs.readdirSync(bench.image), [])
        assert.equal(recoverHere(bench).action, 'discard')
        assert.deepEqual(differencesBetween(snapshot(bench.image), before), [])
      }))

    it('gives it back into an empty directory where the image was removed meanwhile', () =>
      withBench(async (bench) => {
        await dead(bench, 'commit')
        fs.rmdirSync(bench.image)
        assert.throws(
          () => recoverHere(bench),
          (error: unknown) => {
            assert.ok(error instanceof RecoveryPendingError)
            assert.match(error.message, /image' has to go back, but it is not there/)
            assert.match(String(error.hint), /make an empty directory/)
            return true
          },
        )
        fs.mkdirSync(bench.image)
        recoverHere(bench)
        assert.deepEqual(compareTrees(bench.image, bench.expected, { ignoreTop: true }), [])
      }))

    it('keeps it where an empty directory on another file system has the name of the image', function () {
      if (!isRoot) this.skip()
      return withBench(async (bench) => {
        await dead(bench, 'commit')
        execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', bench.image])
        try {
          assert.throws(() => recoverHere(bench), RecoveryPendingError)
        } finally {
          execFileSync('umount', [bench.image])
        }
        recoverHere(bench)
        assert.deepEqual(compareTrees(bench.image, bench.expected, { ignoreTop: true }), [])
      })
    })

    it("gives nothing to another directory under the image's name", () =>
      withBench(async (bench) => {
        await dead(bench, 'commit')
        fs.renameSync(bench.image, `${bench.image}-elsewhere`)
        writeTree(bench.root.replace(/root$/, ''), 'f /image/etc/of-another "image"')
        assert.throws(() => recoverHere(bench), /another directory is there now/)
        assert.deepEqual(fs.readdirSync(join(bench.image, 'etc')), ['of-another'])
        fs.rmSync(bench.image, { recursive: true })
        fs.renameSync(`${bench.image}-elsewhere`, bench.image)
        recoverHere(bench)
        assert.deepEqual(compareTrees(bench.image, bench.expected, { ignoreTop: true }), [])
      }))

    it('gives it back when a committed merge is undone', () =>
      withBench(async (bench) => {
        const before = snapshot(bench.image)
        await dead(bench, 'final')
        assert.ok(fs.existsSync(join(bench.root, 'etc/foo.conf')))
        recoverHere(bench, true)
        assert.deepEqual(differencesBetween(snapshot(bench.image), before), [])
        assert.deepEqual(fs.readdirSync(bench.root), ['var'])
      }))

    it('gives back what its file system has given another inode number', () =>
      withBench(async (bench) => {
        const before = snapshot(bench.image)
        await dead(bench, 'commit')
        const renumbering: Kernel = wrapKernel(linuxKernel(), (call, args, proceed) => {
          const stat = proceed(...args) as Stat | undefined
          if (call !== 'findat' || stat === undefined) return stat
          return new Proxy(stat, { get: (_, key: keyof Stat) => (key === 'ino' ? stat.ino + 1n : stat[key]) })
        })
        recoverHere(bench, false, renumbering)
        assert.deepEqual(differencesBetween(snapshot(bench.image), before), [])
      }))

    it('keeps what was taken beside an object that somebody gave its name to', () =>
      withBench(async (bench) => {
        const image = () => snapshot(bench.image, { directoryTimes: false })
        const before = image()
        await dead(bench, 'commit')
        fs.mkdirSync(join(bench.image, 'etc'))
        fs.writeFileSync(join(bench.image, 'etc/theirs'), 'theirs')
        const { leftOvers } = recoverHere(bench)
        const [kept] = leftOvers.map(({ name }) => name)
        assert.match(kept ?? '', /image\/\.rootmerge-kept-[^/]+$/)
        assert.equal(leftOvers.length, 1)
        fs.rmSync(join(bench.image, 'etc'), { recursive: true })
        fs.renameSync(kept ?? '', join(bench.image, 'etc'))
        assert.deepEqual(differencesBetween(image(), before), [])
        assert.deepEqual(fs.readdirSync(bench.root), ['var'])
      }))

    itOnEachPair('gives it back on any file system', async ({ sourceDirectory, targetDirectory }) => {
      const bench = makeBench(targetDirectory, join(sourceDirectory, 'image'))
      const before = snapshot(bench.image)
      await dead(bench, 'commit')
      recoverHere(bench)
      assert.deepEqual(differencesBetween(snapshot(bench.image), before), [])
      assert.deepEqual(fs.readdirSync(bench.root), ['var'])
    })

    it('keeps in the root what others put into a new directory while it was visible', () =>
      withBench(async (bench) => {
        const image = () => snapshot(bench.image, { directoryTimes: false })
        const before = image()
        await dead(bench, 'final')
        fs.mkdirSync(join(bench.root, 'opt/deep/of-others'))
        fs.writeFileSync(join(bench.root, 'opt/deep/of-others/file'), 'theirs')
        fs.writeFileSync(join(bench.root, 'etc/theirs'), 'theirs')
        const { leftOvers } = recoverHere(bench, true)
        assert.deepEqual(leftOvers.map(({ name }) => name).sort(), ['etc/theirs', 'opt/deep/of-others'])
        assert.deepEqual(differencesBetween(image(), before), [])
        const names = [...snapshot(bench.root, { without: ['var'] }).keys()].sort()
        assert.deepEqual(names, [
          '',
          'etc',
          'etc/theirs',
          'opt',
          'opt/deep',
          'opt/deep/of-others',
          'opt/deep/of-others/file',
        ])
      }))

    it('finds an image inside the root from wherever the root is', () =>
      withDirectory(async (directory) => {
        const root = join(directory, 'root')
        fs.mkdirSync(root)
        const bench = { ...makeBench(join(directory, 'root'), join(root, 'work-image')), root }
        const before = snapshot(bench.image)
        await dead(bench, 'commit')
        fs.renameSync(root, join(directory, 'mounted-elsewhere'))
        const moved = { ...bench, root: join(directory, 'mounted-elsewhere') }
        recoverHere(moved)
        assert.deepEqual(differencesBetween(snapshot(join(moved.root, 'work-image')), before), [])
      }))
  })
})

describe('an archive that is merged', () => {
  it('is taken out of its unpacked tree by rename, and its payloads are not read again', () =>
    withBench(async (bench) => {
      const archive = join(bench.image, '../image.tar')
      execFileSync('tar', ['-C', bench.image, '-cf', archive, 'usr', 'etc/foo.conf'])
      const { kernel, calls } = recording(linuxKernel())
      const report = await mergeImages(contextOf(kernel), { root: bench.root, image: archive, package: 'a' })
      assert.deepEqual(Object.keys(report.bytesByMethod), ['renamed'])
      const names = calls.flatMap(({ call, args }) => (call === 'renameat' ? [args[1]] : []))
      assert.ok(names.includes('usr') && names.includes('etc'))
      const journaled = calls.some(
        ({ call, args }) => call === 'pwrite' && Buffer.from(args[1] as Uint8Array).includes('"kind":"taking"'),
      )
      assert.ok(!journaled, 'a tree of our own is not given back')
      assert.deepEqual(await verify(bench), [])
    }))

  it('has no object opened again but those that may have attributes', () =>
    withBench(async (bench) => {
      const archive = join(bench.image, '../image.tar')
      const own = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
      const noted = rawPax({ 'SCHILY.xattr.user.note': 'a note' })
      const members = [
        rawMember({ name: 'd/plain', payload: 'x', ...own }),
        noted,
        rawMember({ name: 'd/noted', payload: 'x', ...own }),
        rawMember({ name: 'd/linked', type: '1', target: 'd/noted', ...own }),
      ]
      fs.writeFileSync(archive, rawTar(...members))
      const { kernel, calls } = recording(linuxKernel())
      await mergeImages(contextOf(kernel), { root: bench.root, image: archive, package: 'a', durability: 'none' })
      const opened = (name: string) => calls.filter(({ call, args }) => call === 'openat' && args[1] === name).length
      assert.deepEqual(['plain', 'noted', 'linked'].map(opened), [1, 2, 1])
      const record = Buffer.from(await readRecord({ ...bench, package: 'a' })).toString('latin1')
      assert.equal(record.match(/user\.note/g)?.length, 2)
      assert.deepEqual(await verify(bench), [])
    }))
})
