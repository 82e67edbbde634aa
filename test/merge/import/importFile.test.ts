import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  CollisionError,
  CorruptDatabaseError,
  importPackages,
  list,
  listEntries,
  merge,
  owner,
  readContents,
  readRecord,
  unmerge,
  verify,
} from '../../../src/merge/index.ts'
import { withDirectory } from '../../support/scratch.ts'
import { differencesBetween, snapshot } from '../../support/snapshot.ts'
import { writeTree } from '../../support/tree.ts'

const command = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url))

const tree = `
f 4755 /usr/bin/tool            "tool" mtime=1500000000.7
h      /usr/bin/too             == /usr/bin/tool
f 0600 /usr/share/odd\\040\\377  "text" user.note="x"
l      /usr/bin/link            -> tool
p 0600 /usr/fifo
`

async function withTree(body: (root: string, directory: string) => Promise<void>): Promise<void> {
  await withDirectory(async (directory) => {
    const root = join(directory, 'root')
    fs.mkdirSync(root)
    writeTree(root, tree)
    await body(root, directory)
  })
}

/** How somebody without rootmerge lists what is in a root. */
const listings: Readonly<Record<string, (root: string) => Buffer>> = {
  "bsdtar's mtree": (root) =>
    execFileSync('bsdtar', ['-cf', '-', '--format=mtree', '--options=sha1,md5', '-C', root, 'usr']),
  "bsdtar's mtree with /set": (root) =>
    execFileSync('bsdtar', [
      '-cf',
      '-',
      '--format=mtree',
      '--options=use-set,!all,type,mode,sha512',
      '-C',
      root,
      'usr',
    ]),
  'mtree -c': (root) => execFileSync('mtree', ['-c', '-k', 'type,mode,uid,gid,size,time,link,md5', '-p', root]),
}

/** Another root with the same files, of which nothing is known. */
function copyOfTree(root: string, copy: string): string {
  fs.mkdirSync(copy)
  execFileSync('cp', ['-a', join(root, 'usr'), copy])
  return copy
}

describe('importPackages() of a file', () => {
  for (const [what, listing] of Object.entries(listings)) {
    it(`makes a package of ours from ${what}: it is verified, upgraded and removed like any other`, () =>
      withTree(async (root, directory) => {
        const file = join(directory, 'listing')
        fs.writeFileSync(file, listing(root))
        const { added } = await importPackages({ root, file, package: 'handmade', durability: 'none' })
        assert.deepEqual(added, ['handmade'])
        assert.deepEqual(await verify({ root }), [])
        const [odd] = await owner({ root, names: [Buffer.from('usr/share/odd \xff', 'latin1')] })
        assert.deepEqual(odd?.packages, ['handmade'])
        const image = join(directory, 'image')
        fs.mkdirSync(image)
        writeTree(image, 'f 0755 /usr/bin/tool "new"')
        await merge({ root, image, package: 'handmade', durability: 'none' })
        assert.equal(fs.readFileSync(join(root, 'usr/bin/tool'), 'utf8'), 'new')
        assert.ok(!fs.existsSync(join(root, 'usr/fifo')))
        await unmerge({ root, packages: ['handmade'], durability: 'none' })
        assert.deepEqual(
          fs.readdirSync(root).filter((name) => name !== 'var'),
          [],
        )
      }))
  }

  it('takes a record and a CONTENTS that were exported elsewhere', () =>
    withTree(async (root, directory) => {
      const other = join(directory, 'other')
      fs.mkdirSync(other)
      const image = join(directory, 'image')
      fs.mkdirSync(image)
      writeTree(image, tree.replace('odd\\040\\377', 'even'))
      await merge({ root: other, image, package: 'cat/pkg-1', contents: true, durability: 'none' })
      const record = Buffer.from(await readRecord({ root: other, package: 'cat/pkg-1' }))
      const contents = Buffer.from(await readContents({ root: other, package: 'cat/pkg-1' }))
      fs.writeFileSync(join(directory, 'record'), record)
      fs.writeFileSync(join(directory, 'CONTENTS'), contents)
      const byRecord = copyOfTree(other, join(directory, 'by-record'))
      const { added } = await importPackages({ root: byRecord, file: join(directory, 'record') })
      assert.deepEqual([added, await verify({ root: byRecord })], [['cat/pkg-1'], []])
      assert.deepEqual(Buffer.from(await readRecord({ root: byRecord, package: 'cat/pkg-1' })), record)
      const byContents = copyOfTree(other, join(directory, 'by-contents'))
      await importPackages({ root: byContents, file: join(directory, 'CONTENTS'), package: 'cat/pkg-1' })
      assert.deepEqual(await verify({ root: byContents }), [])
      assert.deepEqual(Buffer.from(await readContents({ root: byContents, package: 'cat/pkg-1' })), contents)
      assert.deepEqual(await list({ root }), [])
    }))

  it('refuses a file that claims what another package has, and changes nothing', () =>
    withTree(async (root, directory) => {
      const image = join(directory, 'image')
      fs.mkdirSync(image)
      writeTree(image, 'f /opt/first "1"')
      await merge({ root, image, package: 'first', durability: 'none' })
      const before = snapshot(root, { without: ['var/lib/rootmerge/owners', 'var/lib/rootmerge/lock'] })
      const file = join(directory, 'CONTENTS')
      fs.writeFileSync(file, 'dir /opt\nsym /opt/first -> x 1\ndir /usr\n')
      await assert.rejects(
        importPackages({ root, file, package: 'second' }),
        (error) => error instanceof CollisionError && error.collisions[0]?.owners.join() === 'first',
      )
      assert.deepEqual(await list({ root }), ['first'])
      const after = snapshot(root, { without: ['var/lib/rootmerge/owners', 'var/lib/rootmerge/lock'] })
      assert.deepEqual(differencesBetween(after, before), [])
    }))

  it('takes a name that ends with a byte which a text would have for a blank', () =>
    withTree(async (root, directory) => {
      const [file, accented] = [join(directory, 'listing'), 'usr/caf\u00e0'] // in UTF-8 it ends with a0
      fs.symlinkSync('caf\u00e0', join(root, accented))
      fs.writeFileSync(
        file,
        `#mtree\n  ./${accented} type=link link=caf\u00e0 \n./usr/fifo type=fifo\\\n mode=0600 \r\n`,
      )
      await importPackages({ root, file, package: 'handmade', durability: 'none' })
      assert.deepEqual(await verify({ root }), [])
      assert.deepEqual(
        (await listEntries({ root, package: 'handmade' })).map(({ name }) => name),
        [accented, 'usr/fifo'],
      )
    }))

  const damages: readonly [what: string, text: string, line: number, reason: RegExp][] = [
    ['no listing at all', 'hello\n', 1, /not an entry of CONTENTS/],
    ['an archive', 'dir /usr\n./usr\0\0\0', 2, /there is a NUL/],
    ['a name with a NUL', '#mtree\n./a\\000b type=file\n', 2, /a NUL/],
    ['a name that leads upwards', '#mtree\n./../x type=file\n', 2, /leads upwards/],
    ['an unknown type', '#mtree\n./x type=hole\n', 2, /unknown type 'hole'/],
    ['a mode that is none', '#mtree\n./x type=file mode=9\n', 2, /no valid mode/],
    ['a time that is none', '#mtree\n./x type=file time=yesterday\n', 2, /no valid time/],
  ]
  for (const [what, text, line, reason] of damages) {
    it(`refuses ${what}, and says where`, () =>
      withTree(async (root, directory) => {
        const file = join(directory, 'listing')
        fs.writeFileSync(file, text)
        await assert.rejects(
          importPackages({ root, file, package: 'x' }),
          (error) => error instanceof CorruptDatabaseError && error.line === line && reason.test(error.message),
        )
        assert.ok(!fs.existsSync(join(root, 'var')))
      }))
  }
})

describe('rootmerge import', () => {
  it('prints what it did, as words and as JSON; wants one source, and a name for a file that has none', () =>
    withTree(async (root, directory) => {
      const run = (...args: string[]) =>
        spawnSync(process.execPath, [command, 'import', '--root', root, ...args], { encoding: 'utf8' })
      const file = join(directory, 'CONTENTS')
      fs.writeFileSync(file, 'dir /usr\nfif /usr/fifo\n')
      const dry = run(file, '--package', 'mine', '--dry-run')
      assert.deepEqual([dry.status, dry.stdout], [0, '1 package, 2 names: 1 added, 0 refreshed, 0 removed (dry run)\n'])
      assert.ok(!fs.existsSync(join(root, 'var')))
      const done = run(file, '--package', 'mine', '--json')
      const { event, added } = JSON.parse(done.stdout.trim().split('\n').at(-1) ?? '')
      assert.deepEqual([done.status, event, added], [0, 'import', ['mine']])
      assert.equal(run().status, 2)
      assert.equal(run('--dpkg', '--rpm').status, 2)
      assert.equal(run(file, '--dpkg').status, 2)
      assert.match(run(file).stderr, /does not name its package\n.*--package/)
      assert.match(run('--portage').stderr, /no database of portage/)
    }))
})
