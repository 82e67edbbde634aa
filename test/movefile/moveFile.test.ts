import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import {
  copyTree,
  type FilterEntry,
  type MoveProgress,
  metadataPolicy,
  moveFile,
  moveTree,
} from '../../src/movefile/index.ts'
import { FS_APPEND_FL, FS_NODUMP_FL, type Kernel, O_RDONLY, openPath, SyscallError } from '../../src/sys/index.ts'
import { itAsRoot } from '../support/asRoot.ts'
import { compareTrees } from '../support/compareTrees.ts'
import { declining } from '../support/kernelDoubles.ts'
import { withScene } from '../support/twoFileSystems.ts'

const isRoot = process.getuid?.() === 0

const tree = `
d 0750 /tree user.note="top"
d ${isRoot ? '0500' : '0700'} /tree/sub
f 0640 /tree/sub/one "one" user.note="one" acl=u:bin:rw
h /tree/two == /tree/sub/one
l /tree/link -> sub/one
p 0620 /tree/fifo
f 0600 /tree/sparse "a" hole:4M "b"
d /tree/empty`
const treeOfRoot = `${tree}
f 6755 7:8 /tree/program "p" cap=cap_net_raw+ep
c 0666 /tree/null 1:3
l 7:8 /tree/owned -> x`

describe('moveFile()', () => {
  it('moves a file, a symlink, a tree, by paths of text or bytes', () =>
    withScene({ source: 'f /file "x"\nl /link -> x\nf /tree/member "m"\nf /odd\\377 "odd"' }, async ({ from, to }) => {
      assert.equal((await moveFile(join(from, 'file'), join(to, 'file'))).method, 'copy')
      assert.equal((await moveFile(Buffer.from(join(from, 'link')), join(to, 'link'))).method, 'copy')
      assert.equal((await moveFile(`${from}/tree/`, join(to, 'tree'))).copy?.entries, 2)
      const odd = (directory: string) => Buffer.concat([Buffer.from(`${directory}/odd`), Buffer.from([0xff])])
      await moveFile(odd(from), odd(to))
      assert.equal(fs.readFileSync(odd(to), 'utf8'), 'odd')
      assert.deepEqual(fs.readdirSync(from), [])
      assert.deepEqual(fs.readdirSync(to, 'latin1').sort(), ['file', 'link', 'odd\xff', 'tree'])
      assert.equal((await moveFile(join(to, 'file'), join(to, 'other'))).method, 'rename')
    }))

  it('leaves a target that exists alone with noReplace, by rename and by copy', () =>
    withScene({ source: 'f /file "new"\nf /old "old"', target: 'f /file "old"' }, async ({ from, to }) => {
      for (const target of [join(from, 'old'), join(to, 'file')]) {
        await assert.rejects(moveFile(join(from, 'file'), target, { noReplace: true }), { code: 'EEXIST' })
        assert.equal(fs.readFileSync(target, 'utf8'), 'old')
      }
      await moveFile(join(from, 'file'), join(to, 'free'), { noReplace: true })
    }))

  it('sets newMtime, and compares the source with a stat of Node', () =>
    withScene({ source: 'f 0640 /file "x"' }, async ({ from, to }) => {
      const expected = await fs.promises.lstat(join(from, 'file'), { bigint: true })
      await assert.rejects(moveFile(join(from, 'file'), join(to, 'file'), { expected: { ...expected, size: 5n } }), {
        code: 'ERR_ROOTMERGE_SOURCE_REPLACED',
        message: /differs in size$/,
      })
      const report = await moveFile(join(from, 'file'), join(to, 'file'), { expected, newMtime: 123_000_000_045n })
      assert.equal(report.mtimeNs, 123_000_000_045n)
      assert.equal(fs.lstatSync(join(to, 'file'), { bigint: true }).mtimeNs, 123_000_000_045n)
    }))

  it('links to the first candidate that can be linked, and says when none can', () =>
    withScene({ source: 'f /one "x"\nh /two == /one\nh /three == /one', target: '' }, async ({ from, to }) => {
      await moveFile(join(from, 'one'), join(to, 'one'))
      const candidates = [join(from, 'three'), join(to, 'absent'), join(to, 'one')]
      assert.equal(
        (await moveFile(join(from, 'two'), join(to, 'two'), { hardlinkCandidates: candidates })).method,
        'link',
      )
      assert.equal(fs.lstatSync(join(to, 'one')).ino, fs.lstatSync(join(to, 'two')).ino)
      const report = await moveFile(join(to, 'two'), join(from, 'back'), { hardlinkCandidates: [join(to, 'one')] })
      assert.equal(report.method, 'copy')
      assert.deepEqual(
        report.lost.map(({ what, code }) => [what, code]),
        [['links', 'EXDEV']],
      )
    }))

  it('opens a directory once for all candidates in it, of which there may be more than descriptors', () =>
    withScene({ source: 'f /one "x"\nh /two == /one', target: '' }, async ({ from, to }) => {
      await moveFile(join(from, 'one'), join(to, 'one'))
      const absent = Array.from({ length: 30_000 }, (_, n) => join(to, `absent-${n}`))
      const options = { hardlinkCandidates: [...absent, join(to, 'one')] }
      assert.equal((await moveFile(join(from, 'two'), join(to, 'two'), options)).method, 'link')
    }))

  it('ends a copy with the reason of its signal, and leaves nothing', () =>
    withScene({ source: 'f /file hole:1M', target: 'f /file "old"' }, async ({ from, to }) => {
      fs.truncateSync(join(from, 'file'), 8 * 1024 ** 3)
      const controller = new AbortController()
      const reason = new Error('enough')
      const moving = moveFile(join(from, 'file'), join(to, 'file'), { sparse: 'never', signal: controller.signal })
      const timer = setInterval(() => {
        if (fs.readdirSync(to).length > 1) controller.abort(reason)
      }, 5)
      await assert.rejects(moving, reason)
      clearInterval(timer)
      assert.deepEqual(fs.readdirSync(to), ['file'])
      assert.equal(fs.readFileSync(join(to, 'file'), 'utf8'), 'old')
      assert.deepEqual(fs.readdirSync(from), ['file'])
    }))

  it('refuses names that are no entry of a directory, as rename(2) does', async () => {
    await assert.rejects(moveFile('/tmp/.', '/tmp/x'), { code: 'EBUSY' })
    await assert.rejects(moveFile('/', '/tmp/x'), { code: 'EBUSY' })
    await assert.rejects(moveFile('', '/tmp/x'), { code: 'ENOENT' })
  })
})

describe('moveTree()', () => {
  it('moves a directory, reports its progress, and refuses anything else', () =>
    withScene({ source: isRoot ? treeOfRoot : tree }, async ({ from, to }) => {
      execFileSync('cp', ['-a', join(from, 'tree'), join(from, 'kept')])
      const seen: MoveProgress[] = []
      const report = await moveTree(join(from, 'tree'), join(to, 'tree'), {
        onProgress: (progress) => seen.push(progress),
      })
      assert.equal(report.copy?.entries, isRoot ? 11 : 8)
      assert.equal(seen.at(-1)?.entries, report.copy?.entries)
      assert.deepEqual(compareTrees(join(to, 'tree'), join(from, 'kept')), [])
      assert.deepEqual(fs.readdirSync(from), ['kept'])
      await assert.rejects(moveTree(join(from, 'kept/link'), join(to, 'link')), { code: 'ENOTDIR' })
    }))

  for (const sameFileSystem of [true, false]) {
    it(`takes a slash at the end for a directory, ${sameFileSystem ? 'by rename' : 'by copy'}`, () =>
      withScene({ source: 'f /file "x"\nf /tree/a "a"\nl /link -> tree', sameFileSystem }, async ({ from, to }) => {
        for (const [source, target] of [
          ['file', 'new/'],
          ['file/', 'new'],
          ['link', 'new//'],
          ['link/', 'new'],
        ] as const) {
          for (const way of [moveFile, copyTree]) {
            const named = { code: 'ENOTDIR', path: `${from}/${source}`, dest: `${to}/${target}` }
            await assert.rejects(way(`${from}/${source}`, `${to}/${target}`), named)
          }
        }
        assert.deepEqual([fs.readdirSync(to), fs.readdirSync(from).length], [[], 3])
        await copyTree(`${from}/tree/`, `${to}/copy/`)
        await moveFile(`${from}/tree//`, `${to}/new/`)
        assert.deepEqual([fs.readdirSync(join(to, 'new')), fs.readdirSync(join(to, 'copy'))], [['a'], ['a']])
      }))
  }

  it('refuses to move a directory into itself, by rename and by copy, and says so', () =>
    withScene({ source: 'f /tree/sub/file "x"\nl /link -> tree/sub' }, async ({ from }) => {
      for (const target of ['tree/new', 'tree/sub/new', 'link/new']) {
        const refused = {
          code: 'ERR_ROOTMERGE_INTO_ITSELF',
          message: `'${from}/tree' cannot go to '${from}/${target.replace('link', 'tree/sub')}', which is inside of it`,
        }
        await assert.rejects(moveTree(join(from, 'tree'), join(from, target)), refused)
        let copied = 0
        const options = { onProgress: ({ entries }: MoveProgress) => (copied += entries) }
        await assert.rejects(copyTree(join(from, 'tree'), join(from, target), options), refused)
        assert.equal(copied, 0)
      }
      assert.deepEqual(fs.readdirSync(join(from, 'tree/sub')), ['file'])
    }))

  it('refuses a tree that something is mounted in, before anything is in place', function () {
    if (!isRoot) {
      process.stderr.write('      needs root: mounts\n')
      this.skip()
    }
    return withScene({ source: 'f /tree/a "x"\nd /tree/point' }, async ({ from, to }) => {
      execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', join(from, 'tree/point')])
      try {
        await assert.rejects(moveTree(join(from, 'tree'), join(to, 'tree')), { code: 'ERR_ROOTMERGE_MOUNT_POINT' })
        assert.deepEqual(fs.readdirSync(to), [])
      } finally {
        execFileSync('umount', [join(from, 'tree/point')])
      }
    })
  })

  itAsRoot('refuses a mount point as source and as target before anything is copied, and empties it of nothing', () =>
    withScene({ source: 'd /point\nd /tree' }, async ({ from, to, source, target, mover }) => {
      fs.mkdirSync(join(to, 'tree'))
      for (const point of [join(from, 'point'), join(to, 'tree')])
        execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', point])
      try {
        fs.writeFileSync(join(from, 'point/inside'), 'x')
        const copying = (kernel: Kernel) => declining(kernel, 'mkdirat', 'EIO')
        for (const name of ['point', 'tree'])
          assert.throws(() => mover({}, copying).move(source(name), target(name)), {
            code: 'ERR_ROOTMERGE_MOUNT_POINT',
          })
        assert.deepEqual(fs.readdirSync(join(from, 'point')), ['inside'])
      } finally {
        for (const point of [join(from, 'point'), join(to, 'tree')]) execFileSync('umount', [point])
      }
    }),
  )
})

describe('copyTree()', () => {
  it('keeps what cp -a keeps and more: compared with its source', () =>
    withScene({ source: isRoot ? treeOfRoot : tree }, async ({ from, to }) => {
      const report = await copyTree(join(from, 'tree'), join(to, 'tree'))
      assert.deepEqual(report.lost, [])
      assert.deepEqual(compareTrees(join(to, 'tree'), join(from, 'tree')), [])
      assert.equal((report.copy?.holes ?? 0) >= 3 * 1024 ** 2, true)
      await assert.rejects(copyTree(join(from, 'tree'), join(to, 'tree')), { code: 'ENOTEMPTY' })
    }))

  it('asks a filter of the caller, also one that takes its time', () =>
    withScene({ source: 'f /tree/a "x"\nf /tree/b "x"\nf /tree/skip/c "x"' }, async ({ from, to }) => {
      const asked: FilterEntry[] = []
      const filter = async (entry: FilterEntry) => {
        asked.push(entry)
        await new Promise((resolve) => setTimeout(resolve, 1))
        return entry.path !== 'b' && !entry.path.startsWith('skip')
      }
      await copyTree(join(from, 'tree'), join(to, 'tree'), { filter })
      assert.deepEqual(asked.map(({ path, type, size }) => [path, type, type === 'file' ? size : 0]).sort(), [
        ['a', 'file', 1],
        ['b', 'file', 1],
        ['skip', 'directory', 0],
      ])
      assert.deepEqual(fs.readdirSync(join(to, 'tree')), ['a'])
    }))

  it('asks about 2,000 members in a few questions', () =>
    withScene({ source: 'd /tree' }, async ({ from, to }) => {
      for (let n = 0; n < 2000; n++) fs.writeFileSync(join(from, 'tree', `${n}`), '')
      await copyTree(join(from, 'tree'), join(to, 'tree'), { filter: ({ path }) => Number(path) % 2 === 0 })
      assert.equal(fs.readdirSync(join(to, 'tree')).length, 1000)
    }))

  it('ends with what the filter throws, and leaves nothing', () =>
    withScene({ source: 'f /tree/a "x"' }, async ({ from, to }) => {
      const reason = new Error('no')
      const filter = () => {
        throw reason
      }
      await assert.rejects(copyTree(join(from, 'tree'), join(to, 'tree'), { filter }), reason)
      assert.deepEqual(fs.readdirSync(to), [])
    }))

  it('copies a file and a symlink too, and replaces what rename(2) replaces', () =>
    withScene(
      { source: 'f /file "new"\nl /link -> x', target: 'l /file -> y\nf /link "old"' },
      async ({ from, to }) => {
        for (const name of ['file', 'link']) await copyTree(join(from, name), join(to, name))
        assert.deepEqual(compareTrees(join(to, 'file'), join(from, 'file')), [])
        assert.deepEqual(compareTrees(join(to, 'link'), join(from, 'link')), [])
      },
    ))

  it('copies a tree that is deeper than a path can be long', () =>
    withScene({ source: 'd /tree' }, async ({ from, to }) => {
      const step = 'd'.repeat(200)
      const script = 'cd "$0" && for i in $(seq 40); do mkdir "$1" && cd -P "$1" || exit 1; done; echo end > file'
      execFileSync('sh', ['-c', script, join(from, 'tree'), step])
      const report = await copyTree(join(from, 'tree'), join(to, 'tree'))
      assert.equal(report.copy?.entries, 42)
      await moveTree(join(to, 'tree'), join(from, 'again'))
      assert.deepEqual(fs.readdirSync(to), [])
      execFileSync('rm', ['-rf', join(from, 'tree'), join(from, 'again')]) // too deep for Node's own
    }))
})

describe('inode flags', () => {
  it('are kept where asked, append and immutable after everything else', function () {
    if (!isRoot) {
      process.stderr.write('      needs root: the append flag\n')
      this.skip()
    }
    return withScene({ source: 'f /file "x"\nf /tree/member "m"', sameFileSystem: true }, async (scene) => {
      const { kernel, from, to } = scene
      const flagsOf = (path: string, set?: number) => {
        const fd = openPath(kernel, path, O_RDONLY)
        if (set !== undefined) kernel.setInodeFlags(fd, set | (kernel.getInodeFlags(fd) & 0x80000))
        const flags = kernel.getInodeFlags(fd) & (FS_APPEND_FL | FS_NODUMP_FL)
        kernel.close(fd)
        return flags
      }
      const flags = FS_APPEND_FL | FS_NODUMP_FL
      for (const name of ['file', 'tree/member']) flagsOf(join(from, name), flags)
      const mover = scene.mover({ policy: metadataPolicy({ inodeFlags: true }) })
      for (const name of ['file', 'tree']) assert.deepEqual(mover.copy(scene.source(name), scene.target(name)).lost, [])
      const plain = scene.mover().copy(scene.source('file'), scene.target('plain'))
      assert.deepEqual(plain.lost, [])
      assert.throws(() => mover.move(scene.source('file'), scene.target('moved')), { code: 'EPERM' })
      assert.deepEqual(
        ['file', 'tree/member', 'plain'].map((name) => flagsOf(join(to, name))),
        [flags, flags, 0],
      )
      for (const path of [join(from, 'file'), join(from, 'tree/member'), join(to, 'file'), join(to, 'tree/member')]) {
        flagsOf(path, 0)
      }
    })
  })

  it('that the target cannot have are a loss', () =>
    withScene({ source: 'f /file "x"' }, (scene) => {
      const flagged = (kernel: Kernel): Kernel => ({
        ...kernel,
        getInodeFlags: () => FS_NODUMP_FL,
        setInodeFlags() {
          throw new SyscallError('ENOTTY', 'ioctl')
        },
      })
      const policy = metadataPolicy({ inodeFlags: true, metadata: 'best-effort' })
      const { lost } = scene.mover({ policy }, flagged).move(scene.source('file'), scene.target('file'))
      assert.deepEqual(
        lost.map(({ what, code }) => [what, code]),
        [['inodeFlags', 'ENOTTY']],
      )
    }))
})

describe('hard links of a tree', () => {
  it('that are refused become copies, and the report says so', () =>
    withScene({ source: 'f /tree/one "x"\nh /tree/two == /tree/one' }, (scene) => {
      const noLinks = (kernel: Kernel): Kernel => ({
        ...kernel,
        linkat() {
          throw new SyscallError('EMLINK', 'linkat')
        },
      })
      const policy = metadataPolicy({ metadata: 'best-effort' })
      const { lost } = scene.mover({ policy }, noLinks).move(scene.source('tree'), scene.target('tree'))
      assert.deepEqual(
        lost.map(({ what, path, code }) => [what, path, code]),
        [['links', lost[0]?.path, 'EMLINK']],
      )
      assert.deepEqual(fs.readdirSync(join(scene.to, 'tree')).sort(), ['one', 'two'])
    }))
})
