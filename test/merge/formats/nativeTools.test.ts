import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { CorruptImageError, exportRecord, merge, owner, readRecord, unmerge, verify } from '../../../src/merge/index.ts'
import { expectExit, run } from '../../support/command.ts'
import { compareTrees } from '../../support/compareTrees.ts'
import { dpkgTools, type NativeTools, needCommands, pacmanTools, rpmTools } from '../../support/nativePackages.ts'
import { withDirectory } from '../../support/scratch.ts'

/** Whole seconds: rpm knows no others, and pacman's own tools write none. */
const tree = `
d 0755        /usr/share/empty            mtime=1500000000
d 2775 0:5    /usr/share/setgid           mtime=1500000001
d 0700        /usr/private                mtime=1500000002
f 0755        /usr/bin/tool               "tool" random:100K mtime=1500000003
f 4755        /usr/bin/privileged         "root's" mtime=1500000004
f 2755 0:5    /usr/bin/for-tty            "tty" mtime=1500000005
f 0755        /usr/bin/capable            "raw" mtime=1500000006 cap=cap_net_raw,cap_net_admin+ep
f 0644        /usr/share/setgid/inside    "x" mtime=1500000007
f 0600 7:8    /etc/tool.conf              "x=1" mtime=1500000008
f 0644        /usr/share/with\\040blank   "" mtime=1500000009
f 0644        /usr/lib/hard-1             "links" zeros:5K mtime=1500000010
h             /usr/lib/hard-2             == /usr/lib/hard-1
h             /usr/share/hard-3           == /usr/lib/hard-1
l             /usr/bin/link               -> ../lib/somewhere mtime=1500000011
l             /usr/bin/absolute           -> /etc/tool.conf mtime=1500000012
f 0644        /usr/share/${'long-'.repeat(30)}/${'name-'.repeat(30)} "long" mtime=1500000013
`

/** Two roots that know the same users. */
async function withRoots(body: (theirs: string, ours: string, directory: string) => Promise<void>): Promise<void> {
  await withDirectory(async (directory) => {
    const [theirs, ours] = [join(directory, 'theirs'), join(directory, 'ours')]
    for (const root of [theirs, ours]) {
      fs.mkdirSync(join(root, 'etc'), { recursive: true })
      fs.writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0::/:/bin/sh\nlp:x:7:7::/:/bin/sh\n')
      fs.writeFileSync(join(root, 'etc/group'), 'root:x:0:\ntty:x:5:\nmail:x:8:\n')
      for (const name of ['passwd', 'group', '.']) fs.utimesSync(join(root, 'etc', name), 1, 1)
    }
    await body(theirs, ours, directory)
  })
}

/**
 * Differences of two roots, but for what the tools keep of themselves, and for the times of directories that the own tool
 * put something into after it had set them: rpm renames files into them at its end, and so leaves the time of that.
 */
function differences(ours: string, theirs: string): string[] {
  const found = compareTrees(ours, theirs, { ignoreNames: /^(var|run)(\/|$)/, ignoreTop: true })
  return found.filter((line) => {
    const [, name = '', expected = ''] = /^(".*"): mtime \d+, expected (\d+)$/.exec(line) ?? []
    if (name === '' || !fs.lstatSync(join(theirs, JSON.parse(name))).isDirectory()) return true
    return BigInt(expected) < started
  })
}

const started = BigInt(Date.now()) * 1_000_000n

describe('a merged root equals what the own tool installs', function () {
  this.timeout(120_000)
  before(function () {
    if (process.getuid?.() !== 0) this.skip()
  })

  it('dpkg, of a package of dpkg-deb', function () {
    needCommands(this, dpkgTools.commands)
    return withRoots(async (theirs, ours, directory) => {
      // dpkg's packages have no attributes, and their tools no eye for a root's own groups.
      const file = dpkgTools.pack(directory, {
        name: 'tool',
        tree: tree.replace(/ cap=\S+/, ''),
        config: ['/etc/tool.conf'],
      })
      dpkgTools.install(theirs, file)
      await merge({ root: ours, image: file, package: 'tool', durability: 'none' })
      assert.deepEqual(differences(ours, theirs), [])
      assert.deepEqual(await verify({ root: ours }), [])
    })
  })

  it('dpkg-deb, whose md5 sums are held to', function () {
    needCommands(this, dpkgTools.commands)
    return withRoots(async (_, ours, directory) => {
      const file = dpkgTools.pack(directory, { name: 'tool', tree: 'f /usr/tool "x"', forgeSums: true })
      const refused = (error: unknown) =>
        error instanceof CorruptImageError && /md5 is .*, not 0{32}/.test(error.message)
      await assert.rejects(merge({ root: ours, image: file, package: 'tool', durability: 'none' }), refused)
      assert.ok(!fs.existsSync(join(ours, 'usr')))
    })
  })

  it('pacman, of a package as makepkg makes it', function () {
    needCommands(this, pacmanTools.commands)
    return withRoots(async (theirs, ours, directory) => {
      const file = pacmanTools.pack(directory, { name: 'tool', tree, config: ['/etc/tool.conf'] })
      pacmanTools.install(theirs, file)
      await merge({ root: ours, image: file, package: 'tool', durability: 'none' })
      assert.deepEqual(differences(ours, theirs), [])
      assert.deepEqual(await verify({ root: ours }), [])
    })
  })

  for (const payload of ['w9.gzdio', 'w6.xzdio', 'w3.zstdio', 'w9.bzdio', 'w0.ufdio']) {
    it(`rpm, of a package of rpmbuild with ${payload}`, function () {
      needCommands(this, rpmTools.commands)
      return withRoots(async (theirs, ours, directory) => {
        const file = rpmTools.pack(directory, {
          name: 'tool',
          tree,
          payload,
          config: ['/etc/tool.conf'],
          attributes: {
            '/etc/tool.conf': '%config(noreplace)',
            '/usr/bin/capable': '%caps(cap_net_raw,cap_net_admin=ep)',
          },
        })
        rpmTools.install(theirs, file)
        await merge({ root: ours, image: file, package: 'tool', durability: 'none' })
        assert.deepEqual(differences(ours, theirs), [])
        assert.deepEqual(await verify({ root: ours }), [])
      })
    })
  }

  const withConfig: readonly [what: string, tools: Pick<NativeTools, 'commands' | 'pack'>][] = [
    ['dpkg', dpkgTools],
    ['pacman', pacmanTools],
    ['rpm', rpmTools],
  ]
  for (const [what, tools] of withConfig) {
    it(`${what}: what the package calls configuration is recorded as that`, function () {
      needCommands(this, tools.commands)
      return withRoots(async (_, root, directory) => {
        const pack = (version: string) =>
          tools.pack(directory, {
            name: 'tool',
            version: what === 'pacman' ? `${version}-1` : version,
            tree: `f /etc/tool.conf "version ${version}" mtime=1500000000\nf /etc/other "of ${version}" mtime=1500000000`,
            config: ['/etc/tool.conf'],
          })
        await merge({ root, image: pack('1'), package: 'tool', durability: 'none' })
        const record = Buffer.from(await readRecord({ root, package: 'tool' })).toString()
        assert.match(record, /# rootmerge config\n(# .*\n)*\.\/etc\/tool\.conf /)
        assert.equal(record.match(/# rootmerge config/g)?.length, 1)
        const sums = Buffer.from(await exportRecord({ root, package: 'tool', format: 'dpkg-md5sums' })).toString()
        assert.match(sums, /^[0-9a-f]{32} {2}etc\/other\n$/)
      })
    })
  }

  it('rpm, where the root does not know the owner: root owns it, and no set-id bit is given', function () {
    needCommands(this, rpmTools.commands)
    return withRoots(async (theirs, ours, directory) => {
      for (const root of [theirs, ours]) {
        fs.writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0::/:/bin/sh\n')
        fs.writeFileSync(join(root, 'etc/group'), 'root:x:0:\n')
        for (const name of ['passwd', 'group', '.']) fs.utimesSync(join(root, 'etc', name), 1, 1)
      }
      const file = rpmTools.pack(directory, {
        name: 'tool',
        tree: 'f 6755 7:8 /usr/bin/both "x" mtime=1500000000\nf 6755 0:8 /usr/bin/group "y" mtime=1500000001',
      })
      rpmTools.install(theirs, file)
      await merge({ root: ours, image: file, package: 'tool', durability: 'none' })
      assert.deepEqual(differences(ours, theirs), [])
      assert.equal(fs.statSync(join(ours, 'usr/bin/both')).mode & 0o7777, 0o755)
      assert.equal(fs.statSync(join(ours, 'usr/bin/group')).mode & 0o7777, 0o4755)
    })
  })

  /** A package that brings a file and owns another; it brought that once. */
  const ghostly = (directory: string, version: string, isGhost: boolean) =>
    rpmTools.pack(directory, {
      name: 'tool',
      version,
      tree: 'f /usr/bin/real "x" mtime=1500000000\nf /usr/share/ghost "boo" mtime=1500000000',
      attributes: isGhost ? { '/usr/share/ghost': '%ghost' } : {},
    })

  it('rpm, of a package with ghosts, which it owns and does not bring', function () {
    needCommands(this, rpmTools.commands)
    return withRoots(async (theirs, ours, directory) => {
      const file = ghostly(directory, '1', true)
      rpmTools.install(theirs, file)
      await merge({ root: ours, image: file, package: 'tool', durability: 'none' })
      assert.deepEqual(differences(ours, theirs), [])
      assert.ok(!fs.existsSync(join(ours, 'usr/share/ghost')))
      assert.deepEqual(await verify({ root: ours }), [], 'nobody expects it')
      assert.deepEqual(await owner({ root: ours, names: ['usr/share/ghost'] }), [
        { name: 'usr/share/ghost', packages: ['tool'] },
      ])
      for (const root of [ours, theirs])
        fs.writeFileSync(join(root, 'usr/share/ghost'), 'made while in use', { mode: 0o600 })
      assert.deepEqual(
        (await verify({ root: ours })).map(({ name, differences: found }) => [name, ...found].join(' ')),
        ['usr/share/ghost mode'],
      )
      assert.match(rpmTools.verify(theirs), /^\.M\.\.\.\.\.\.\. +g \/usr\/share\/ghost$/m)
      for (const root of [ours, theirs]) fs.chmodSync(join(root, 'usr/share/ghost'), 0o644)
      assert.deepEqual(await verify({ root: ours }), [], 'its contents are nobody’s business')
      rpmTools.remove(theirs, 'tool')
      await unmerge({ root: ours, packages: ['tool'], durability: 'none' })
      for (const root of [ours, theirs]) assert.ok(!fs.existsSync(join(root, 'usr/share/ghost')))
    })
  })

  it('rpm, whose verifier marks the same names as configuration files, in the same columns', function () {
    needCommands(this, rpmTools.commands)
    return withRoots(async (theirs, ours, directory) => {
      const names = ['conf', 'gone.conf', 'plain', 'same.conf']
      const file = rpmTools.pack(directory, {
        name: 'tool',
        tree: names.map((name) => `f /usr/etc/${name} "x" mtime=1500000000`).join('\n'),
        attributes: Object.fromEntries(names.map((name) => [`/usr/etc/${name}`, name === 'plain' ? '' : '%config'])),
      })
      rpmTools.install(theirs, file)
      await merge({ root: ours, image: file, package: 'tool', durability: 'none' })
      for (const root of [ours, theirs]) {
        for (const name of ['conf', 'plain']) fs.writeFileSync(join(root, 'usr/etc', name), `edited ${name}`)
        fs.rmSync(join(root, 'usr/etc/gone.conf'))
      }
      const { stdout } = expectExit(run('verify', '--root', ours), 1)
      const lines = stdout.split('\n').map((line) => line.replace(/(.) (\S+) \(tool\)$/, '$1 /$2'))
      assert.equal(lines.join('\n'), rpmTools.verify(theirs))
      assert.match(stdout, /^missing {3}c usr\/etc\/gone\.conf \(tool\)$/m)
      const events = expectExit(run('verify', '--root', ours, '--json'), 1)
        .stdout.trim()
        .split('\n')
      assert.deepEqual(
        events.map((line) => JSON.parse(line)).flatMap(({ name, isConfig }) => (name ? [[name, isConfig]] : [])),
        [
          ['usr/etc/conf', true],
          ['usr/etc/gone.conf', true],
          ['usr/etc/plain', undefined],
        ],
      )
    })
  })

  it('rpm: a ghost is a collision for others, and others for it', function () {
    needCommands(this, rpmTools.commands)
    return withRoots(async (_, root, directory) => {
      const file = ghostly(directory, '1', true)
      const image = join(directory, 'image')
      fs.mkdirSync(join(image, 'usr/share'), { recursive: true })
      fs.writeFileSync(join(image, 'usr/share/ghost'), 'of another')
      const together = {
        root,
        images: [
          { image: file, package: 'tool' },
          { image, package: 'other' },
        ],
      }
      await assert.rejects(merge(together), /usr\/share\/ghost is one name with .* of other/)
      await merge({ root, image: file, package: 'tool', durability: 'none' })
      await assert.rejects(merge({ root, image, package: 'other' }), /usr\/share\/ghost: nothing of tool/)
      await unmerge({ root, packages: ['tool'], durability: 'none' })
      await merge({ root, image, package: 'other', durability: 'none' })
      const refused = /usr\/share\/ghost: file of other/
      await assert.rejects(merge({ root, image: file, package: 'tool' }), refused)
      await merge({ root, image: file, package: 'tool', collisionIgnore: ['usr/share/ghost'], durability: 'none' })
      const [owned] = await owner({ root, names: ['usr/share/ghost'] })
      assert.deepEqual(owned?.packages, ['tool'])
      assert.equal(fs.readFileSync(join(root, 'usr/share/ghost'), 'utf8'), 'of another')
    })
  })

  it('rpm: what was brought and becomes a ghost stays', function () {
    needCommands(this, rpmTools.commands)
    return withRoots(async (theirs, ours, directory) => {
      for (const file of [ghostly(directory, '1', false), ghostly(directory, '2', true)]) {
        rpmTools.install(theirs, file)
        await merge({ root: ours, image: file, package: 'tool', durability: 'none' })
      }
      assert.deepEqual(differences(ours, theirs), [])
      assert.equal(fs.readFileSync(join(ours, 'usr/share/ghost'), 'utf8'), 'boo')
      assert.deepEqual(await verify({ root: ours }), [])
    })
  })
})
