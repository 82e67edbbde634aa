import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import {
  CollisionError,
  CorruptDatabaseError,
  ImportedPackageError,
  importPackages,
  list,
  merge,
  owner,
  unmerge,
  verify,
} from '../../../src/merge/index.ts'
import { dpkgTools, needCommands, needRoot } from '../../support/nativePackages.ts'
import { withDirectory } from '../../support/scratch.ts'
import { differencesBetween, snapshot } from '../../support/snapshot.ts'
import { writeTree } from '../../support/tree.ts'

const packages = [
  {
    name: 'plain',
    tree: 'f 0755 /usr/bin/tool "tool"\nf /usr/share/doc/plain/with\\040blank "text"\nl /usr/bin/link -> tool\nd /usr/empty',
  },
  {
    name: 'conf',
    tree: 'f /etc/conf/one "1"\nf /etc/conf/two "2"\nf 0600 /etc/conf/secret "s"',
    config: ['/etc/conf/one', '/etc/conf/two'],
  },
  { name: 'multi:amd64', tree: 'f /usr/lib/x86_64-linux-gnu/libmulti.so "so"\nf /usr/share/doc/multi/readme "same"' },
  { name: 'diverter', tree: 'f 0755 /usr/bin/sh "mine"' },
  { name: 'diverted', tree: 'f 0755 /usr/bin/sh "theirs"\nf /usr/share/other "x"' },
]

/** A root that dpkg made: plain packages, conffiles, Multi-Arch, diversions of a package and of the administrator. */
async function withDebian(body: (root: string, directory: string) => Promise<void>): Promise<void> {
  await withDirectory(async (directory) => {
    const root = join(directory, 'root')
    fs.mkdirSync(root)
    const debs = packages.map((each) => dpkgTools.pack(directory, each))
    dpkgTools.install(root, ...debs.slice(0, 3))
    dpkgTools.divert(root, '/usr/bin/sh', '/usr/bin/sh.real', 'diverter')
    dpkgTools.divert(root, '/usr/share/other', '/usr/share/other.local')
    dpkgTools.install(root, ...debs.slice(3))
    await body(root, directory)
  })
}

/** `dpkg --verify`'s findings as name and what: missing, or a digest or type that is another. */
function dpkgFindings(root: string): string[] {
  return dpkgTools
    .verify(root)
    .split('\n')
    .filter(Boolean)
    .map(
      (line) =>
        `${line.startsWith('missing') ? 'missing' : line[1] === 'M' ? 'type' : 'digest'} ${line.slice(line.indexOf('/'))}`,
    )
    .sort()
}

async function ourFindings(root: string): Promise<string[]> {
  const found = await verify({ root })
  return found.map(({ name, differences }) => `${differences.join()} /${name}`).sort()
}

describe('importPackages() of dpkg', function () {
  this.timeout(120_000)
  before(function () {
    needCommands(this, dpkgTools.commands)
    needRoot(this)
  })

  it('knows every package with its names: conffiles, architectures and diversions as dpkg has them', () =>
    withDebian(async (root) => {
      const report = await importPackages({ root, manager: 'dpkg', durability: 'none' })
      const names = ['dpkg:conf', 'dpkg:diverted', 'dpkg:diverter', 'dpkg:multi:amd64', 'dpkg:plain']
      assert.deepEqual(await list({ root }), names)
      assert.deepEqual([report.packages, [...report.added].sort(), report.removed], [5, names, []])
      const asked = [
        '/usr/bin/tool',
        'usr/bin/sh',
        'usr/bin/sh.real',
        'usr/share/other',
        'usr/share/other.local',
        'usr/empty',
      ]
      const owners = await owner({ root, names: asked })
      assert.deepEqual(
        owners.map((each) => each.packages),
        [['dpkg:plain'], ['dpkg:diverter'], ['dpkg:diverted'], [], ['dpkg:diverted'], ['dpkg:plain']],
      )
    }))

  it("finds what `dpkg --verify` finds, of every kind, and nothing on a root that is dpkg's", () =>
    withDebian(async (root) => {
      await importPackages({ root, manager: 'dpkg', durability: 'none' })
      assert.deepEqual(await ourFindings(root), dpkgFindings(root))
      assert.deepEqual(await ourFindings(root), [])
      fs.writeFileSync(join(root, 'usr/bin/tool'), 'fool') // the same size
      fs.rmSync(join(root, 'usr/share/doc/plain/with blank'))
      fs.rmSync(join(root, 'usr/bin/link'))
      fs.appendFileSync(join(root, 'etc/conf/one'), 'edited')
      fs.rmSync(join(root, 'etc/conf/two'))
      fs.rmSync(join(root, 'usr/share/doc/multi/readme'))
      fs.symlinkSync('x', join(root, 'usr/share/doc/multi/readme'))
      fs.writeFileSync(join(root, 'usr/bin/sh.real'), 'changed')
      fs.chmodSync(join(root, 'usr/lib/x86_64-linux-gnu/libmulti.so'), 0o777) // dpkg does not know
      fs.rmdirSync(join(root, 'usr/empty'))
      fs.writeFileSync(join(root, 'usr/empty'), 'a file now') // dpkg does not know either
      const found = dpkgFindings(root)
      // dpkg 1.21 keeps a diverted file's sum under the name that it is diverted from, and so never looks at it.
      assert.deepEqual(await ourFindings(root), [...found, 'digest /usr/bin/sh.real'].sort())
      assert.equal(found.length, 6)
    }))

  it('refuses a merge that wants a name of Debian, and names its owner; the root stays as it was', () =>
    withDebian(async (root, directory) => {
      await importPackages({ root, manager: 'dpkg', durability: 'none' })
      const image = join(directory, 'image')
      fs.mkdirSync(image)
      writeTree(image, 'f 0755 /usr/bin/tool "another"\nf /usr/bin/new "new"\nf /etc/conf/one "our own"')
      const before = snapshot(root, { without: ['var'] })
      await assert.rejects(merge({ root, image, package: 'mine', durability: 'none' }), (error) => {
        assert.ok(error instanceof CollisionError)
        assert.deepEqual(
          error.collisions.map(({ name, owners }) => [name, owners]),
          [
            ['etc/conf/one', ['dpkg:conf']],
            ['usr/bin/tool', ['dpkg:plain']],
          ],
        )
        assert.match(error.message, /remove it with dpkg/)
        return true
      })
      assert.deepEqual(differencesBetween(snapshot(root, { without: ['var'] }), before), [])
    }))

  it("never writes dpkg's database, and does nothing when nothing has changed", () =>
    withDebian(async (root) => {
      const before = snapshot(join(root, 'var/lib/dpkg'))
      await importPackages({ root, manager: 'dpkg', durability: 'none' })
      const records = snapshot(join(root, 'var/lib/rootmerge/packages'))
      const again = await importPackages({ root, manager: 'dpkg', durability: 'none' })
      assert.deepEqual([again.added, again.refreshed, again.removed, again.transaction], [[], [], [], undefined])
      assert.deepEqual(differencesBetween(snapshot(join(root, 'var/lib/rootmerge/packages')), records), [])
      assert.deepEqual(differencesBetween(snapshot(join(root, 'var/lib/dpkg')), before), [])
    }))

  it('follows what dpkg does: an upgrade is refreshed, a package that was purged is forgotten', () =>
    withDebian(async (root, directory) => {
      await importPackages({ root, manager: 'dpkg', durability: 'none' })
      dpkgTools.install(root, dpkgTools.pack(directory, { name: 'plain', version: '2', tree: 'f /usr/bin/tool "two"' }))
      dpkgTools.remove(root, 'conf')
      dpkgTools.install(root, dpkgTools.pack(directory, { name: 'new', tree: 'f /usr/new "n"' }))
      const report = await importPackages({ root, manager: 'dpkg', durability: 'none' })
      assert.deepEqual([report.added, report.refreshed, report.removed], [['dpkg:new'], ['dpkg:plain'], ['dpkg:conf']])
      assert.deepEqual(await ourFindings(root), [])
      const [link, one] = await owner({ root, names: ['usr/bin/link', 'etc/conf/one'] })
      assert.deepEqual([link?.packages, one?.packages], [[], []])
    }))

  it('reads what dpkg has not written into its status file yet', () =>
    withDebian(async (root) => {
      const status = join(root, 'var/lib/dpkg/status')
      const stanzas = fs.readFileSync(status, 'utf8').split('\n\n')
      const moved = stanzas.find((text) => text.startsWith('Package: conf')) ?? ''
      fs.writeFileSync(status, stanzas.filter((text) => text !== moved).join('\n\n'))
      fs.writeFileSync(join(root, 'var/lib/dpkg/updates/0000'), `${moved}\n`)
      assert.equal((await importPackages({ root, manager: 'dpkg', durability: 'none' })).packages, 5)
    }))

  it('leaves imported packages to dpkg: nobody unmerges, replaces or merges over them', () =>
    withDebian(async (root, directory) => {
      await importPackages({ root, manager: 'dpkg', durability: 'none' })
      const image = join(directory, 'image')
      fs.mkdirSync(image)
      writeTree(image, 'f /usr/bin/new "new"')
      const before = snapshot(root)
      const refused = (error: unknown) => error instanceof ImportedPackageError && /dpkg/.test(error.message)
      await assert.rejects(unmerge({ root, packages: ['dpkg:plain'] }), refused)
      await assert.rejects(merge({ root, image, package: 'dpkg:plain' }), refused)
      await assert.rejects(merge({ root, image, package: 'mine', replaces: ['dpkg:plain'] }), refused)
      const ignored = ['var/lib/rootmerge'] // the lock's holder
      assert.deepEqual(
        differencesBetween(
          snapshot(root, { without: ignored }),
          new Map([...before].filter(([name]) => !name.startsWith('var/lib/rootmerge'))),
        ),
        [],
      )
    }))

  it('tells which names a package of ours has too', () =>
    withDebian(async (root, directory) => {
      const image = join(directory, 'image')
      fs.mkdirSync(image)
      writeTree(image, 'f /usr/bin/new "new"')
      await merge({ root, image, package: 'mine', durability: 'none' })
      dpkgTools.install(root, dpkgTools.pack(directory, { name: 'late', tree: 'f /usr/bin/new "late"' }))
      const { shared } = await importPackages({ root, manager: 'dpkg', durability: 'none' })
      assert.deepEqual(shared, [{ name: 'usr/bin/new', packages: ['dpkg:late', 'mine'] }])
    }))

  const damages: readonly [what: string, file: string, text: string, at: RegExp][] = [
    ['a package without a status', 'status', 'Package: x\n\n', /status:1: .*without a name or a status/],
    ['a diversion of two lines', 'diversions', '/a\n/b\n', /diversions:1: a diversion is three lines/],
    ['a list with a name that is no path', 'info/plain.list', '/.\n/usr\nusr/bin\n', /plain\.list:3: .*not a path/],
    ['a list that is cut off', 'info/plain.list', '/.\n/usr\n/usr/b', /plain\.list:3: .*cut off/],
    ['sums that are none', 'info/plain.md5sums', 'xyz  usr/bin/tool\n', /plain\.md5sums:1: .*md5/],
    [
      'a package name that leads elsewhere',
      'status',
      'Package: ../x\nStatus: install ok installed\n',
      /cannot be a package/,
    ],
  ]
  for (const [what, file, text, at] of damages) {
    it(`refuses ${what}, says where, and takes nothing`, () =>
      withDebian(async (root) => {
        fs.writeFileSync(join(root, 'var/lib/dpkg', file), text)
        await assert.rejects(
          importPackages({ root, manager: 'dpkg', durability: 'none' }),
          (error) => error instanceof CorruptDatabaseError && at.test(error.message),
        )
        assert.deepEqual(await list({ root }), [])
      }))
  }

  it('says where it looked when there is no database', () =>
    withDirectory(async (root) => {
      await assert.rejects(
        importPackages({ root, manager: 'dpkg' }),
        /no database of dpkg in .* \(var\/lib\/dpkg\/status\)/,
      )
      assert.ok(!fs.existsSync(join(root, 'var')))
    }))
})
