import assert from 'node:assert/strict'
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { noAccounts } from '../../../src/merge/accounts.ts'
import { ByteSource } from '../../../src/merge/archive/byteSource.ts'
import { openArchive } from '../../../src/merge/archive/formats.ts'
import { defaultLimits } from '../../../src/merge/archive/limits.ts'
import { CorruptImageError, InvalidArgumentError, list, merge, readArchive, verify } from '../../../src/merge/index.ts'
import { CancelFlag, linuxKernel } from '../../../src/sys/index.ts'
import { compareTrees } from '../../support/compareTrees.ts'
import { arMember, rawAr } from '../../support/rawAr.ts'
import { rawMember, rawTar } from '../../support/rawTar.ts'
import { withDirectory } from '../../support/scratch.ts'
import { differencesBetween, snapshot } from '../../support/snapshot.ts'
import { writeTree } from '../../support/tree.ts'

const own = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
const isRoot = process.getuid?.() === 0
const cli = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url))

const packageTree = `
d 0755 /usr/share/doc/hello
f 0644 /usr/share/doc/hello/copyright "free\\n"
f 4755 /usr/bin/hello random:70K
f 2755 /usr/bin/wall "group"
h /usr/bin/hi == /usr/bin/hello
l /usr/lib/hello -> ../share/doc/hello
f 0600 /etc/hello.conf "greeting=hello\\n"
f 0644 /etc/voil\\303\\240 "there"
f 0644 /usr/share/hello/odd\\040name\\377 "bytes"
f 0644 /usr/share/hello/${'n'.repeat(120)} "a long name"
`
const control = `Package: hello
Version: 1:2.10-3
Architecture: all
Maintainer: Nobody <nobody@example.org>
Description: a greeting
`

/** Makes a Debian package as dpkg-deb does. */
function makeDeb(directory: string, compression: string): string {
  const source = join(directory, 'source')
  if (!fs.existsSync(source)) {
    fs.mkdirSync(source)
    writeTree(source, packageTree)
    fs.mkdirSync(join(source, 'DEBIAN'))
    fs.writeFileSync(join(source, 'DEBIAN/control'), control)
    fs.writeFileSync(
      join(source, 'DEBIAN/conffiles'),
      '/etc/hello.conf\n/etc/voil\u00e0\nremove-on-upgrade /etc/old.conf\n',
    )
    const sum = createHash('md5').update('free\n').digest('hex')
    fs.writeFileSync(join(source, 'DEBIAN/md5sums'), `${sum}  usr/share/doc/hello/copyright\n`)
  }
  const deb = join(directory, `hello-${compression}.deb`)
  execFileSync('dpkg-deb', ['--root-owner-group', `-Z${compression}`, '-b', source, deb])
  return deb
}

function factsOf(bytes: Buffer) {
  const reading = {
    kernel: linuxKernel(),
    cancel: new CancelFlag(),
    limits: defaultLimits,
    concatenated: false,
    accounts: noAccounts,
  }
  const archive = openArchive(new ByteSource('image', [bytes]), reading)
  const paths: string[] = []
  for (const { path } of archive.members()) paths.push(path)
  return { facts: archive.facts, format: archive.format.name, paths }
}

function emptyRoot(directory: string, name = 'root'): string {
  const root = join(directory, name)
  fs.mkdirSync(root)
  return root
}

const withoutState = { ignoreTop: true, ignoreNames: /^var(\/|$)/ }

describe('merge() of a Debian package', function () {
  this.timeout(120_000)

  for (const compression of ['none', 'gzip', 'xz', 'zstd']) {
    it(`makes what dpkg -x makes of it, compressed by ${compression}`, async () => {
      if (!isRoot) return
      await withDirectory(async (directory) => {
        const deb = makeDeb(directory, compression)
        const [root, other] = [emptyRoot(directory), emptyRoot(directory, 'other')]
        const report = await merge({ root, image: deb, package: 'hello' })
        assert.equal(report.packages[0]?.package, 'hello')
        execFileSync('dpkg', ['-x', deb, other])
        // dpkg-deb writes symlinks last, and dpkg -x lets them move the times of their directories.
        const { mtimeMs } = fs.statSync(join(directory, 'source/usr/lib'))
        fs.utimesSync(join(other, 'usr/lib'), 0, Math.floor(mtimeMs / 1000))
        assert.deepEqual(compareTrees(root, other, withoutState), [])
        assert.deepEqual(await verify({ root }), [])
      })
    })
  }

  it('knows what the package says of itself', () =>
    withDirectory(async (directory) => {
      const { facts, format } = factsOf(fs.readFileSync(makeDeb(directory, 'xz')))
      assert.equal(format, 'deb')
      assert.equal(facts.packageName, 'hello')
      assert.equal(facts.version, '1:2.10-3')
      assert.deepEqual(facts.configFiles, ['etc/hello.conf', 'etc/voil\xc3\xa0']) // a0, a blank in latin1
      assert.equal(facts.digests?.get('usr/share/doc/hello/copyright')?.algorithm, 'md5')
    }))

  it('refuses one that was cut short, wherever it was, and changes nothing', () =>
    withDirectory(async (directory) => {
      const bytes = fs.readFileSync(makeDeb(directory, 'xz'))
      const root = emptyRoot(directory)
      const image = join(directory, 'cut.deb')
      const lengths = [0, 7, 20, 60, 100, 400, bytes.length >> 1, bytes.length - 100, bytes.length - 2]
      for (const length of lengths) {
        fs.writeFileSync(image, bytes.subarray(0, length))
        await assert.rejects(merge({ root, image, package: 'p' }), CorruptImageError, `${length} of ${bytes.length}`)
        assert.deepEqual(fs.readdirSync(root), ['var'])
      }
    }))

  it('refuses one with two members of a kind: dpkg would install the first', () =>
    withDirectory(async (directory) => {
      const bytes = fs.readFileSync(makeDeb(directory, 'gzip'))
      const root = emptyRoot(directory)
      const image = join(directory, 'twice.deb')
      const again = bytes.subarray(bytes.lastIndexOf('data.tar.gz'))
      fs.writeFileSync(image, Buffer.concat([bytes, again]))
      await assert.rejects(merge({ root, image, package: 'p' }), /comes twice.*data\.tar/)
      assert.deepEqual(fs.readdirSync(root), ['var'])
    }))
})

describe("a Debian package's members", () => {
  const tar = rawTar(rawMember({ name: './etc/a', payload: 'alpha', ...own }))
  const version = arMember('debian-binary', Buffer.from('2.0\n'))
  const controlTar = rawTar(rawMember({ name: './control', payload: control, ...own }))
  const about = arMember('control.tar', controlTar)
  const files = arMember('data.tar', tar)
  const foreign = arMember('foreign', Buffer.from('what?\n'))
  const reserved = arMember('_reserved', Buffer.from('what?\n'))
  const lzma = () => execFileSync('xz', ['--format=lzma', '-c'], { input: tar })
  const cases: Readonly<Record<string, readonly [isRead: boolean, members: () => readonly Buffer[]]>> = {
    'the three, as they are': [true, () => [version, about, files]],
    'compressed by lzma, as old packages are': [true, () => [version, about, arMember('data.tar.lzma', lzma())]],
    'one between them whose name begins with _': [true, () => [version, reserved, about, reserved, files]],
    'one behind them': [true, () => [version, about, files, foreign]],
    'an unknown one before control.tar': [false, () => [version, foreign, about, files]],
    'an unknown one before data.tar': [false, () => [version, about, foreign, files]],
    'a compression of the files that nobody knows': [
      false,
      () => [version, about, arMember('data.tar.new', tar), files],
    ],
    'a compression that control data never have': [
      false,
      () => [version, arMember('control.tar.bz2', controlTar), files],
    ],
    'the files first': [false, () => [version, files, about]],
  }
  for (const [what, [isRead, members]] of Object.entries(cases)) {
    it(`${what}: ${isRead ? 'is read' : 'is refused'}, as by dpkg-deb`, () =>
      withDirectory((directory) => {
        const bytes = rawAr(...members())
        const deb = join(directory, 'x.deb')
        fs.writeFileSync(deb, bytes)
        const { status } = spawnSync('dpkg-deb', ['-x', deb, join(directory, 'out')])
        assert.equal(status === 0, isRead, `dpkg-deb ended with ${status}`)
        if (isRead) assert.deepEqual(factsOf(bytes).paths, ['./etc/a'])
        else assert.throws(() => factsOf(bytes), CorruptImageError)
      }))
  }
})

describe("merge() of npm's packages", () => {
  const member = (name: string, payload: string) => rawMember({ name, payload, ...own })
  const tgz = gzipSync(
    rawTar(
      member('package/package.json', '{"name":"@scope/x","version":"1.2.3"}'),
      member('package/lib/index.js', 'code'),
    ),
  )

  it('takes package/ off their names, and knows name and version', async () => {
    const { facts, format } = factsOf(tgz)
    assert.deepEqual([format, facts], ['npm', { packageName: '@scope/x', version: '1.2.3' }])
    await withDirectory(async (directory) => {
      const root = emptyRoot(directory)
      const image = join(directory, 'x.tgz')
      fs.writeFileSync(image, tgz)
      await merge({ root, image, package: 'x' })
      assert.deepEqual(fs.readdirSync(root).sort(), ['lib', 'package.json', 'var'])
      assert.equal(fs.readFileSync(join(root, 'package.json'), 'utf8'), '{"name":"@scope/x","version":"1.2.3"}')
    })
  })

  it('does as it is told where the content says otherwise', () =>
    withDirectory(async (directory) => {
      const root = emptyRoot(directory)
      const image = join(directory, 'x.tgz')
      fs.writeFileSync(image, tgz)
      await merge({ root, image, package: 'x', format: 'tar' })
      assert.deepEqual(fs.readdirSync(root).sort(), ['package', 'var'])
      await assert.rejects(merge({ root, image, package: 'y', format: 'deb' }), CorruptImageError)
      await assert.rejects(merge({ root, image, package: 'y', format: 'floppy' }), InvalidArgumentError)
      assert.deepEqual(await list({ root }), ['x'])
    }))
})

describe('merge() with digests', () => {
  const bytes = rawTar(
    rawMember({ name: 'etc/a', payload: 'alpha', ...own }),
    rawMember({ name: 'b c', payload: 'beta', ...own }),
  )
  const sri = (algorithm: string) => `${algorithm}-${createHash(algorithm).update(bytes).digest('base64')}`
  const wrong = `sha512-${createHash('sha512').update('other').digest('base64')}`

  async function attempt(options: object): Promise<string[]> {
    return withDirectory(async (directory) => {
      const root = emptyRoot(directory)
      const image = join(directory, 'image')
      fs.writeFileSync(image, bytes)
      try {
        await merge({ root, image, package: 'p', ...options })
      } finally {
        const names = fs.readdirSync(root).filter((name) => name !== 'var')
        const committed = await list({ root })
        assert.equal(names.length > 0, committed.length > 0)
      }
      return list({ root })
    })
  }

  it('commits what has the digest that was given, the strongest of several', async () => {
    for (const integrity of [
      sri('sha256'),
      sri('sha384'),
      sri('sha512'),
      `${wrong.replace('512', '256').slice(0, 51)} ${sri('sha512')}`,
    ]) {
      assert.deepEqual(await attempt({ integrity }), ['p'], integrity)
    }
  })

  it('commits nothing that has another, and takes nothing for a digest that is none', async () => {
    await assert.rejects(attempt({ integrity: wrong }), CorruptImageError)
    await assert.rejects(attempt({ integrity: `${sri('sha256')} ${wrong}` }), CorruptImageError)
    for (const integrity of ['', 'sha512', 'md5-abc', 'sha512-!']) {
      await assert.rejects(attempt({ integrity }), InvalidArgumentError)
    }
  })

  const sum = (text: string, algorithm = 'sha256') => createHash(algorithm).update(text).digest('hex')
  const lists: readonly (readonly [string, string, boolean])[] = [
    ['of all files', `${sum('alpha')}  etc/a\n${sum('beta')} *./b c\n`, true],
    [
      'with --tag, of several algorithms',
      `SHA512 (etc/a) = ${sum('alpha', 'sha512')}\nMD5 (b c) = ${sum('beta', 'md5')}\n`,
      true,
    ],
    ['with another digest', `${sum('alpha')}  etc/a\n${sum('Beta')}  b c\n`, false],
    ['without one of the files', `${sum('alpha')}  etc/a\n`, false],
    ['with a file that did not come', `${sum('alpha')}  etc/a\n${sum('beta')}  b c\n${sum('x')}  gone\n`, false],
  ]
  for (const [what, text, holds] of lists) {
    it(`${holds ? 'commits' : 'refuses'} by a list ${what}`, () =>
      withDirectory(async (directory) => {
        const manifest = join(directory, 'sums')
        fs.writeFileSync(manifest, text)
        if (holds) assert.deepEqual(await attempt({ manifest }), ['p'])
        else await assert.rejects(attempt({ manifest }), CorruptImageError)
      }))
  }
})

describe('rootmerge with an archive', function () {
  this.timeout(120_000)

  function run(words: readonly string[], input: Buffer): Promise<{ code: number | null; output: string }> {
    return new Promise((resolve) => {
      const child = spawn(process.execPath, [cli, ...words], { stdio: ['pipe', 'pipe', 'pipe'] })
      let output = ''
      child.stdout.on('data', (chunk) => {
        output += chunk
      })
      child.stderr.on('data', (chunk) => {
        output += chunk
      })
      child.on('close', (code) => resolve({ code, output }))
      child.stdin.on('error', () => {}) // it may end before it has read all
      child.stdin.write(input.subarray(0, 700))
      setTimeout(() => child.stdin.end(input.subarray(700)), 50) // a pipe gives what it has
    })
  }

  const bytes = gzipSync(
    rawTar(
      rawMember({ name: 'd/a', payload: 'alpha'.repeat(10_000), ...own }),
      rawMember({ name: 'b', type: '1', target: 'd/a', ...own }),
    ),
  )

  it('merges one from a pipe', () =>
    withDirectory(async (directory) => {
      const root = emptyRoot(directory)
      const { code, output } = await run(['merge', '-', '--package', 'p', '--root', root], bytes)
      assert.equal(code, 0, output)
      assert.equal(fs.readFileSync(join(root, 'b'), 'utf8').length, 50_000)
    }))

  it('plans one from a pipe and writes nothing', () =>
    withDirectory(async (directory) => {
      const root = emptyRoot(directory)
      const before = snapshot(directory)
      const { code, output } = await run(['merge', '-', '--package', 'p', '--root', root, '--dry-run'], bytes)
      assert.equal(code, 0, output)
      assert.match(output, /would be merged/)
      assert.deepEqual(differencesBetween(snapshot(directory), before), [])
    }))

  it('lists one as the record that it would become', () =>
    withDirectory(async (directory) => {
      const root = emptyRoot(directory)
      const image = join(directory, 'image')
      fs.writeFileSync(image, bytes)
      const listed = await run(['list', 'p', '--archive', '-'], bytes)
      assert.equal(listed.code, 0, listed.output)
      assert.deepEqual(fs.readdirSync(root), [])
      assert.equal(Buffer.from(await readArchive({ image, package: 'p' })).toString(), listed.output)
      await merge({ root, image, package: 'p' })
      const files = (text: string) => text.split('\n').filter((line) => / type=file /.test(line))
      const record = await run(['list', 'p', '--format', 'mtree', '--root', root], Buffer.alloc(0))
      assert.deepEqual(files(listed.output), files(record.output))
      assert.equal(files(listed.output).length, 2)
    }))
})
