import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { command, eventsOf, expectExit, type Outcome, run, Terminal } from '../support/command.ts'
import { withDirectory } from '../support/scratch.ts'
import { differencesBetween, snapshot } from '../support/snapshot.ts'
import { writeTree } from '../support/tree.ts'

interface Bench {
  readonly directory: string
  readonly root: string
  readonly image: string
}

/** A root with a package, an image of its next version, and the same as an archive. */
function withPackage(body: (bench: Bench) => unknown): Promise<void> {
  return withDirectory(async (directory) => {
    const [root, image] = [join(directory, 'root'), join(directory, 'image')]
    for (const made of [root, image, join(directory, 'older')]) fs.mkdirSync(made)
    writeTree(join(directory, 'older'), 'f /etc/file "1"')
    writeTree(image, 'f /etc/file "2"\nf /usr/bin/tool "tool"')
    execFileSync('tar', ['-cf', join(directory, 'image.tar'), '-C', image, '.'])
    fs.writeFileSync(join(directory, 'empty.tar'), '')
    fs.writeFileSync(join(directory, 'zeros.tar'), Buffer.alloc(20_480))
    expectExit(run('merge', `${join(directory, 'older')}=image`, '--root', root), 0)
    await body({ directory, root, image })
  })
}

/** Types a line in a directory. */
function inDirectory(directory: string, words: string): Outcome {
  const line = `exec '${process.execPath}' '${command}' ${words}`
  const { status, stdout, stderr } = spawnSync('/bin/sh', ['-c', line], { cwd: directory, encoding: 'utf8' })
  return { status, stdout, stderr }
}

/** What is typed after `merge`, of names in the bench's directory; what it says and exits with. */
const refused: readonly (readonly [words: string, status: number, says: RegExp])[] = [
  ['image --strip-components 1', 2, /is a directory, and --strip-components is for archives/],
  ['image --integrity sha512-AAAA', 2, /--integrity is for archives/],
  ['image --manifest image.tar', 2, /--manifest is for archives/],
  ['image --no-devices', 2, /--no-devices is for archives/],
  ['image --no-setid', 2, /--no-setid is for archives/],
  ['image --concatenated', 2, /--concatenated is for archives/],
  ['image.tar --strip-components 9', 2, /without 9 components no name of the archive/],
  ['empty.tar --package image', 1, /is empty/],
  ['zeros.tar --package image', 1, /there is nothing but zeros/],
  ["image --exclude ''", 2, /'' is invalid. It is empty/],
  ["image --include ''", 2, /It is empty/],
  ["image --collision-ignore ''", 2, /It is empty/],
  ["image --install-mask ''", 2, /It is empty/],
  ["image --protect ''", 2, /It is empty/],
  ['image --trigger x=', 2, /a pattern is empty/],
  ['- </dev/null', 2, /'-' names no package: add --package NAME\n/],
  ['image --lock-wait -1', 2, /'-1' is invalid. It is not a number from 0 up/],
  ['image/.', 2, /names no package/],
  ['größe/..', 2, /'größe\/\.\.' names no package: .* größe\/\.\.=NAME/],
  ["''", 2, /'' names no package/],
  [`image --package ${'x'.repeat(256)}`, 2, /the package name 'x{40}…' is too long/],
  [`image --package ${'x/'.repeat(64)}x`, 2, /is too long/],
  ['image --contents absent/contents', 3, /ENOENT.*absent/],
  ['image --contents image', 3, /is a directory\n {2}Nothing was changed. It is a directory: name a file/],
  ['image --changed absent/changed', 3, /ENOENT.*absent/],
  ['image --dry-run --report absent/page', 3, /ENOENT.*absent/],
  [
    'image.tar=a image.tar=b --replaces image',
    1,
    /^ {2}etc\/file is one name with 'etc\/file' of a, the same object: share it/m,
  ],
]

/** The state's file that says who asked last. */
const but = { without: ['var/lib/rootmerge/lock'], directoryTimes: false }

describe('a careless merge', function () {
  this.slow(2000)

  for (const [words, status, says] of refused) {
    it(`is refused, and changes nothing: ${words.slice(0, 60)}`, () =>
      withPackage(({ directory, root }) => {
        const before = snapshot(root, but)
        const outcome = expectExit(inDirectory(directory, `merge ${words} --root root`), status)
        assert.match(outcome.stderr, says)
        assert.deepEqual(differencesBetween(before, snapshot(root, but)), [])
      }))
  }

  it('of a long list that cannot be written in the end is done, and says so', () =>
    withPackage(({ directory, root }) => {
      const outcome = expectExit(inDirectory(directory, 'merge image --root root --changed /dev/full'), 3)
      assert.match(outcome.stderr, /not all of its output could be written: ENOSPC/)
      assert.doesNotMatch(outcome.stderr, /[Nn]othing was changed/)
      assert.equal(fs.readFileSync(join(root, 'etc/file'), 'utf8'), '2')
    }))

  it('in place of packages that are not there is done, and names them', () =>
    withPackage(({ directory }) => {
      const words = 'merge image --root root --replaces nope --replaces image --replaces gone --replaces nope'
      for (const more of [' --dry-run', '']) {
        const { stdout } = expectExit(inDirectory(directory, words + more), 0)
        const named = [...stdout.matchAll(/no package is called (\S+), so nothing of it was replaced/g)]
        assert.deepEqual(
          named.map(([, name]) => name),
          ['nope', 'gone'],
        )
      }
      const answer = (line: string) =>
        eventsOf(inDirectory(directory, `${line} --json`)).find(({ event }) => event === 'plan' || event === 'merge')
      for (const more of [' --dry-run', '']) assert.deepEqual(answer(words + more)?.notReplaced, ['nope', 'gone'])
      assert.equal('notReplaced' in (answer('merge image=new --root root --replaces image') ?? {}), false)
    }))

  it('at a terminal without a size is told in lines of 80 characters', () =>
    withPackage(async ({ root, image }) => {
      const terminal = new Terminal(['merge', image, '--root', root], { columns: 0 })
      assert.equal(await terminal.ended(), 0)
      assert.match(terminal.shown, /image merged: 5 entries \(placed 1, replaced 1/)
    }))
})

describe('other careless commands', function () {
  this.slow(2000)

  it('import says what it needs', () =>
    withPackage(({ root }) => {
      for (const words of [[], ['--dpkg', '--rpm'], ['file', '--apk']]) {
        const { stderr } = expectExit(run('import', ...words, '--root', root), 2)
        assert.match(stderr, /^error: give one of a file, --dpkg, --pacman/, words.join(' '))
      }
      const { stderr } = expectExit(run('import', '--dpkg', '--package', 'x', '--root', root), 2)
      assert.match(stderr, /^error: --package is for a file: --dpkg imports all packages/)
    }))

  it('owner, list and recover say what they cannot do, before they do anything', () =>
    withPackage(({ directory }) => {
      for (const [words, says] of [
        ["owner ''", /'' is invalid for argument 'path'\. It is empty/],
        ['list --format mtree', /--format is of a package: name it/],
        ['list --format mtree --archive image.tar', /'--format <format>' cannot be used with option '--archive/],
        ['recover --scan absent', /'absent' is no directory of the root\n {2}Nothing was changed/],
      ] as const)
        assert.match(expectExit(inDirectory(directory, `${words} --root root`), 2).stderr, says, words)
      expectExit(inDirectory(directory, 'recover --root root --scan /etc/../etc/ ..'), 0)
    }))

  it('merge takes over what is there when a broken record was removed, as it advises', () =>
    withPackage(({ directory, root }) => {
      const record = join(root, 'var/lib/rootmerge/packages/image/record')
      expectExit(inDirectory(directory, 'merge image --root root'), 0)
      fs.writeFileSync(record, 'broken')
      const { stderr } = expectExit(inDirectory(directory, 'merge image --root root'), 1)
      assert.match(stderr, /remove that file, and merge the package again/)
      fs.rmSync(record)
      assert.match(expectExit(inDirectory(directory, 'merge image --root root'), 0).stdout, /adopted 2/)
      expectExit(inDirectory(directory, 'verify --root root'), 0)
    }))

  it('say in one line what is wrong, wherever it is told', () =>
    withPackage(({ directory }) => {
      for (const [words, status, says] of [
        ['merge =x --root root', 2, /^error: '=x' names no image/],
        ['merge image/etc/file --root root', 1, /no archive of a format that is known.*\n.* Look at what it is/],
        ['list --archive image', 2, /the image 'image' is a directory/],
        ['import image --package x --root root', 2, /the file 'image' is a directory/],
        ["unmerge 'a\nb' --root root", 2, /'a\\012b' is not a package name/],
        ['unmerge image --root older', 1, /no package 'image' in the root 'older'/],
        ['undo --root root', 2, /no transaction of this root is kept\n.*--keep-undo/],
        ['help mrge', 2, /^error: unknown command 'mrge'\n\(Did you mean merge\?\)/],
        ['config edit --root root </dev/null', 2, /^error: this is no terminal to edit on/],
        ['move image.tar image', 3, /EISDIR.*\n.*--target-directory/],
      ] as const) {
        const { stderr } = expectExit(inDirectory(directory, words.replace('\\n', '\n')), status)
        assert.match(stderr, says, words)
      }
      assert.match(inDirectory(directory, 'history --root root').stderr, /^no transaction is kept: --keep-undo/)
      const told = eventsOf(expectExit(inDirectory(directory, 'merge --json'), 2))
      assert.deepEqual(told, [
        { event: 'error', version: 1, name: 'UsageError', message: "missing required argument 'image'", exitCode: 2 },
      ])
    }))

  it('say on another system that they do not run there, without a stack trace', () =>
    withPackage(({ directory, root }) => {
      const elsewhere = join(directory, 'elsewhere.cjs')
      fs.writeFileSync(elsewhere, "Object.defineProperty(process, 'platform', { value: 'darwin' })")
      for (const words of ['list', 'verify', 'owner x', 'recover', 'unmerge image']) {
        const line = ['-r', elsewhere, command, ...words.split(' '), '--root', root]
        const { status, stderr } = spawnSync(process.execPath, line, { encoding: 'utf8' })
        assert.equal(status, 3, stderr)
        assert.match(stderr, /^rootmerge: .*darwin.*\n(?! +at )/, words)
      }
    }))

  it('import reads a pipe, and no device without an end', () =>
    withPackage(({ directory }) => {
      const words = 'import /dev/stdin --package imported --root root'
      const { stdout } = expectExit(inDirectory(directory, `${words} <<'END'\ndir /etc\nEND`), 0)
      assert.match(stdout, /1 added/)
      const { stderr } = expectExit(inDirectory(directory, 'import /dev/zero --package zero --root root'), 2)
      assert.match(stderr, /'\/dev\/zero' is too long/)
    }))

  it('unmerge looks at a pattern and at a file before it removes anything', () =>
    withPackage(({ directory, root }) => {
      const before = snapshot(root, but)
      for (const [words, status] of [
        ['--trigger x=', 2],
        ['--changed absent/file', 3],
      ] as const) {
        expectExit(inDirectory(directory, `unmerge image --root root ${words}`), status)
        assert.deepEqual(differencesBetween(before, snapshot(root, but)), [])
      }
    }))

  it('name a state that is no directory, and leave it', () =>
    withPackage(({ directory }) => {
      const other = join(directory, 'other')
      writeTree(other, 'f /var/lib/rootmerge "a file"')
      for (const words of ['list', 'verify', 'recover', 'merge image', 'merge image.tar']) {
        const { stderr } = expectExit(inDirectory(directory, `${words} --root other`), 2)
        assert.match(stderr, /'other\/var\/lib\/rootmerge' is no directory, so it cannot be the state/, words)
      }
      assert.equal(fs.readFileSync(join(other, 'var/lib/rootmerge'), 'utf8'), 'a file')
    }))

  it('name what stands where the state would be made in', () =>
    withPackage(({ directory }) => {
      for (const [number, what] of ['f /var "a file"', 'l /var -> nowhere', 'd /var\nf /var/lib "a file"'].entries()) {
        const root = join(directory, `other${number}`)
        fs.mkdirSync(root)
        writeTree(root, what)
        const { stderr } = expectExit(inDirectory(directory, `merge image --root other${number}`), 2)
        assert.match(stderr, /'other\d\/var(\/lib)?' is no directory, so the state cannot be in it/)
        assert.deepEqual(fs.readdirSync(root), ['var'])
      }
    }))

  it('do not wait for a fifo in the place of a file of the state', () =>
    withPackage(({ directory, root }) => {
      for (const [name, words] of [
        ['lock', 'merge image'],
        ['journal', 'merge image'],
        ['journal', 'verify'],
        ['id', 'list'],
        ['packages/image/record', 'list image'],
        ['owners', 'merge image'],
      ] as const) {
        const [file, kept] = [join(root, 'var/lib/rootmerge', name), join(directory, 'kept')]
        if (fs.existsSync(file)) fs.renameSync(file, kept)
        execFileSync('mkfifo', [file])
        const line = [command, ...words.split(' '), '--root', root]
        const { signal } = spawnSync(process.execPath, line, { cwd: directory, timeout: 20_000, killSignal: 'SIGKILL' })
        assert.equal(signal, null, `${words} with ${name}`)
        fs.rmSync(file, { force: true })
        if (fs.existsSync(kept)) fs.renameSync(kept, file)
      }
    }))

  it('list does not show an archive without names as an empty one', () =>
    withPackage(({ directory }) => {
      assert.match(expectExit(inDirectory(directory, 'list --archive image.tar'), 0).stdout, /usr\/bin\/tool/)
      assert.match(expectExit(inDirectory(directory, 'list --archive empty.tar'), 1).stderr, /is empty/)
    }))
})
