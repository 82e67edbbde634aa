import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import {
  CollisionError,
  CorruptRecordError,
  EscapesRootError,
  InvalidArgumentError,
  LockedError,
  list,
  listEntries,
  type MergeReport,
  merge,
  owner,
  plan,
  RecoveryPendingError,
  recover,
  UnknownPackageError,
  type UnmergeReport,
  UnsafeEntryError,
  unmerge,
  verify,
} from '../../src/merge/index.ts'
import { Journal } from '../../src/merge/journal.ts'
import { AT_FDCWD, displayName, LOCK_EX, linuxKernel, O_DIRECTORY, O_RDONLY } from '../../src/sys/index.ts'
import { compareTrees } from '../support/compareTrees.ts'
import { itOnEach } from '../support/filesystems.ts'
import { withDirectory } from '../support/scratch.ts'
import { differencesBetween, snapshot } from '../support/snapshot.ts'
import { writeTree } from '../support/tree.ts'

const isRoot = process.getuid?.() === 0
const withoutState = { ignoreTop: true, ignoreNames: /^var(\/|$)/ }

/** One of each thing that copying tends to lose; what needs root only for root. */
const richTree = `
d 0750      /etc                 user.directory="kept"
f 0640      /etc/foo.conf        "colour=blue\\n" user.note="x"
f 0444      /etc/read-only       "not even for me\\n"
l           /etc/foo             -> foo.conf
l           /etc/dangling        -> /nowhere/at all
f           /usr/bin/tool        random:100K
h           /usr/bin/tool-too    == /usr/bin/tool
h           /opt/tool            == /usr/bin/tool
f           /usr/share/sparse    "start" hole:2M random:5K hole:1M
f           /usr/share/empty     ""
p           /usr/share/fifo
f           /usr/share/odd\\377\\012name  "bytes"
d 2755      /srv/group
`
const rootsTree = `
f 4755 7:8  /usr/bin/set-id      "program"
f 0755      /usr/bin/ping        "program" cap=cap_net_raw+ep
f 0644      /etc/acl             "x" acl=u:7:rw
d 0755      /etc/default-acl     acl=d:u:7:rwx
c 0666      /srv/null            1:3
`

interface Bench {
  readonly root: string
  readonly image: string
}

function makeBench(directory: string, tree: string): Bench {
  const bench = { root: join(directory, 'root'), image: join(directory, 'image') }
  fs.mkdirSync(bench.root)
  fs.mkdirSync(bench.image)
  writeTree(bench.image, tree)
  return bench
}

function withBench(tree: string, body: (bench: Bench, directory: string) => Promise<unknown>): () => Promise<unknown> {
  return () => withDirectory((directory) => body(makeBench(directory, tree), directory))
}

/** What is in a root beside the state directory and its parents. */
function contents(root: string) {
  return snapshot(root, { without: ['var'], directoryTimes: false })
}

describe('merge()', function () {
  this.timeout(120_000)

  itOnEach('makes the root equal to the image in every attribute, and unmerge empties it', async (directory) => {
    const { root, image } = makeBench(directory, richTree + (isRoot ? rootsTree : ''))
    const empty = contents(root)
    const report = await merge({ root, image, package: 'cat/rich-1' })
    assert.deepEqual(compareTrees(root, image, withoutState), [])
    assert.deepEqual(await verify({ root }), [])
    assert.deepEqual(report.leftOvers, [])
    assert.deepEqual(await list({ root }), ['cat/rich-1'])
    assert.equal((await listEntries({ root, package: 'cat/rich-1' })).length, report.entries)
    await unmerge({ root, packages: ['cat/rich-1'] })
    assert.deepEqual(differencesBetween(contents(root), empty), [])
    assert.deepEqual(await list({ root }), [])
  })

  it('merges 5,000 files as diff -r and an independent comparison see them', () =>
    withDirectory(async (directory) => {
      const { root, image } = makeBench(directory, 'd /top')
      for (let n = 0; n < 5000; n++) {
        const folder = join(image, `top/d${n % 50}`)
        fs.mkdirSync(folder, { recursive: true })
        fs.writeFileSync(join(folder, `file-${n}`), `content ${n}\n`.repeat(n % 40), {
          mode: n % 3 === 0 ? 0o755 : 0o640,
        })
      }
      const report = await merge({ root, image, package: 'many' })
      assert.equal(report.entries, 5051)
      execFileSync('diff', ['-r', join(image, 'top'), join(root, 'top')])
      assert.deepEqual(compareTrees(root, image, withoutState), [])
      const again = await merge({ root, image, package: 'many' })
      assert.deepEqual(again.counts, { keepDirectory: 51, adopt: 5000 })
    }))

  it(
    'replaces a package by its new version: obsolete names go, types change, links stay links',
    withBench(
      'f /a/old "1"\nf /a/same "s"\nd /becomes-file\nf /becomes-file/x "1"\nf /becomes-directory "1"\nf /g/1 "g"\nh /g/2 == /g/1',
      async ({ root, image }, directory) => {
        await merge({ root, image, package: 'p' })
        const next = join(directory, 'next')
        fs.mkdirSync(next)
        writeTree(
          next,
          'f /a/new "2"\nf /a/same "s2"\nf /becomes-file "2"\nf /becomes-directory/x "2"\nf /g/1 "g2"\nh /g/2 == /g/1',
        )
        const report = await merge({ root, image: next, package: 'p' })
        assert.deepEqual(compareTrees(root, next, { ...withoutState, ignore: ['mtime'] }), [])
        assert.deepEqual(report.kept, [])
        assert.deepEqual(await verify({ root }), [])
      },
    ),
  )

  it(
    'changes nothing on disk when the same image is merged again, not even a ctime',
    withBench(richTree, async ({ root, image }) => {
      await merge({ root, image, package: 'p' })
      const times = () =>
        Object.fromEntries(
          [...contents(root).keys()].map((name) => [
            name,
            fs.lstatSync(Buffer.from(join(root, name), 'latin1'), { bigint: true }).ctimeNs,
          ]),
        )
      const before = times()
      await merge({ root, image, package: 'p' })
      assert.deepEqual(times(), before)
    }),
  )

  it(
    'lists every collision and changes nothing',
    withBench('f /etc/owned "1"\nf /etc/mine "1"\nl /etc/directory -> x', async ({ root, image }, directory) => {
      const other = join(directory, 'other')
      fs.mkdirSync(other)
      writeTree(other, 'f /etc/owned "other"')
      await merge({ root, image: other, package: 'other' })
      writeTree(root, 'f /etc/mine "admin"\nf /etc/directory/file "admin"')
      const before = snapshot(root, { without: ['var'] })
      await assert.rejects(merge({ root, image, package: 'p' }), (error) => {
        assert.ok(error instanceof CollisionError)
        assert.deepEqual(
          error.collisions.map(({ name, owners }) => ({ name, owners })),
          [
            { name: 'etc/directory', owners: [] },
            { name: 'etc/mine', owners: [] },
            { name: 'etc/owned', owners: ['other'] },
          ],
        )
        return true
      })
      assert.deepEqual(differencesBetween(snapshot(root, { without: ['var'] }), before), [])
      assert.deepEqual(await list({ root }), ['other'])
    }),
  )

  it(
    'takes the names of a package that it replaces',
    withBench('f /etc/owned "new"', async ({ root, image }, directory) => {
      const old = join(directory, 'old')
      fs.mkdirSync(old)
      writeTree(old, 'f /etc/owned "old"\nf /etc/obsolete "old"')
      await merge({ root, image: old, package: 'old' })
      await merge({ root, image, package: 'new', replaces: ['old'] })
      assert.deepEqual(await list({ root }), ['new'])
      assert.deepEqual(fs.readdirSync(join(root, 'etc')), ['owned'])
      assert.equal(fs.readFileSync(join(root, 'etc/owned'), 'utf8'), 'new')
    }),
  )

  it(
    'replaces packages that are named twice, or are itself, once',
    withBench('f /etc/own "new"', async ({ root, image }, directory) => {
      const old = join(directory, 'old')
      fs.mkdirSync(old)
      writeTree(old, 'f /etc/old "old"')
      await merge({ root, image, package: 'new' })
      await merge({ root, image: old, package: 'old' })
      await merge({ root, image, package: 'new', replaces: ['old', 'new', 'old'] })
      assert.deepEqual(await list({ root }), ['new'])
      assert.deepEqual(await verify({ root }), [])
      assert.deepEqual(fs.readdirSync(join(root, 'etc')), ['own'])
    }),
  )

  it(
    'takes names over where the caller allows it, and their owner forgets them',
    withBench('f /etc/theirs "new"\nf /etc/same "same"\nf /etc/nobodys "new"', async ({ root, image }, directory) => {
      const old = join(directory, 'old')
      fs.mkdirSync(old)
      writeTree(old, 'f /etc/theirs "old"\nh /etc/link == /etc/theirs\nh /etc/third == /etc/theirs\nf /etc/stays "old"')
      await merge({ root, image: old, package: 'old' })
      writeTree(root, 'f /etc/nobodys "admin"')
      const report = await merge({
        root,
        image,
        package: 'new',
        collisionIgnore: ['etc/t*', '/etc/nobodys'],
        listChanged: true,
      })
      assert.equal(Buffer.from(report.changed ?? []).toString(), 'etc/nobodys\0etc/same\0etc/theirs\0')
      assert.equal(fs.readFileSync(join(root, 'etc/theirs'), 'utf8'), 'new')
      const entries = (await listEntries({ root, package: 'old' })).map(({ name }) => name)
      assert.deepEqual(entries, ['etc', 'etc/link', 'etc/stays', 'etc/third'])
      assert.deepEqual(await verify({ root }), [])
      await unmerge({ root, packages: ['old'] })
      assert.deepEqual(fs.readdirSync(join(root, 'etc')).sort(), ['nobodys', 'same', 'theirs'])
    }),
  )

  it(
    'merges through a symlinked directory inside the root, absolute or not, and owns what is behind it',
    withBench('f /lib/x "1"\nf /sbin/y "1"', async ({ root, image }) => {
      writeTree(root, 'd /usr/lib\nd /usr/sbin\nl /lib -> usr/lib\nl /sbin -> /usr/sbin')
      await merge({ root, image, package: 'p' })
      assert.equal(fs.readFileSync(join(root, 'usr/lib/x'), 'utf8'), '1')
      assert.equal(fs.readFileSync(join(root, 'usr/sbin/y'), 'utf8'), '1')
      assert.ok(fs.lstatSync(join(root, 'lib')).isSymbolicLink())
      assert.deepEqual(await verify({ root }), [])
      assert.deepEqual((await owner({ root, names: ['/lib/x'] }))[0]?.packages, ['p'])
      await unmerge({ root, packages: ['p'] })
      assert.deepEqual(fs.readdirSync(join(root, 'usr/lib')), [])
      assert.ok(fs.lstatSync(join(root, 'lib')).isSymbolicLink())
    }),
  )

  it(
    'never leaves the root by a symlink that points out of it',
    withBench('f /out/x "1"\nf /up/x "1"', async ({ root, image }, directory) => {
      const outside = join(directory, 'outside')
      fs.mkdirSync(outside)
      fs.symlinkSync(outside, join(root, 'out'))
      fs.symlinkSync('../outside', join(root, 'up'))
      await assert.rejects(merge({ root, image, package: 'p' }), CollisionError)
      assert.deepEqual(fs.readdirSync(outside), [])
    }),
  )

  it('follows no symlink that somebody else made', async function () {
    if (!isRoot) {
      process.stderr.write('skipped: another user cannot be played without root\n')
      return this.skip()
    }
    await withBench('f /led/x "1"', async ({ root, image }) => {
      writeTree(root, 'd 0755 0:0 /target\nl /led -> target')
      fs.lchownSync(join(root, 'led'), 1234, 1234)
      await assert.rejects(merge({ root, image, package: 'p' }), EscapesRootError)
      assert.deepEqual(fs.readdirSync(join(root, 'target')), [])
    })()
  })

  it(
    'refuses names that are its own',
    withBench('f /etc/.rootmerge-x "1"', async ({ root, image }, directory) => {
      await assert.rejects(merge({ root, image, package: 'p' }), UnsafeEntryError)
      const inState = join(directory, 'in-state')
      fs.mkdirSync(inState)
      writeTree(inState, 'f /var/lib/rootmerge/journal "mine"')
      await assert.rejects(merge({ root, image: inState, package: 'p' }), UnsafeEntryError)
    }),
  )

  it(
    'waits for nobody unless told to, and names the holder',
    withBench('f /x "1"', async ({ root, image }) => {
      const kernel = linuxKernel()
      const fd = kernel.openat(AT_FDCWD, root, O_RDONLY | O_DIRECTORY)
      kernel.flock(fd, LOCK_EX)
      await assert.rejects(merge({ root, image, package: 'p' }), LockedError)
      const waiting = merge({ root, image, package: 'p', lockWait: 30 })
      setTimeout(() => kernel.close(fd), 100)
      assert.equal((await waiting).entries, 1)
    }),
  )

  it(
    'writes nothing at all when it only plans',
    withBench(richTree, async ({ root, image }) => {
      const before = snapshot(root)
      const { counts } = await plan({ root, image, package: 'p' })
      assert.ok((counts.newDirectory ?? 0) > 3)
      assert.deepEqual(differencesBetween(snapshot(root), before), [])
    }),
  )

  it(
    'is undone when it is cancelled, and rejects with the reason',
    withBench('d /many', async ({ root, image }) => {
      for (let n = 0; n < 3000; n++) fs.writeFileSync(join(image, `many/${n}`), 'x')
      const before = contents(root)
      const controller = new AbortController()
      const reason = new Error('enough')
      const onProgress = ({ phase }: { phase: string }) => void (phase === 'stage' && controller.abort(reason))
      await assert.rejects(merge({ root, image, package: 'p', signal: controller.signal, onProgress }), reason)
      assert.deepEqual(differencesBetween(contents(root), before), [])
      assert.deepEqual(await recover({ root }), { action: 'nothing', packages: [], leftOvers: [] })
    }),
  )

  it(
    'selects names with line ends like all others',
    withBench('d /usr', async ({ root, image }) => {
      for (const name of ['plain', 'a\nb', 'c\rd']) {
        fs.mkdirSync(join(image, 'usr', name))
        fs.writeFileSync(join(image, 'usr', name, name), '1')
      }
      const names = async (selection: { include?: string[]; exclude?: string[] }) => {
        await merge({ root, image, package: 'p', ...selection })
        const listed = await listEntries({ root, package: 'p' })
        return listed.map(({ name }) => name).sort()
      }
      const all = ['usr', 'usr/a\nb', 'usr/a\nb/a\nb', 'usr/c\rd', 'usr/c\rd/c\rd', 'usr/plain', 'usr/plain/plain']
      assert.deepEqual(await names({ include: ['usr/**'] }), all.map(displayName))
      assert.deepEqual(await names({ exclude: ['**/plain'] }), all.slice(0, 5).map(displayName))
      assert.deepEqual(await names({ include: ['usr/a\n*/**'] }), all.slice(0, 3).map(displayName))
      assert.deepEqual(await names({ exclude: ['usr/a?b', 'usr/c[^a]d'] }), ['usr', ...all.slice(5)].map(displayName))
    }),
  )

  it(
    'merges only what is selected, with the directories above it',
    withBench(
      'f /usr/bin/x "1"\nf /usr/share/doc/x/y "1"\nf /usr/share/man/.hidden "1"\nf /etc/\\377 "1"\nd /opt/empty',
      async ({ root, image }) => {
        const names = async (selection: { include?: string[]; exclude?: string[] }) => {
          await merge({ root, image, package: 'p', ...selection })
          const listed = await listEntries({ root, package: 'p' })
          return listed.map(({ name }) => name).sort()
        }
        for (const top of ['', '/', './', '//', '/./'])
          assert.deepEqual(await names({ include: [`${top}usr/bin/**`] }), ['usr', 'usr/bin', 'usr/bin/x'], top)
        for (const top of ['/', './', '//'])
          assert.deepEqual(await names({ include: ['usr/bin/**', 'etc/*'], exclude: [`${top}etc`] }), [
            'usr',
            'usr/bin',
            'usr/bin/x',
          ])
        assert.deepEqual(await names({ include: ['usr/bin/**'] }), ['usr', 'usr/bin', 'usr/bin/x'])
        assert.deepEqual(contents(root).size, 4)
        assert.deepEqual(await names({ exclude: ['usr/share/doc', '**/empty', 'etc/**'] }), [
          ...['opt', 'usr', 'usr/bin', 'usr/bin/x', 'usr/share', 'usr/share/man', 'usr/share/man/.hidden'],
        ])
        assert.deepEqual(await names({ include: ['etc/*'], exclude: ['**/x'] }), ['etc', 'etc/\\377'])
      },
    ),
  )

  it(
    'says what is wrong with an argument',
    withBench('f /x "1"', async ({ root, image }) => {
      await assert.rejects(merge({ root: join(root, 'absent'), image, package: 'p' }), InvalidArgumentError)
      await assert.rejects(merge({ root, image: join(image, 'absent'), package: 'p' }), InvalidArgumentError)
      for (const name of ['', '..', 'a//b', '/a', 'a b', '-x', 'a/../b']) {
        await assert.rejects(merge({ root, image, package: name }), InvalidArgumentError, name)
      }
      await assert.rejects(merge({ root, image, package: 'p', state: '../state' }), InvalidArgumentError)
    }),
  )

  it(
    'suggests to unmerge, or to replace, the other owners of a shared name, not the package that is merged',
    withBench('f /shared "1"', async ({ root, image }) => {
      for (const name of ['p', 'q', 'r']) await merge({ root, image, package: name, shareIdentical: true })
      fs.writeFileSync(join(image, 'shared'), '2')
      await assert.rejects(
        merge({ root, image, package: 'q' }),
        /file of p, r \(unmerge p, r, name them in --replaces,/,
      )
      await merge({ root, image, package: 'q', replaces: ['p', 'r'] })
      assert.deepEqual(await list({ root }), ['q'])
    }),
  )
})

describe('unmerge()', () => {
  it(
    'keeps what was edited and what others own, and says so',
    withBench(
      'f /etc/edited "1"\nf /etc/plain "1"\nf /etc/missing "1"\nf /etc/another-type "1"\nf /shared "s"',
      async ({ root, image }) => {
        await merge({ root, image, package: 'p' })
        await merge({ root, image, package: 'twin', shareIdentical: true })
        await unmerge({ root, packages: ['twin'] })
        fs.appendFileSync(join(root, 'etc/edited'), 'by the admin')
        fs.rmSync(join(root, 'etc/missing'))
        fs.rmSync(join(root, 'etc/another-type'))
        fs.symlinkSync('x', join(root, 'etc/another-type'))
        const { kept } = await unmerge({ root, packages: ['p'] })
        assert.deepEqual(
          [...kept].sort((a, b) => (a.name < b.name ? -1 : 1)),
          [
            { name: 'etc', package: 'p', reason: 'not empty' },
            { name: 'etc/another-type', package: 'p', reason: 'another type' },
            { name: 'etc/edited', package: 'p', reason: 'edited' },
            { name: 'etc/missing', package: 'p', reason: 'missing' },
          ],
        )
        assert.deepEqual(fs.readdirSync(join(root, 'etc')).sort(), ['another-type', 'edited'])
        assert.ok(!fs.existsSync(join(root, 'shared')))
      },
    ),
  )

  it(
    'removes what several packages own together, and a package that is named twice, once',
    withBench('f /etc/shared "1"\nf /etc/other "1"', async ({ root, image }) => {
      await merge({ root, image, package: 'p' })
      await merge({ root, image, package: 'q', shareIdentical: true })
      const report = await unmerge({ root, packages: ['p', 'q', 'p'] })
      assert.deepEqual({ removed: report.removed, kept: report.kept }, { removed: 3, kept: [] })
      assert.deepEqual([...contents(root).keys()], [''])
    }),
  )

  it(
    'counts and names the directories that went, and tells which stayed: so does a merge',
    withBench('f /opt/full/a "1"\nf /opt/empty/b "1"', async ({ root, image }) => {
      const told = ({ changed = new Uint8Array(), kept }: MergeReport | UnmergeReport) => [
        Buffer.from(changed).toString().split('\0').sort().join(' ').trim(),
        kept.map(({ name, reason }) => `${name}: ${reason}`).sort(),
      ]
      for (const way of ['unmerge', 'merge'] as const) {
        fs.rmSync(join(root, 'opt'), { recursive: true, force: true })
        await merge({ root, image, package: 'p' })
        fs.writeFileSync(join(root, 'opt/full/foreign'), '')
        if (way === 'unmerge') {
          const report = await unmerge({ root, packages: ['p'], listChanged: true })
          assert.equal(report.removed, 3)
          assert.deepEqual(told(report), [
            'opt/empty opt/empty/b opt/full/a',
            ['opt/full: not empty', 'opt: not empty'],
          ])
        } else {
          fs.rmSync(join(image, 'opt'), { recursive: true })
          const report = await merge({ root, image, package: 'p', listChanged: true })
          assert.deepEqual(report.counts, { remove: 3 })
          assert.deepEqual(told(report), [
            'opt/empty opt/empty/b opt/full/a',
            ['opt/full: not empty', 'opt: not empty'],
          ])
        }
      }
    }),
  )

  it(
    'makes a set-id file harmless where a hard link was kept elsewhere',
    withBench('f 4755 /bin/tool "program"', async ({ root, image }, directory) => {
      await merge({ root, image, package: 'p' })
      fs.linkSync(join(root, 'bin/tool'), join(directory, 'stash'))
      await unmerge({ root, packages: ['p'] })
      assert.equal(fs.statSync(join(directory, 'stash')).mode & 0o7777, 0o755)
    }),
  )

  it(
    "leaves a set-id inode its bits where another package's name is the same inode",
    withBench('f 4755 /bin/tool "program"', async ({ root, image }, directory) => {
      await merge({ root, image, package: 'p' })
      const other = join(directory, 'other')
      fs.mkdirSync(other)
      writeTree(other, 'f 4755 /bin/tool-too "program"')
      fs.linkSync(join(root, 'bin/tool'), join(root, 'bin/tool-too'))
      fs.utimesSync(join(other, 'bin/tool-too'), 1, 1)
      fs.utimesSync(join(root, 'bin/tool'), 1, 1)
      await merge({ root, image: other, package: 'other' })
      await unmerge({ root, packages: ['p'] })
      assert.equal(fs.statSync(join(root, 'bin/tool-too')).mode & 0o7777, 0o4755)
      fs.linkSync(join(root, 'bin/tool-too'), join(directory, 'stash'))
      await unmerge({ root, packages: ['other'] })
      assert.equal(fs.statSync(join(directory, 'stash')).mode & 0o7777, 0o755)
    }),
  )

  it(
    'does not know a package that is not there',
    withBench('f /x "1"', async ({ root }) => {
      await assert.rejects(unmerge({ root, packages: ['absent'] }), UnknownPackageError)
    }),
  )
})

describe('verify()', () => {
  it(
    'finds a change of each attribute',
    withBench(
      'f 0644 /file "bytes" user.note="x"\nl /link -> target\nd /directory\nf /gone "x"\nf /type "x"',
      async ({ root, image }) => {
        await merge({ root, image, package: 'p' })
        fs.writeFileSync(join(root, 'file'), 'BYTES')
        fs.chmodSync(join(root, 'file'), 0o600)
        execFileSync('ln', ['-sfn', 'elsewhere', join(root, 'link')])
        fs.chmodSync(join(root, 'directory'), 0o700)
        fs.rmSync(join(root, 'gone'))
        fs.rmSync(join(root, 'type'))
        fs.mkdirSync(join(root, 'type'))
        const found = new Map((await verify({ root })).map(({ name, differences }) => [name, differences]))
        assert.deepEqual(found.get('file'), ['mode', 'digest', 'mtime'])
        assert.deepEqual(found.get('link'), ['link', 'mtime'])
        assert.deepEqual(found.get('directory'), ['mode'])
        assert.deepEqual(found.get('gone'), ['missing'])
        assert.deepEqual(found.get('type'), ['type'])
        assert.deepEqual((await verify({ root, digests: false })).find(({ name }) => name === 'file')?.differences, [
          'mode',
          'mtime',
        ])
      },
    ),
  )

  it(
    'trusts no damaged record, and nothing is done on its word',
    withBench('f /x "1"', async ({ root, image }) => {
      await merge({ root, image, package: 'p' })
      const record = join(root, 'var/lib/rootmerge/packages/p/record')
      fs.writeFileSync(record, fs.readFileSync(record, 'utf8').replace('./x', './y'))
      const actions = [
        () => verify({ root }),
        () => unmerge({ root, packages: ['p'] }),
        () => merge({ root, image, package: 'q' }),
      ]
      for (const action of actions) await assert.rejects(action, CorruptRecordError)
      assert.ok(fs.existsSync(join(root, 'x')))
    }),
  )
})

describe('readers of a root', () => {
  it(
    'say that a transaction is pending instead of what is mixed',
    withBench('f /x "1"', async ({ root, image }) => {
      await merge({ root, image, package: 'p' })
      const kernel = linuxKernel()
      const state = kernel.openat(AT_FDCWD, join(root, 'var/lib/rootmerge'), O_RDONLY | O_DIRECTORY)
      const journal = new Journal(kernel, state, true)
      journal.begin('0123456789abcdef', { packages: ['q'], timeNs: '0', bootId: '', isFlushed: true }, 1000)
      journal.close()
      kernel.close(state)
      for (const action of [list({ root }), verify({ root }), owner({ root, names: ['x'] })]) {
        await assert.rejects(action, RecoveryPendingError)
      }
      assert.equal((await recover({ root })).action, 'discard')
      assert.deepEqual(await verify({ root }), [])
    }),
  )
})
