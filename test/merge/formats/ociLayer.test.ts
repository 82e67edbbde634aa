import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { basename, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { RecoveryPendingError } from '../../../src/merge/errors.ts'
import {
  CollisionError,
  InvalidArgumentError,
  MountPointError,
  merge,
  owner,
  plan,
  UnsafeEntryError,
  undo,
  unmerge,
  verify,
} from '../../../src/merge/index.ts'
import type { LeftOver } from '../../../src/merge/transaction.ts'
import { itOnEach } from '../../support/filesystems.ts'
import { crashAtChange, failNth } from '../../support/kernelDoubles.ts'
import { mergeImages } from '../../support/operations.ts'
import { withDirectory } from '../../support/scratch.ts'
import { differencesBetween, type Snapshot, snapshot } from '../../support/snapshot.ts'
import { type TarMember, tarOf } from '../../support/specPackages.ts'
import { writeTree } from '../../support/tree.ts'
import { checkTold, type Prepared, recordsPath, tell, withScenario } from '../outcome.ts'
import { recordsSnapshot, recover, rootSnapshot, type Scenario, stagingNames } from '../scenarios.ts'
import { full, runOnce } from '../sweeping.ts'

const file = (path: string, data = ''): TarMember => ({ path, data })
const directory = (path: string, mode = 0o755): TarMember => ({ path, type: '5', mode })
const format = 'oci-layer'
/** statfs(2)'s magic number: there a directory of the lower layer cannot be renamed. */
const overlay = 0x794c7630
const collisions = 'replace-unowned' as const

/** Writes a layer; its path. */
function layerIn(where: string, name: string, members: readonly TarMember[]): string {
  const path = join(where, name)
  fs.writeFileSync(path, gzipSync(tarOf(members)))
  return path
}

/** A root in which one package has names, and nobody has others. */
async function makeRoot(where: string): Promise<string> {
  const [root, base] = [join(where, 'root'), join(where, 'base')]
  for (const path of [root, base]) fs.mkdirSync(path)
  writeTree(base, 'f /usr/bin/tool "tool"\nf /usr/share/tool/data "data"\nf /etc/tool.conf "x"')
  writeTree(
    root,
    'f 4755 /opt/own/deep/set-id "x" user.note="n"\nf /opt/own/file "own"\nl /opt/link -> own\nf /srv/a "a"\nd 0711 /srv/b',
  )
  await merge({ root, image: base, package: 'base', durability: 'none' })
  return root
}

const look = (root: string) => snapshot(root, { without: ['var'], directoryTimes: false })

function withRoot(body: (root: string, where: string) => Promise<void>): Promise<void> {
  return withDirectory(async (where) => body(await makeRoot(where), where))
}

describe('one layer of a container image over a root', function () {
  this.timeout(60_000)

  it('takes nothing away that others own, or nobody, unless it is allowed: all of it is told', () =>
    withRoot(async (root, where) => {
      const image = layerIn(where, 'layer', [
        file('usr/bin/.wh.tool'),
        directory('opt/'),
        file('opt/.wh..wh..opq'),
        file('opt/new', 'new'),
      ])
      const before = look(root)
      await assert.rejects(merge({ root, image, package: 'layer', format }), (error) => {
        assert.ok(error instanceof CollisionError)
        const told = error.collisions.map(({ name, owners, image: brought }) =>
          [name, owners.join(), brought].join(' '),
        )
        assert.deepEqual(told.sort(), [
          'opt/link  nothing',
          'opt/own/deep/set-id  nothing',
          'opt/own/file  nothing',
          'usr/bin/tool base nothing',
        ])
        assert.match(error.message, /usr\/bin\/tool: file of base \(unmerge base, name it in --replaces/)
        assert.match(error.message, /opt\/own\/file: file of nobody \(move it away, or keep a backup/)
        return true
      })
      assert.deepEqual(differencesBetween(look(root), before), [])
    }))

  itOnEach('keeps what belonged to nobody: unmerge gives it back as it was, directories as a whole', async (where) => {
    const root = await makeRoot(where)
    const before = look(root)
    const image = layerIn(where, 'layer', [
      file('opt/.wh.own'),
      file('opt/.wh.link'),
      file('srv/.wh.b'),
      file('new', 'n'),
    ])
    const { backedUp } = await merge({ root, image, package: 'layer', format, collisions, keepUndo: 1 })
    assert.deepEqual(fs.readdirSync(join(root, 'opt')), [])
    if (fs.statfsSync(root).type === overlay) {
      assert.ok(backedUp.includes('opt/own/file'), 'object by object')
      await undo({ root })
      assert.deepEqual(differencesBetween(look(root), before), [])
      return
    }
    assert.deepEqual([...backedUp].sort(), ['opt/link', 'opt/own', 'srv/b'])
    assert.deepEqual(await verify({ root }), [])
    const again = await merge({ root, image, package: 'layer', format, collisions })
    assert.deepEqual(again.restored, [], 'the new version takes them away too')
    const { restored } = await unmerge({ root, packages: ['layer'] })
    assert.deepEqual([...restored].sort(), ['opt/link', 'opt/own', 'srv/b'])
    assert.deepEqual(differencesBetween(look(root), before), [])
  })

  it('gives back with a new version what that no longer takes away', () =>
    withRoot(async (root, where) => {
      const before = look(root)
      const one = layerIn(where, 'one', [file('opt/.wh.own'), file('srv/.wh.a')])
      const two = layerIn(where, 'two', [file('srv/.wh.a')])
      await merge({ root, image: one, package: 'layer', format, collisions })
      assert.deepEqual((await merge({ root, image: two, package: 'layer', format, collisions })).restored, ['opt/own'])
      assert.ok(!fs.existsSync(join(root, 'srv/a')))
      assert.deepEqual((await unmerge({ root, packages: ['layer'] })).restored, ['srv/a'])
      assert.deepEqual(differencesBetween(look(root), before), [])
    }))

  it('takes names of other packages where they may be taken, and of those that it replaces', () =>
    withRoot(async (root, where) => {
      const image = layerIn(where, 'layer', [file('usr/.wh.bin'), file('etc/.wh.tool.conf')])
      await merge({
        root,
        image,
        package: 'layer',
        format,
        collisionIgnore: ['usr/bin/**', 'usr/bin', 'etc/tool.conf'],
      })
      assert.ok(!fs.existsSync(join(root, 'usr/bin')))
      assert.deepEqual(await verify({ root }), [], 'the other package no longer owns them')
      assert.deepEqual(await owner({ root, names: ['usr/bin/tool', 'usr/share/tool/data'] }), [
        { name: 'usr/bin/tool', packages: [] },
        { name: 'usr/share/tool/data', packages: ['base'] },
      ])
      const rest = layerIn(where, 'rest', [file('usr/share/.wh.tool'), file('kept', 'k')])
      await merge({ root, image: rest, package: 'rest', format, replaces: ['base'] })
      assert.ok(!fs.existsSync(join(root, 'usr/share/tool')))
    }))

  it('an opaque directory keeps what the layer itself has in it, wherever that stands in the layer', () =>
    withRoot(async (root, where) => {
      const image = layerIn(where, 'layer', [
        file('opt/own/file', 'new'),
        file('opt/own/.wh..wh..opq'),
        file('opt/own/deep/other', 'o'),
        file('opt/.wh.nothing-there'),
      ])
      await merge({ root, image, package: 'layer', format, collisions })
      assert.deepEqual(fs.readdirSync(join(root, 'opt/own'), { recursive: true }).sort(), [
        'deep',
        'deep/other',
        'file',
      ])
      assert.equal(fs.readFileSync(join(root, 'opt/own/file'), 'utf8'), 'new')
    }))

  it('leaves the state, protected names, and what is not selected', () =>
    withRoot(async (root, where) => {
      const image = layerIn(where, 'layer', [file('.wh.var'), file('.wh.srv'), file('opt/own/.wh..wh..opq')])
      const { kept } = await merge({
        root,
        image,
        package: 'layer',
        format,
        collisions,
        protect: ['/srv/a'],
        exclude: ['opt/own/deep'],
      })
      assert.deepEqual(kept, [{ name: 'srv/a', package: 'layer', reason: 'configuration' }])
      assert.deepEqual(fs.readdirSync(join(root, 'srv')), ['a'])
      assert.deepEqual(fs.readdirSync(join(root, 'opt/own')), ['deep'])
      assert.deepEqual(await verify({ root }), [])
      const inside = layerIn(where, 'inside', [file('var/lib/.wh.rootmerge')])
      await assert.rejects(merge({ root, image: inside, package: 'x', format }), UnsafeEntryError)
    }))

  it('undo gives everything back', () =>
    withRoot(async (root, where) => {
      const before = look(root)
      const image = layerIn(where, 'layer', [file('.wh.opt'), file('.wh.srv'), file('.wh.usr'), file('opt/new', 'n')])
      const { transaction } = await merge({
        root,
        image,
        package: 'layer',
        format,
        collisions,
        collisionIgnore: ['usr', 'usr/**'],
        keepUndo: 1,
      })
      assert.deepEqual(fs.readdirSync(root).sort(), ['etc', 'opt', 'var'])
      await undo({ root, id: transaction })
      assert.deepEqual(differencesBetween(look(root), before), [])
      assert.deepEqual(await verify({ root }), [])
    }))

  it('refuses to take a mount point away, or what it lies in, and takes names below it', function () {
    if (process.getuid?.() !== 0) {
      process.stderr.write('skipped: mounting needs root\n')
      return this.skip()
    }
    return withRoot(async (root, where) => {
      const mount = join(root, 'opt/own/deep')
      execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', mount])
      try {
        await expectMountStays(root, where, mount)
      } finally {
        execFileSync('umount', ['-l', mount])
      }
    })
  })

  it('a file in the place of a directory of nobody is refused, as in every image', () =>
    withRoot(async (root, where) => {
      const image = layerIn(where, 'layer', [file('opt/.wh.own'), file('opt/own', 'a file now')])
      await assert.rejects(merge({ root, image, package: 'layer', format, collisions }), CollisionError)
    }))

  it('is planned as it is done, and a symlink is taken away itself', () =>
    withRoot(async (root, where) => {
      fs.symlinkSync('own', join(root, 'opt/other'))
      const image = layerIn(where, 'layer', [file('opt/.wh.other'), file('opt/.wh.own')])
      const { steps } = await plan({ root, image, package: 'layer', format, collisions })
      assert.deepEqual(
        [...steps].map(({ action, name, type }) => [action, type, name].join(' ')),
        ['remove directory opt/own', 'remove symlink opt/other'],
      )
      await merge({ root, image, package: 'layer', format, collisions })
      assert.deepEqual(fs.readdirSync(join(root, 'opt')), ['link'])
    }))

  it('refuses what is no whiteout, and to take components off', () =>
    withRoot(async (root, where) => {
      const bad = layerIn(where, 'bad', [file('usr/.wh...')])
      await assert.rejects(merge({ root, image: bad, package: 'layer', format }), UnsafeEntryError)
      const image = layerIn(where, 'layer', [file('usr/.wh.bin')])
      const options = { root, image, package: 'layer', format, stripComponents: 1 }
      await assert.rejects(merge(options), InvalidArgumentError)
      // As a tree its whiteouts would be files like others.
      const unpacked = join(where, 'unpacked')
      fs.mkdirSync(unpacked)
      await assert.rejects(
        merge({ root, image: unpacked, package: 'layer', format }),
        /is a directory, and --format is for archives/,
      )
    }))
})

async function expectMountStays(root: string, where: string, mount: string): Promise<void> {
  fs.writeFileSync(join(mount, 'below'), 'b')
  const before = look(root)
  for (const name of ['opt/own/.wh.deep', 'opt/.wh.own', '.wh.opt', 'opt/own/.wh..wh..opq']) {
    const image = layerIn(where, 'layer', [file(name)])
    await assert.rejects(merge({ root, image, package: 'layer', format, collisions }), (error) => {
      assert.ok(error instanceof MountPointError, String(error))
      assert.ok(error.message.includes(mount), error.message)
      return true
    })
    assert.deepEqual(differencesBetween(look(root), before), [], name)
  }
  const inside = layerIn(where, 'inside', [file('opt/own/deep/.wh.below')])
  await merge({ root, image: inside, package: 'layer', format, collisions })
  assert.ok(!fs.existsSync(join(mount, 'below')))
  await unmerge({ root, packages: ['layer'] })
  assert.deepEqual(differencesBetween(look(root), before), [])
}

describe('layers of one call', function () {
  this.timeout(60_000)

  it('lie above one another, each a package of its own: names, whiteouts, types, links and metadata', () =>
    withRoot(async (root, where) => {
      const lower = layerIn(where, 'lower', [
        directory('app/', 0o700),
        file('app/stays', 'stays'),
        file('app/replaced', 'old'),
        file('app/goes', 'goes'),
        directory('app/tree/'),
        file('app/tree/deep', 'goes'),
        file('app/first', 'linked'),
        { path: 'app/second', type: '1', target: 'app/first' },
        file('app/becomes-directory', 'x'),
        directory('app/becomes-file/'),
        file('app/becomes-file/inside', 'x'),
        directory('app/opaque/'),
        file('app/opaque/hidden', 'x'),
      ])
      const upper = layerIn(where, 'upper', [
        directory('app/', 0o750),
        file('app/replaced', 'new'),
        file('app/.wh.goes'),
        file('app/.wh.tree'),
        file('app/.wh.first'),
        file('app/becomes-directory/inside', 'y'),
        file('app/becomes-file', 'y'),
        directory('app/opaque/'),
        file('app/opaque/.wh..wh..opq'),
        file('srv/.wh.a'),
      ])
      const images = [
        { image: lower, package: 'lower' },
        { image: upper, package: 'upper' },
      ]
      await merge({ root, images, format, collisions })
      const found = fs.readdirSync(join(root, 'app'), { recursive: true }).sort()
      assert.deepEqual(found, [
        ...['becomes-directory', 'becomes-directory/inside', 'becomes-file', 'opaque'],
        ...['replaced', 'second', 'stays'],
      ])
      assert.equal(fs.statSync(join(root, 'app')).mode & 0o7777, 0o750)
      assert.equal(fs.readFileSync(join(root, 'app/replaced'), 'utf8'), 'new')
      assert.ok(!fs.existsSync(join(root, 'srv/a')))
      assert.deepEqual(await verify({ root }), [])
      const names = ['app/replaced', 'app/second', 'app/goes']
      const owners = (await owner({ root, names })).map(({ packages }) => packages.join())
      assert.deepEqual(owners, ['upper', 'lower', ''])
    }))
})

/** A layer that takes away a name of another package, a directory of nobody, and a file of its older version. */
const scenario: Scenario = {
  title: 'a layer that takes names away',
  prepare: async (where) => {
    await makeRoot(where)
    const members = [file('app/file', 'one'), file('app/goes', 'x')]
    const image = layerIn(where, 'one', members)
    await merge({ root: join(where, 'root'), image, package: 'layer', format, durability: 'none' })
    layerIn(where, 'two', [
      file('app/file', 'two'),
      file('opt/.wh.own'),
      file('srv/.wh.a'),
      file('usr/.wh.bin'),
      file('srv/c', 'c'),
    ])
  },
  operate: (engine, where) =>
    mergeImages(engine, {
      root: join(where, 'root'),
      image: join(where, 'two'),
      package: 'layer',
      format,
      collisions,
      collisionIgnore: ['usr/bin', 'usr/bin/*'],
      durability: 'transaction',
    }),
  words: (where) => ['merge', join(where, 'two'), '--package', 'layer', '--format', format],
}

/** What stays under a staging name, because it belonged to nobody. */
const keptName = /\.rootmerge-kept-\w+-\d+/
/** Where a layer is unpacked. */
const unpackedName = /\.rootmerge-unpacked-/
const keptAfter = ['kept', 'kept', 'kept/deep', 'kept/deep/set-id', 'kept/file']

/** What is kept in the state's backups. */
function keptNames(work: string): string[] {
  const names = [...snapshot(join(work, 'root')).keys()].filter((name) => keptName.test(name))
  return names.map((name) => name.replace(/^.*(?=\.rootmerge-kept-)/, '').replace(keptName, 'kept')).sort()
}

/** Demands the old root, or the new one with what belonged to nobody kept. */
function outcomeOf({ work, before, after }: Prepared, where: string): 'before' | 'after' {
  assert.deepEqual(stagingNames(work), [], where)
  const toBefore = differencesBetween(rootSnapshot(work, true), before.exact)
  if (toBefore.length === 0) {
    assert.deepEqual(keptNames(work), [], where)
    return 'before'
  }
  assert.deepEqual(differencesBetween(rootSnapshot(work, false), after.loose), [], `${where}: ${toBefore.join('; ')}`)
  assert.deepEqual([...recordsSnapshot(work).keys()], [...after.records.keys()], where)
  assert.deepEqual(keptNames(work), keptAfter, where)
  return 'after'
}

/** What belonged to nobody and could not go into the backup, which a note has to say of each. */
function keptBesideTheirNames(work: string, report: unknown, where: string): readonly LeftOver[] {
  const names = stagingNames(work).filter((name) => keptName.test(basename(name)))
  const { notes = [] } = (report ?? {}) as { readonly notes?: readonly string[] }
  const told = notes.filter((note) => note.includes('is kept beside it'))
  assert.equal(told.length, names.length, `${where}: ${names} are kept, and told is: ${notes.join('; ')}`)
  return names.map((name) => ({ name, reason: 'is kept beside its name' }))
}

/** Demands the new root, and that whatever is there beside it was told. */
function checkLeftOvers({ work, after }: Prepared, leftOvers: readonly LeftOver[], where: string): void {
  const names = (records: Snapshot): Snapshot => new Map([...records.keys()].map((name) => [name, '']))
  const parts = [
    ['root', rootSnapshot(work, false), after.loose],
    [recordsPath, names(recordsSnapshot(work)), names(after.records)],
  ] as const
  const staging = stagingNames(work).filter((name) => !keptName.test(name))
  checkTold({ work, leftOvers, staging, parts }, where)
}

describe('a layer whose merge is cut off', function () {
  this.timeout(600_000)
  it('by a death at a system call: before or after', () =>
    withScenario(scenario, async (prepared) => {
      const outcomes = { before: 0, after: 0 }
      for (let n = 1; ; n += full ? 1 : 3) {
        const { seen } = await runOnce(scenario, prepared, (kernel) => crashAtChange(kernel, n))
        if (seen.hit === undefined) break
        recover(prepared.work)
        outcomes[outcomeOf(prepared, `after dying at change ${n} (${seen.hit})`)]++
      }
      tell('died', outcomes)
      assert.ok(outcomes.before > 10 && outcomes.after > 2, JSON.stringify(outcomes))
    }))

  it('by a call that fails: as it was, or recovered', () =>
    withScenario(scenario, async (prepared) => {
      const outcomes = { before: 0, after: 0, pending: 0, leftOver: 0, unpackedLeft: 0, keptBeside: 0 }
      for (let n = 1; ; n += full ? 1 : 11) {
        const run = await runOnce(scenario, prepared, (kernel) => failNth(kernel, n, 'EIO'))
        const { seen, error, leaked, leftOvers } = run
        if (seen.hit === undefined) break
        const where = `after EIO at call ${n} (${seen.hit}): ${String(error)}`
        assert.deepEqual(leaked, [], `descriptors left ${where}`)
        const isPending = error instanceof RecoveryPendingError
        // Where the one call that fails is one of removing what was unpacked, the merge is done, and recovery removes it.
        const isUnpackedLeft =
          error === undefined && stagingNames(prepared.work).some((name) => unpackedName.test(name))
        if (isUnpackedLeft) outcomes.unpackedLeft++
        if (isPending || isUnpackedLeft) recover(prepared.work)
        const keptBeside = isPending ? [] : keptBesideTheirNames(prepared.work, run.report, where)
        if (leftOvers.length > 0 || keptBeside.length > 0) {
          outcomes[keptBeside.length > 0 ? 'keptBeside' : 'leftOver']++
          checkLeftOvers(prepared, [...leftOvers, ...keptBeside], where)
          continue
        }
        const outcome = outcomeOf(prepared, where)
        outcomes[isPending ? 'pending' : outcome]++
        if (!isPending) assert.equal(outcome, error === undefined ? 'after' : 'before', where)
      }
      tell('failed', outcomes)
      assert.ok(outcomes.before > 10, JSON.stringify(outcomes))
    }))
})
