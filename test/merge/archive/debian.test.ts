import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { merge, verify } from '../../../src/merge/index.ts'
import { compareTrees } from '../../support/compareTrees.ts'
import { debianPackages, minimalDebian } from '../../support/debianPackages.ts'
import { withDirectory } from '../../support/scratch.ts'

const isLong = process.env.ROOTMERGE_TEST_FULL === '1'
const isRoot = process.getuid?.() === 0
const cli = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url))
const state = 'var/lib/rootmerge'
const withoutState = { ignoreTop: true, ignoreNames: new RegExp(`^${state}(/|$)`) }

/** Packages, and what each has that others have not. */
const packages: Readonly<Record<string, string>> = {
  'base-files': 'directories with odd modes',
  'ca-certificates': 'names with letters of other alphabets',
  git: 'a hundred hard links',
  hello: 'one program, many translations',
  'iputils-ping': 'a program that gets capabilities',
  'libc6-dev': 'symlinks to directories above',
  libicu72: 'large files',
  'openssh-client': 'a set-group-id program, conffiles',
  passwd: 'set-id programs',
  'perl-base': 'a hard link to the largest file',
  'perl-modules-5.36': 'many small files',
  sudo: 'set-id, directories that nobody may read',
  systemd: 'names with backslashes',
  tzdata: 'thousands of files that are links',
}

type Unpacker = (tar: Buffer, deb: string, target: string) => void

const unpackers: Readonly<Record<string, Unpacker>> = {
  'dpkg -x': (_, deb, target) => execFileSync('dpkg', ['-x', deb, target]),
  'GNU tar': (tar, _, target) =>
    execFileSync(
      'tar',
      [
        '-xp',
        '--xattrs',
        '--xattrs-include=*',
        '--acls',
        '--sparse',
        '--numeric-owner',
        '--delay-directory-restore',
        '-C',
        target,
      ],
      { input: tar },
    ),
  bsdtar: (tar, _, target) =>
    execFileSync('bsdtar', ['-xp', '--numeric-owner', '-f', '-', '-C', target], { input: tar }),
}

/** dpkg -x leaves the times of directories to chance: it writes symlinks into them after they were set. */
function withoutDirectoryTimes(top: string): void {
  const visit = (path: Buffer) => {
    for (const entry of fs.readdirSync(path, { withFileTypes: true, encoding: 'buffer' }))
      if (entry.isDirectory()) visit(Buffer.concat([path, Buffer.from('/'), entry.name]))
    fs.utimesSync(path, 0, 0)
  }
  visit(Buffer.from(top))
}

function makeDirectory(parent: string, name: string): string {
  const path = join(parent, name)
  fs.mkdirSync(path)
  return path
}

function realPackages(this: Mocha.Suite): void {
  this.timeout(3_600_000)

  before(function () {
    if (isRoot) return
    process.stderr.write('skipped: owners and chroot need root\n')
    this.skip()
  })

  for (const [name, what] of Object.entries(packages)) {
    it(`${name} (${what}) becomes what dpkg, tar and bsdtar make of it`, () =>
      withDirectory(async (directory) => {
        const [deb = ''] = debianPackages([name])
        const root = makeDirectory(directory, 'root')
        await merge({ root, image: deb, package: name })
        assert.deepEqual(await verify({ root }), [])
        const tar = execFileSync('dpkg-deb', ['--fsys-tarfile', deb], { maxBuffer: 2 ** 30 })
        // The state directory's parents come first with the engine, and take the package's metadata when it brings them.
        const ignore = { ...withoutState, ignoreNames: new RegExp(`^(var/lib|var)$|^${state}(/|$)`) }
        for (const [unpacker, unpack] of Object.entries(unpackers)) {
          const other = makeDirectory(directory, unpacker.replace(' ', ''))
          unpack(tar, deb, other)
          if (unpacker === 'dpkg -x') {
            const copy = join(directory, 'copy')
            execFileSync('cp', ['-a', root, copy])
            for (const top of [copy, other]) withoutDirectoryTimes(top)
            assert.deepEqual(compareTrees(copy, other, ignore), [], unpacker)
          } else assert.deepEqual(compareTrees(root, other, ignore), [], unpacker)
        }
      }))
  }

  it('a minimal Debian, by one command each: it runs, and is what dpkg unpacks', () =>
    withDirectory((directory) => {
      const names = minimalDebian()
      const debs = debianPackages(names)
      assert.ok(debs.length >= 90, `only ${debs.length} packages`)
      const [root, other] = [makeDirectory(directory, 'root'), makeDirectory(directory, 'other')]
      for (const [index, deb] of debs.entries()) {
        const name = names[index] as string
        const { status, stderr } = spawnSync(
          process.execPath,
          [cli, 'merge', `${deb}=${name}`, '--root', root, '--json'],
          { encoding: 'utf8' },
        )
        assert.equal(status, 0, `${basename(deb)}: ${stderr}`)
        execFileSync('dpkg', ['-x', deb, other])
      }
      for (const words of [
        ['ls', '/'],
        ['bash', '-c', 'echo $BASH_VERSION'],
        ['dpkg', '--version'],
      ]) {
        const { status, stdout, stderr } = spawnSync('chroot', [root, ...words], { encoding: 'utf8' })
        assert.equal(status, 0, `${words.join(' ')}: ${stderr}`)
        assert.ok(stdout.length > 0)
      }
      for (const top of [root, other]) withoutDirectoryTimes(top)
      assert.deepEqual(compareTrees(root, other, withoutState), [])
      process.stdout.write(`      ${debs.length} packages\n`)
    }))
}

// They come from the network, which the short form does without.
if (isLong) describe('real Debian packages', realPackages)
