import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { exportRecord, InexpressibleError, importPackages, merge } from '../../src/merge/index.ts'
import { dpkgTools, needCommands, pacmanTools } from '../support/nativePackages.ts'
import { withDirectory } from '../support/scratch.ts'
import { writeTree } from '../support/tree.ts'

const command = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))

const tree = `
f 4755 /usr/bin/tool             "tool" mtime=1500000000.5
h      /usr/bin/too              == /usr/bin/tool
f 0600 /usr/share/odd\\040\\377  "text"
l      /usr/bin/link             -> tool
d 0700 /usr/private
`

async function withMerged(body: (root: string, directory: string) => Promise<void>, given = tree): Promise<void> {
  await withDirectory(async (directory) => {
    const [root, image] = [join(directory, 'root'), join(directory, 'image')]
    fs.mkdirSync(root)
    fs.mkdirSync(image)
    writeTree(image, given)
    await merge({ root, image, package: 'tool', durability: 'none' })
    await body(root, directory)
  })
}

/** The changes that both tools have an eye for. */
function plantChanges(root: string): void {
  fs.writeFileSync(join(root, 'usr/bin/tool'), 'fool')
  fs.rmSync(Buffer.from(join(root, 'usr/share/odd \xff'), 'latin1'))
}

describe('exportRecord()', function () {
  this.timeout(60_000)

  it('writes what dpkg lists and verifies, and finds changes in', function () {
    needCommands(this, dpkgTools.commands)
    return withMerged(async (root) => {
      const info = join(root, 'var/lib/dpkg/info')
      fs.mkdirSync(info, { recursive: true })
      fs.mkdirSync(join(root, 'var/lib/dpkg/updates'))
      for (const file of ['list', 'md5sums'] as const) {
        const bytes = await exportRecord({ root, package: 'tool', format: `dpkg-${file}` })
        fs.writeFileSync(join(info, `tool.${file}`), bytes)
      }
      const fields = [
        'Status: install ok installed',
        'Maintainer: a',
        'Architecture: all',
        'Version: 1',
        'Description: x',
      ]
      fs.writeFileSync(join(root, 'var/lib/dpkg/status'), `Package: tool\n${fields.join('\n')}\n\n`)
      const listed = execFileSync('dpkg-query', [`--admindir=${root}/var/lib/dpkg`, '--listfiles', 'tool'])
      assert.deepEqual(listed, fs.readFileSync(join(info, 'tool.list')))
      assert.equal(dpkgTools.verify(root), '')
      plantChanges(root)
      assert.equal(dpkgTools.verify(root).split('\n').filter(Boolean).length, 3) // both names of the tool, and the odd one
      await assert.rejects(
        exportRecord({ root, package: 'tool', format: 'dpkg-md5sums' }),
        (error) =>
          error instanceof InexpressibleError && error.names.length === 3 && /dpkg-md5sums/.test(error.message),
      )
    })
  })

  it('writes what pacman verifies, and finds changes in', function () {
    needCommands(this, pacmanTools.commands)
    return withMerged(async (root) => {
      const local = join(root, 'var/lib/pacman/local')
      fs.mkdirSync(join(local, 'tool-1-1'), { recursive: true })
      fs.writeFileSync(join(local, 'ALPM_DB_VERSION'), '9\n')
      const facts = { NAME: 'tool', VERSION: '1-1', ARCH: 'any', VALIDATION: 'none' }
      const description = Object.entries(facts).map(([name, value]) => `%${name}%\n${value}\n\n`)
      fs.writeFileSync(join(local, 'tool-1-1/desc'), description.join(''))
      for (const file of ['files', 'mtree'] as const) {
        const bytes = await exportRecord({ root, package: 'tool', format: `pacman-${file}` })
        fs.writeFileSync(join(local, 'tool-1-1', file), bytes)
      }
      assert.match(pacmanTools.verify(root), /tool: 8 total files, 0 altered files/)
      plantChanges(root)
      const found = pacmanTools.verify(root)
      assert.match(found, /tool: 8 total files, 3 altered files/)
      assert.match(found, /tool \(SHA256 checksum mismatch\)/)
      const { added } = await importPackages({ root, manager: 'pacman', durability: 'none' })
      assert.deepEqual(added, ['pacman:tool'])
    })
  })

  it('refuses names that a list cannot have; mtree can have any', () =>
    withMerged(async (root) => {
      for (const format of ['dpkg-list', 'dpkg-md5sums', 'pacman-files'] as const) {
        await assert.rejects(
          exportRecord({ root, package: 'tool', format }),
          (error) => error instanceof InexpressibleError && error.names[0]?.name === 'line\\012feed',
        )
      }
      assert.ok((await exportRecord({ root, package: 'tool', format: 'pacman-mtree' })).length > 0)
    }, 'f /line\\012feed "x"'))

  it('is what `list --format` prints', () =>
    withMerged(async (root) => {
      for (const format of ['dpkg-list', 'dpkg-md5sums', 'pacman-files', 'pacman-mtree'] as const) {
        const printed = execFileSync(process.execPath, [command, 'list', 'tool', '--root', root, '--format', format])
        assert.deepEqual(printed, Buffer.from(await exportRecord({ root, package: 'tool', format })))
      }
    }))
})
