// pacman's database as it is on disk, where no pacman is needed to make it.

import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { CorruptDatabaseError, importPackages, listEntries, verify } from '../../../src/merge/index.ts'
import { withDirectory } from '../../support/scratch.ts'
import { writeTree } from '../../support/tree.ts'

/** Files of the package's own directory in the database. */
type Database = Readonly<Record<string, string | Buffer>>

const desc = '%NAME%\ntool\n\n%VERSION%\n1-1\n'
const files =
  '%FILES%\netc/\netc/tool.conf\nusr/\nusr/bin/\nusr/bin/link\nusr/bin/tool\n\n%BACKUP%\netc/tool.conf\t0123\n'
const manifest = `#mtree
/set type=file uid=${process.getuid?.()} gid=${process.getgid?.()} mode=644
./etc/tool.conf time=1500000000.0 size=4
./usr/bin/tool time=1500000000.0 mode=755 size=4
./usr/bin/link time=1500000000.0 type=link link=tool mode=777
`

async function withDatabase(database: Database, body: (root: string) => Promise<void>): Promise<void> {
  await withDirectory(async (root) => {
    writeTree(root, 'f 0644 /etc/tool.conf "x=1\\n" mtime=1500000000\nf 0755 /usr/bin/tool "tool" mtime=1500000000')
    writeTree(root, 'l /usr/bin/link -> tool mtime=1500000000')
    const local = join(root, 'var/lib/pacman/local')
    fs.mkdirSync(join(local, 'tool-1-1'), { recursive: true })
    fs.writeFileSync(join(local, 'ALPM_DB_VERSION'), '9\n')
    for (const [name, contents] of Object.entries(database)) fs.writeFileSync(join(local, 'tool-1-1', name), contents)
    await body(root)
  })
}

const importInto = (root: string) => importPackages({ root, manager: 'pacman', durability: 'none' })

const differing = async (root: string) =>
  (await verify({ root })).map(({ name, differences, isConfig }) => `${isConfig ? 'c ' : ''}${name}: ${differences}`)

describe("importing pacman's packages", () => {
  for (const [title, mtree] of Object.entries({
    'compressed, as pacman has it': gzipSync(manifest),
    plain: manifest,
  })) {
    it(`verifies them by their own mtree: ${title}`, () =>
      withDatabase({ desc, files, mtree }, async (root) => {
        assert.deepEqual((await importInto(root)).added, ['pacman:tool'])
        assert.deepEqual(await differing(root), [])
        fs.appendFileSync(join(root, 'etc/tool.conf'), 'more')
        fs.chmodSync(join(root, 'usr/bin/tool'), 0o700)
        assert.deepEqual(await differing(root), ['c etc/tool.conf: size,mtime', 'usr/bin/tool: mode'])
      }))
  }

  it('takes a package without an mtree by its names and types alone', () =>
    withDatabase({ desc, files }, async (root) => {
      await importInto(root)
      fs.appendFileSync(join(root, 'etc/tool.conf'), 'more')
      fs.chmodSync(join(root, 'usr/bin/tool'), 0o700)
      assert.deepEqual(await differing(root), [])
      const listed = await listEntries({ root, package: 'pacman:tool' })
      const types = Object.fromEntries(listed.map(({ name, type }) => [name, type]))
      assert.deepEqual(
        [types.usr, types['usr/bin/tool'], types['usr/bin/link']],
        ['directory', 'file', 'symlink'], // of what the list does not say, as it is now
      )
      fs.rmSync(join(root, 'usr/bin/tool'))
      assert.deepEqual(await differing(root), ['usr/bin/tool: missing'])
    }))

  it('takes a name that the mtree does not have by its type alone', () =>
    withDatabase({ desc, files, mtree: manifest.replace(/^\.\/usr\/bin\/tool.*\n/m, '') }, async (root) => {
      await importInto(root)
      fs.appendFileSync(join(root, 'usr/bin/tool'), 'more')
      fs.appendFileSync(join(root, 'etc/tool.conf'), 'more')
      assert.deepEqual(await differing(root), ['c etc/tool.conf: size,mtime'])
    }))

  it('knows a package that has no files, and no directory without a description', () =>
    withDatabase({ desc }, async (root) => {
      fs.mkdirSync(join(root, 'var/lib/pacman/local/half-removed-1'))
      const { added, entries } = await importInto(root)
      assert.deepEqual([added, entries], [['pacman:tool'], 0])
    }))

  const damaged: Readonly<Record<string, { database: Database; reason: RegExp }>> = {
    'a description without a name': { database: { desc: '%VERSION%\n1\n', files }, reason: /there is no %NAME%/ },
    'an mtree that is cut': {
      database: { desc, files, mtree: gzipSync(manifest).subarray(0, 40) },
      reason: /mtree.*cannot be decompressed/,
    },
    'an mtree with a line that is none': { database: { desc, files, mtree: '#mtree\n/frob\n' }, reason: /mtree.*2/ },
  }
  for (const [title, { database, reason }] of Object.entries(damaged)) {
    it(`refuses ${title}, by its file`, () =>
      withDatabase(database, async (root) => {
        await assert.rejects(importInto(root), (error) => {
          assert.ok(error instanceof CorruptDatabaseError)
          assert.match(error.message, reason)
          return true
        })
      }))
  }
})
