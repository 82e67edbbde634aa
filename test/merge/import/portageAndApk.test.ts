import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { CorruptDatabaseError, importPackages, list, merge, readContents, verify } from '../../../src/merge/index.ts'
import { needRoot } from '../../support/nativePackages.ts'
import { withDirectory } from '../../support/scratch.ts'
import { differencesBetween, snapshot } from '../../support/snapshot.ts'
import { writeTree } from '../../support/tree.ts'

const md5 = (text: string) => createHash('md5').update(text).digest('hex')
const sha1 = (text: string) => `Q1${createHash('sha1').update(text).digest('base64')}`
const sha256Start = (text: string) =>
  `Q1${createHash('sha256').update(text).digest().subarray(0, 20).toString('base64')}`

const tree = `
f 0755 /usr/bin/tool              "tool" mtime=1500000000.7
f      /usr/share/with\\040blank   "text" mtime=1500000001.000000001
l      /usr/bin/link              -> tool mtime=1500000002.5
p      /run/fifo
d 0700 /usr/private
`

async function withTree(files: Readonly<Record<string, string>>, body: (root: string) => Promise<void>): Promise<void> {
  await withDirectory(async (root) => {
    fs.chmodSync(root, 0o755)
    writeTree(root, tree)
    for (const [name, text] of Object.entries(files)) {
      fs.mkdirSync(join(root, name, '..'), { recursive: true })
      fs.writeFileSync(join(root, name), text)
    }
    await body(root)
  })
}

async function findings(root: string): Promise<string[]> {
  return (await verify({ root })).map(({ name, differences }) => `${differences.join()} /${name}`)
}

const contents = `dir /usr
dir /usr/bin
obj /usr/bin/tool ${md5('tool')} 1500000000
sym /usr/bin/link -> tool 1500000002
obj /usr/share/with blank ${md5('text')} 1500000001
fif /run/fifo
dir /usr/private
`
const vdb = {
  'var/db/pkg/sys-apps/tool-1.2-r3/CONTENTS': contents,
  'var/db/pkg/sys-apps/-MERGING-tool-2/CONTENTS': 'dir /half\n',
  'var/db/pkg/sys-apps/old-1/CONTENTS': `sym /usr/old -> x (41471, 1, 2L, 1, 0, 0, 1L, 1500000002, 3)\n`,
}

describe('importPackages() of Portage', () => {
  it('knows each package, compares what CONTENTS says (md5, whole seconds), and finds each change', () =>
    withTree(vdb, async (root) => {
      const before = snapshot(join(root, 'var/db'))
      await importPackages({ root, manager: 'portage', durability: 'none' })
      assert.deepEqual(await list({ root }), ['portage:sys-apps/old-1', 'portage:sys-apps/tool-1.2-r3'])
      assert.deepEqual(await findings(root), ['missing /usr/old'])
      fs.writeFileSync(join(root, 'usr/bin/tool'), 'fool')
      fs.utimesSync(join(root, 'usr/bin/tool'), 1500000000, 1500000000)
      fs.utimesSync(join(root, 'usr/share/with blank'), 1500000002, 1500000002)
      fs.rmSync(join(root, 'usr/bin/link'))
      fs.symlinkSync('other', join(root, 'usr/bin/link'))
      fs.lutimesSync(join(root, 'usr/bin/link'), 1500000002, 1500000002)
      fs.chmodSync(join(root, 'usr/private'), 0o755) // CONTENTS does not know
      fs.rmSync(join(root, 'run/fifo'))
      fs.mkdirSync(join(root, 'run/fifo'))
      assert.deepEqual(await findings(root), [
        'missing /usr/old',
        'digest /usr/bin/tool',
        'link /usr/bin/link',
        'mtime /usr/share/with blank',
        'type /run/fifo',
      ])
      assert.deepEqual(differencesBetween(snapshot(join(root, 'var/db')), before), [])
    }))

  it('is exported again as it was', () =>
    withTree(vdb, async (root) => {
      await importPackages({ root, manager: 'portage', durability: 'none' })
      const written = await readContents({ root, package: 'portage:sys-apps/tool-1.2-r3' })
      assert.equal(Buffer.from(written).toString(), contents)
    }))

  it('knows times before 1970, which Portage writes although it does not read them', () =>
    withTree({ 'var/db/pkg/a/b-1/CONTENTS': `obj /old ${md5('old')} -3\nsym /older -> x -4\n` }, async (root) => {
      writeTree(root, 'f /old "old" mtime=-3\nl /older -> x mtime=-4')
      await importPackages({ root, manager: 'portage', durability: 'none' })
      assert.deepEqual(await findings(root), [])
      fs.lutimesSync(join(root, 'older'), 4, 4)
      assert.deepEqual(await findings(root), ['mtime /older'])
    }))

  for (const line of ['obj /usr/bin/tool 1500000000', 'dir usr', 'xyz /a', 'sym /a -> b', 'obj /a b -3', '']) {
    it(`refuses '${line}' as a line, and says where`, () =>
      withTree({ 'var/db/pkg/a/b-1/CONTENTS': `dir /usr\n${line}\n` }, async (root) => {
        await assert.rejects(
          importPackages({ root, manager: 'portage' }),
          (error) => error instanceof CorruptDatabaseError && error.line === 2 && error.file.endsWith('b-1/CONTENTS'),
        )
        assert.deepEqual(await list({ root }), [])
      }))
  }
})

/** As `apk` of Alpine 3 writes it: directories without M: are root's, 0755, files without a: root's, 0644. */
const installed = `C:Q1abcdefghijklmnopqrstuvwxyz0=
P:tool
V:1.2-r0
A:x86_64
F:usr
F:usr/bin
R:tool
a:0:0:755
Z:${sha1('tool')}
R:link
a:0:0:777
Z:${sha1('tool')}
F:usr/share
R:with blank
Z:${sha1('text')}
F:usr/private
M:0:0:700

P:new
V:3
f:S
F:opt
R:three
Z:${sha256Start('three')}

`

describe('importPackages() of apk', () => {
  const files = { 'lib/apk/db/installed': installed, 'opt/three': 'three' }

  it('knows owners, modes and digests: of files, of what symlinks point to, and the short ones of apk 3', function () {
    needRoot(this) // whom everything belongs to
    return withTree(files, async (root) => {
      await importPackages({ root, manager: 'apk', durability: 'none' })
      assert.deepEqual(await list({ root }), ['apk:new', 'apk:tool'])
      assert.deepEqual(await findings(root), [])
      fs.writeFileSync(join(root, 'opt/three'), 'four')
      fs.rmSync(join(root, 'usr/bin/link'))
      fs.symlinkSync('other', join(root, 'usr/bin/link'))
      fs.chmodSync(join(root, 'usr/bin/tool'), 0o4755)
      fs.chmodSync(join(root, 'usr/private'), 0o755)
      fs.rmSync(join(root, 'usr/share/with blank'))
      fs.mkdirSync(join(root, 'usr/share/with blank'))
      assert.deepEqual(await findings(root), [
        'digest /opt/three',
        'mode /usr/bin/tool',
        'digest /usr/bin/link',
        'mode,digest /usr/share/with blank',
        'mode /usr/private',
      ])
    })
  })

  it('is refused over by name', () =>
    withTree(files, async (root) => {
      await importPackages({ root, manager: 'apk', durability: 'none' })
      await withDirectory(async (image) => {
        writeTree(image, 'f /opt/three "ours"')
        await assert.rejects(merge({ root, image, package: 'mine' }), /opt\/three: file of apk:new/)
      })
    }))

  for (const [line, reason] of [
    ['Z:xyz', /checksum/],
    ['a:0:0', /owner and mode/],
    ['nonsense', /letter and a colon/],
  ] as const) {
    it(`refuses '${line}', and says where`, () =>
      withTree({ 'lib/apk/db/installed': `P:x\nF:usr\nR:y\n${line}\n` }, async (root) => {
        await assert.rejects(
          importPackages({ root, manager: 'apk' }),
          (error) => error instanceof CorruptDatabaseError && error.line === 4 && reason.test(error.message),
        )
      }))
  }

  it('refuses a database that is cut off', () =>
    withTree({ 'lib/apk/db/installed': 'P:x\nF:usr\nR:bi' }, async (root) => {
      await assert.rejects(
        importPackages({ root, manager: 'apk' }),
        (error) => error instanceof CorruptDatabaseError && error.line === 3 && /cut off/.test(error.message),
      )
    }))
})
