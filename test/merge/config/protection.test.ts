import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { makeProtection } from '../../../src/merge/config/protection.ts'
import { configCases, styleNames, styles } from '../../../src/merge/config/styles.ts'
import { parseUpdateName, stemsOf, updateNameOf } from '../../../src/merge/config/updateNames.ts'
import { InvalidArgumentError, merge, unmerge, verify } from '../../../src/merge/index.ts'
import { toName } from '../../../src/sys/index.ts'
import { file, withBench } from './configBench.ts'

describe('makeProtection()', () => {
  const covers = (protect: string[], protectMask: string[], name: string) =>
    makeProtection({ protect, protectMask }).covers(name, name)

  it('takes components, not beginnings of names', () => {
    assert.equal(covers(['/etc'], [], 'etc/a'), true)
    assert.equal(covers(['/etc/'], [], 'etc'), true)
    assert.equal(covers(['/etc'], [], 'etcetera/a'), false)
    assert.equal(covers(['/'], [], 'usr/bin/x'), true)
    assert.equal(covers([], ['/etc'], 'etc/a'), false)
  })

  it('goes by the longest name, and by the mask where both are as long', () => {
    assert.equal(covers(['/etc'], ['/etc/env.d'], 'etc/env.d/50x'), false)
    assert.equal(covers(['/etc', '/etc/a/b'], ['/etc/a'], 'etc/a/b/x'), true)
    assert.equal(covers(['/etc', '/etc/a/b'], ['/etc/a'], 'etc/a/c'), false)
    assert.equal(covers(['/etc/a'], ['/etc//a/.'], 'etc/a/x'), false)
  })

  it('protects what the package itself calls configuration', () => {
    const protection = makeProtection({ configFiles: ['/usr/share/x.conf'], protectMask: ['/usr'] })
    assert.equal(protection.covers('usr/share/x.conf', 'usr/share/x.conf'), true)
    assert.equal(protection.covers('usr/share/y.conf', 'usr/share/y.conf'), false)
  })

  it('takes names of any bytes, and none that leads upwards', () => {
    const bytes = Buffer.from('/etc/\xff', 'latin1')
    assert.equal(makeProtection({ protect: [bytes] }).covers('etc/\xff/x', 'etc/\xff/x'), true)
    assert.throws(() => makeProtection({ protect: ['/etc/../usr'] }), InvalidArgumentError)
    assert.throws(() => makeProtection({ style: 'debian' as 'dpkg' }), InvalidArgumentError)
  })
})

describe('the styles', () => {
  it('say what becomes of every case', () => {
    for (const name of styleNames)
      for (const each of configCases) assert.match(styles[name].outcomes[each], /^(keep|setAside|save|place)$/)
  })

  it('never overwrite what somebody edited, made or removed without a word', () => {
    for (const name of styleNames) {
      const { outcomes, removal } = styles[name]
      for (const each of ['editedSameVersion', 'editedNewVersion', 'unowned', 'blocksDirectory'] as const)
        assert.notEqual(outcomes[each], 'place', `${name}: ${each}`)
      assert.notEqual(removal.edited, 'remove', name)
    }
  })
})

describe('update names', () => {
  it('are found again by the name that they are for, whatever its length', () => {
    for (const name of styleNames) {
      for (const base of [
        'a',
        'n'.repeat(240),
        `${'n'.repeat(198)}ü${'n'.repeat(50)}`,
        'ü'.repeat(127),
        '\n'.repeat(255),
      ])
        for (const number of [0, 1, 9999, 10_000, 123_456_789]) {
          const bytes = toName(base)
          const update = updateNameOf(bytes, styles[name].update, number)
          assert.ok(update.length <= 255, `${update.length} bytes`)
          const parsed = parseUpdateName(update)
          assert.ok(parsed && stemsOf(bytes).includes(parsed.stem), `${name} ${base}`)
          if ('numbered' in styles[name].update) assert.equal(parsed.number, number)
        }
    }
  })

  it('of two long names that begin alike are two', () => {
    const [one, other] = ['1', '2'].map((end) => updateNameOf('n'.repeat(254) + end, styles.portage.update, 0))
    assert.notEqual(one, other)
  })
})

describe('protection', () => {
  it(
    "leaves the administrator's mode and owner, and sees them as edits",
    withBench(async (bench) => {
      await bench.merge({ [file]: 'v1' })
      const path = join(bench.root, file)
      fs.chmodSync(path, 0o600)
      await bench.merge({ [file]: 'v1' })
      assert.equal(fs.statSync(path).mode & 0o7777, 0o600)
      assert.deepEqual(await verify({ root: bench.root }), [
        { package: 'p', name: file, differences: ['mode'], isConfig: true },
      ])
      await bench.merge({ [file]: 'v2' })
      assert.deepEqual(bench.etc(), { 'c.conf': 'v1', '._cfg0000_c.conf': 'v2' })
      assert.equal(fs.statSync(path).mode & 0o7777, 0o600)
    }),
  )

  it(
    'takes a new time of the same contents for no edit, and verify is content',
    withBench(async (bench) => {
      await bench.merge({ [file]: 'v1' })
      fs.utimesSync(join(bench.root, file), 5, 5)
      await bench.merge({ [file]: 'v1' })
      assert.deepEqual(await verify({ root: bench.root }), [])
      fs.utimesSync(join(bench.root, file), 7, 7)
      await bench.merge({ [file]: 'v2' })
      assert.deepEqual(bench.etc(), { 'c.conf': 'v2' })
    }),
  )

  it(
    'sees an edit of the same length and time',
    withBench(async (bench) => {
      await bench.merge({ [file]: 'v1' })
      const path = join(bench.root, file)
      const { mtime } = fs.statSync(path)
      fs.writeFileSync(path, 'L1')
      fs.utimesSync(path, mtime, mtime)
      await bench.merge({ [file]: 'v2' })
      assert.deepEqual(bench.etc(), { 'c.conf': 'L1', '._cfg0000_c.conf': 'v2' })
    }),
  )

  it(
    'offers a whole directory that was removed',
    withBench(async (bench) => {
      await bench.merge({ 'etc/d/one': '1', 'etc/d/two': '2', 'usr/x': 'x' })
      fs.rmSync(join(bench.root, 'etc/d'), { recursive: true })
      await bench.merge({ 'etc/d/one': '1', 'etc/d/two': '2', 'usr/x': 'x' })
      assert.deepEqual(bench.names('etc/d'), ['._cfg0000_one', '._cfg0000_two'])
      await unmerge({ root: bench.root, packages: ['p'] })
      assert.deepEqual(bench.names(''), ['var'])
    }),
  )

  it(
    'does not protect what the mask takes back, nor what lies elsewhere',
    withBench(async (bench) => {
      const files = (version: string) => ({ 'etc/env.d/x': version, 'usr/lib/x': version, 'etc/y': version })
      const more = { protectMask: ['/etc/env.d'] }
      await bench.merge(files('v1'), more)
      for (const path of Object.keys(files(''))) bench.write(path, 'L')
      await bench.merge(files('v2'), more)
      assert.deepEqual([bench.read('etc/env.d/x'), bench.read('usr/lib/x'), bench.read('etc/y')], ['v2', 'v2', 'L'])
    }),
  )

  it(
    'protects a name by where a symlinked directory leads, too',
    withBench(async (bench) => {
      fs.mkdirSync(join(bench.root, 'etc'))
      fs.symlinkSync('etc', join(bench.root, 'config'))
      await bench.merge({ 'config/x': 'v1' })
      bench.write('etc/x', 'L')
      await bench.merge({ 'config/x': 'v2' })
      assert.deepEqual(bench.etc(), { x: 'L', '._cfg0000_x': 'v2' })
    }),
  )

  it(
    'splits hard links of which one was edited, and keeps the others together',
    withBench(async (bench) => {
      const image = join(bench.root, '../links')
      const write = (version: string) => {
        fs.rmSync(image, { recursive: true, force: true })
        fs.mkdirSync(join(image, 'etc'), { recursive: true })
        fs.writeFileSync(join(image, 'etc/a'), version)
        for (const name of ['b', 'c', 'd']) fs.linkSync(join(image, 'etc/a'), join(image, 'etc', name))
      }
      const options = { root: bench.root, image, package: 'p', protect: ['/etc'] }
      write('v1')
      await merge(options)
      bench.write('etc/a', 'L')
      write('v2')
      await merge(options)
      assert.deepEqual(bench.etc(), { '._cfg0000_a': 'v2', a: 'L', b: 'v2', c: 'v2', d: 'v2' })
      const inode = (name: string) => fs.statSync(join(bench.root, 'etc', name)).ino
      assert.equal(inode('b'), inode('c'))
      assert.equal(inode('b'), inode('d'))
      assert.notEqual(inode('b'), inode('._cfg0000_a'))
      assert.deepEqual(
        (await verify({ root: bench.root })).map(({ name }) => name),
        ['etc/a'],
      )
    }),
  )

  it(
    "protects what a package's own archive calls configuration",
    withBench(async (bench) => {
      const deb = (version: string) => {
        const tree = join(bench.root, `../deb-${version}`)
        fs.mkdirSync(join(tree, 'DEBIAN'), { recursive: true, mode: 0o755 })
        fs.mkdirSync(join(tree, 'etc'))
        const control = `Package: p\nVersion: ${version}\nArchitecture: all\nMaintainer: m <m@example.org>\nDescription: d\n`
        fs.writeFileSync(join(tree, 'DEBIAN/control'), control)
        fs.writeFileSync(join(tree, 'DEBIAN/conffiles'), '/etc/declared\n')
        for (const name of ['declared', 'other']) fs.writeFileSync(join(tree, 'etc', name), `v${version}`)
        execFileSync('dpkg-deb', ['--build', '--root-owner-group', tree, `${tree}.deb`], { stdio: 'ignore' })
        return { root: bench.root, image: `${tree}.deb`, package: 'p', style: 'dpkg' as const }
      }
      await merge(deb('1'))
      for (const name of ['declared', 'other']) bench.write(`etc/${name}`, 'L')
      await merge(deb('2'))
      assert.deepEqual(bench.etc(), { declared: 'L', 'declared.dpkg-dist': 'v2', other: 'v2' })
    }),
  )

  it(
    'keeps the contents to merge from where only their owner can read them',
    withBench(async (bench) => {
      await bench.merge({ [file]: 'v1' })
      const bases = join(bench.root, 'var/lib/rootmerge/packages/p/bases')
      assert.equal(fs.statSync(bases).mode & 0o7777, 0o600)
      await unmerge({ root: bench.root, packages: ['p'] })
      assert.equal(fs.existsSync(bases), false)
      await bench.merge({ 'usr/x': 'x' })
      assert.equal(fs.existsSync(bases), false, 'a package without configuration has none')
    }),
  )
})

describe('protection that a call forgets', () => {
  const forgotten = { protect: [] }

  it(
    'stands in the record: an edited file stays, and in its style',
    withBench(async (bench) => {
      await bench.merge({ [file]: 'v1' }, { style: 'rpm' })
      bench.write(file, 'mine')
      await bench.merge({ [file]: 'v2' }, forgotten)
      assert.deepEqual(bench.etc(), { 'c.conf': 'mine', 'c.conf.rpmnew': 'v2' })
      await bench.merge({ [file]: 'v3' }, forgotten) // and is still recorded
      assert.deepEqual(bench.etc(), { 'c.conf': 'mine', 'c.conf.rpmnew': 'v3' })
      await bench.merge({ [file]: 'v4' }, { ...forgotten, style: 'portage' })
      assert.equal(bench.read('etc/._cfg0000_c.conf'), 'v4')
      await bench.merge({ 'usr/share/x': 'x' }, forgotten)
      assert.equal(bench.read(file), 'mine')
      await unmerge({ root: bench.root, packages: ['p'] })
      assert.equal(bench.read(file), 'mine')
    }),
  )

  it(
    'leaves what was deleted, or became something else, as the administrator left it',
    withBench(async (bench) => {
      await bench.merge({ [file]: 'v1', 'etc/d': 'v1', 'etc/e': 'v1' })
      bench.write(file, undefined)
      bench.write('etc/d', { link: 'elsewhere' })
      fs.chmodSync(join(bench.root, 'etc/e'), 0o600)
      await bench.merge({ [file]: 'v2', 'etc/d': 'v2', 'etc/e': 'v1' }, forgotten)
      const updates = { '._cfg0000_c.conf': 'v2', '._cfg0000_d': 'v2' }
      assert.deepEqual(bench.etc(), { ...updates, d: { link: 'elsewhere' }, e: 'v1' })
      assert.equal(fs.statSync(join(bench.root, 'etc/e')).mode & 0o7777, 0o600)
    }),
  )

  it(
    'stands in the record of the package that is replaced, or that a name is taken from',
    withBench(async (bench) => {
      await bench.merge({ [file]: 'v1' })
      bench.write(file, 'mine')
      await bench.merge({ [file]: 'v2' }, { ...forgotten, replaces: ['p'] }, 'q')
      assert.deepEqual(bench.etc(), { 'c.conf': 'mine', '._cfg0000_c.conf': 'v2' })
      await bench.merge({ [file]: 'v3' }, { ...forgotten, collisionIgnore: [file] }, 'r')
      assert.deepEqual(bench.etc(), { 'c.conf': 'mine', '._cfg0000_c.conf': 'v2', '._cfg0001_c.conf': 'v3' })
    }),
  )

  it(
    'ends with protectMask, for good',
    withBench(async (bench) => {
      await bench.merge({ [file]: 'v1' })
      await bench.merge({ [file]: 'v2' }, { ...forgotten, protectMask: [file] })
      bench.write(file, 'mine')
      await bench.merge({ [file]: 'v3' }, forgotten)
      assert.deepEqual(bench.etc(), { 'c.conf': 'v3' })
    }),
  )
})
