import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { type Header, pack } from 'tar-stream'
import { CorruptImageError, list, merge, UnsafeEntryError } from '../../../src/merge/index.ts'
import { compareTrees } from '../../support/compareTrees.ts'
import { rawMember, rawPax, rawTar } from '../../support/rawTar.ts'
import { withDirectory } from '../../support/scratch.ts'
import { writeTree } from '../../support/tree.ts'

const isRoot = process.getuid?.() === 0

type Member = Partial<Header> & { readonly name: string; readonly body?: string }

/** An archive with these members, in this order. */
async function archiveOf(members: readonly Member[]): Promise<Buffer> {
  const tar = pack()
  for (const { body, ...header } of members) {
    const complete = {
      mode: 0o644,
      mtime: new Date(1_000_000_000),
      uid: process.getuid?.() ?? 0,
      gid: process.getgid?.() ?? 0,
      ...header,
    }
    if (body === undefined) tar.entry(complete)
    else tar.entry(complete, body)
  }
  tar.finalize()
  const chunks: Buffer[] = []
  for await (const chunk of tar) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

async function withArchive(
  bytes: Buffer,
  body: (paths: { root: string; image: string; directory: string }) => Promise<void>,
) {
  await withDirectory(async (directory) => {
    const root = join(directory, 'root')
    fs.mkdirSync(root)
    const image = join(directory, 'image.tar')
    fs.writeFileSync(image, bytes)
    await body({ root, image, directory })
  })
}

/** Demands that merging fails with this class and leaves neither names in the root nor anything outside it. */
async function expectRefused(bytes: Buffer, error: new (...args: never[]) => Error): Promise<void> {
  await withArchive(bytes, async ({ root, image, directory }) => {
    await assert.rejects(merge({ root, image, package: 'p' }), error)
    assert.deepEqual(fs.readdirSync(directory).sort(), ['image.tar', 'root'])
    assert.deepEqual(fs.readdirSync(root).sort(), ['var'])
    const state = fs.readdirSync(join(root, 'var/lib/rootmerge'))
    assert.deepEqual(state.filter((name) => name !== 'lock').sort(), ['packages', 'parents'])
    assert.deepEqual(await list({ root }), [])
  })
}

describe('merge() of an archive', () => {
  it('can be cancelled while it digests a hole', () => {
    const sparse = {
      'GNU.sparse.major': '1',
      'GNU.sparse.minor': '0',
      'GNU.sparse.name': 'file',
      'GNU.sparse.realsize': String(900 * 2 ** 30),
    }
    const image = rawTar(rawPax(sparse), rawMember({ payload: '0\n'.padEnd(512, '\0') }))
    return withArchive(image, async ({ root, image }) => {
      const abort = new AbortController()
      setTimeout(() => abort.abort(new Error('enough')), 300)
      await assert.rejects(merge({ root, image, package: 'p', signal: abort.signal }), /enough/)
      assert.deepEqual(fs.readdirSync(root), ['var'])
    })
  })

  it('keeps a symlink under its other names when a later member takes its first one', async () => {
    const link = (name: string, linkname: string): Member => ({ name, type: 'link', linkname })
    const members: Member[] = [
      { name: 'a', type: 'symlink', linkname: 'nowhere' },
      link('b', 'a'),
      link('c', 'b'),
      { name: 'a', body: 'file' },
    ]
    await withArchive(await archiveOf(members), async ({ root, image }) => {
      await merge({ root, image, package: 'p' })
      assert.equal(fs.readFileSync(join(root, 'a'), 'utf8'), 'file')
      const stats = ['b', 'c'].map((name) => fs.lstatSync(join(root, name)))
      assert.equal(fs.readlinkSync(join(root, 'b')), 'nowhere')
      assert.deepEqual(
        stats.map(({ ino, nlink }) => [ino, nlink]),
        [
          [stats[0]?.ino, 2],
          [stats[0]?.ino, 2],
        ],
      )
    })
  })

  it('makes what tar makes of it, plain or gzip', function () {
    if (spawnSync('tar', ['--version']).status !== 0) {
      process.stderr.write('skipped: there is no tar to compare with\n')
      return this.skip()
    }
    return withDirectory(async (directory) => {
      const [source, root, other] = ['source', 'root', 'other'].map((name) => join(directory, name)) as [
        string,
        string,
        string,
      ]
      for (const made of [source, root, other]) fs.mkdirSync(made)
      const owner = isRoot ? ' 3:4' : ''
      writeTree(
        source,
        `d 0750${owner} /d\nf 0640${owner} /d/file "bytes"\nf 0755 /d/tool random:300K\nh /d/too == /d/tool\nl /d/link -> ../elsewhere\nf /d/empty ""`,
      )
      for (const [flag, name] of [
        ['-cf', 'plain.tar'],
        ['-czf', 'gzip.tgz'],
      ] as const) {
        spawnSync('tar', ['--format=gnu', '-C', source, flag, join(directory, name), 'd'])
        await merge({ root, image: join(directory, name), package: name })
        spawnSync('tar', ['-xpf', join(directory, name), '-C', other])
        assert.deepEqual(compareTrees(join(root, 'd'), join(other, 'd')), [])
        fs.rmSync(root, { recursive: true })
        fs.mkdirSync(root)
      }
    })
  })

  it('takes leading components off', async () => {
    const bytes = gzipSync(
      await archiveOf([
        { name: 'package/index.js', body: 'code' },
        { name: 'package/lib/x', body: 'x' },
      ]),
    )
    await withArchive(bytes, async ({ root, image }) => {
      await merge({ root, image, package: 'p', stripComponents: 1 })
      assert.deepEqual(fs.readdirSync(root).sort(), ['index.js', 'lib', 'var'])
    })
  })

  it('lets the last of several members of one name win', async () => {
    const bytes = await archiveOf([
      { name: 'x', body: 'first' },
      { name: 'x', body: 'second' },
    ])
    await withArchive(bytes, async ({ root, image }) => {
      await merge({ root, image, package: 'p' })
      assert.equal(fs.readFileSync(join(root, 'x'), 'utf8'), 'second')
    })
  })

  it('never writes through a symlink that the archive brought', async () => {
    const members: Member[] = [
      { name: 'a', type: 'symlink', linkname: '/tmp' },
      { name: 'a/rootmerge-escaped', body: 'outside' },
    ]
    await expectRefused(await archiveOf(members), UnsafeEntryError)
    assert.ok(!fs.existsSync('/tmp/rootmerge-escaped'))
  })

  const hostile: Readonly<Record<string, readonly Member[]>> = {
    'an absolute name': [{ name: '/etc/passwd', body: 'x' }],
    'a name that leads upwards': [{ name: 'a/../../x', body: 'x' }],
    'a hard link to outside': [{ name: 'x', type: 'link', linkname: '../outside' }],
    'a hard link to no earlier member': [{ name: 'x', type: 'link', linkname: 'y' }],
    'a staging name': [{ name: '.rootmerge-x', body: 'x' }],
    'a file over a directory': [
      { name: 'd/x', body: 'x' },
      { name: 'd', body: 'x' },
    ],
  }
  for (const [what, members] of Object.entries(hostile)) {
    it(`refuses ${what} and changes nothing`, async () => expectRefused(await archiveOf(members), UnsafeEntryError))
  }

  it('refuses an archive that was cut, wherever the cut is', async function () {
    this.timeout(120_000)
    const whole = await archiveOf([
      { name: 'a', body: 'a'.repeat(700) },
      { name: 'b', body: 'b' },
    ])
    for (const length of [0, 100, 512, 1000, 1536, 2048, whole.length - 1024, whole.length - 512]) {
      await expectRefused(whole.subarray(0, length), CorruptImageError)
    }
    const gzip = gzipSync(whole)
    for (const length of [1, 30, gzip.length - 9, gzip.length - 1])
      await expectRefused(gzip.subarray(0, length), CorruptImageError)
  })

  it('refuses what is no archive', async () => {
    await expectRefused(Buffer.from('plain text, and not much of it'.repeat(100)), CorruptImageError)
    await expectRefused(gzipSync(Buffer.alloc(4096, 7)), CorruptImageError)
  })
})
