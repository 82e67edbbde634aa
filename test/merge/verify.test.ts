import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import {
  CorruptRecordError,
  InvalidArgumentError,
  type MergeProgress,
  merge,
  RootChangedError,
  UnknownPackageError,
  verify,
} from '../../src/merge/index.ts'
import { verifyInThreads } from '../../src/merge/verifyInThreads.ts'
import { AT_FDCWD, type Kernel, linuxKernel, O_RDONLY, SyscallError, toName } from '../../src/sys/index.ts'
import { expectExit, runWithoutProc } from '../support/command.ts'
import { wrapKernel } from '../support/kernelDoubles.ts'
import { needRoot } from '../support/nativePackages.ts'
import { verifyPackages } from '../support/operations.ts'
import { withDirectory } from '../support/scratch.ts'
import { writeTree } from '../support/tree.ts'
import { contextOf } from './scenarios.ts'

const files = 500

/** A root with two packages of many files, some of them edited. */
async function withMany(body: (root: string, edited: readonly string[]) => Promise<void>): Promise<void> {
  await withDirectory(async (directory) => {
    const root = join(directory, 'root')
    fs.mkdirSync(root)
    const edited: string[] = []
    for (const name of ['one', 'two']) {
      const image = join(directory, name)
      fs.mkdirSync(join(image, name), { recursive: true })
      for (let n = 0; n < files; n++) fs.writeFileSync(join(image, name, `file-${n}`), `content ${n}\n`.repeat(n * 7))
      await merge({ root, image, package: name, durability: 'none' })
      for (let n = 3; n < files; n += 37) {
        fs.appendFileSync(join(root, name, `file-${n}`), 'edited')
        edited.push(`${name}/file-${n}`)
      }
    }
    await body(root, edited.sort())
  })
}

describe('verify()', function () {
  this.timeout(60_000)

  it('finds the same in the same order, however many threads it has', () =>
    withMany(async (root, edited) => {
      const alone = await verify({ root, jobs: 1 })
      assert.deepEqual(alone.map(({ name }) => name).sort(), edited)
      for (const jobs of [2, 3, 4]) assert.deepEqual(await verify({ root, jobs }), alone, `${jobs} threads`)
      assert.deepEqual(await verify({ root }), alone)
      assert.deepEqual(await verify({ root, packages: ['one', 'two', 'one'] }), alone)
    }))

  it('counts every entry once, whichever thread had it', () =>
    withMany(async (root) => {
      const told: MergeProgress[] = []
      await verify({ root, jobs: 4, onProgress: (progress) => told.push(progress) })
      const entries = told.map((progress) => progress.entries)
      assert.deepEqual(
        entries,
        entries.toSorted((one, other) => one - other),
      )
      assert.equal(entries.at(-1), 2 * (files + 1))
    }))

  it('ends all threads when one fails, and when it is cancelled', () =>
    withMany(async (root) => {
      await assert.rejects(verify({ root, packages: ['one', 'none'] }), UnknownPackageError)
      for (const jobs of [0, 1.5, 1e9]) await assert.rejects(verify({ root, jobs }), InvalidArgumentError)
      const reason = new Error('enough')
      await assert.rejects(verify({ root, signal: AbortSignal.abort(reason) }), reason)
      const running = new AbortController()
      const onProgress = () => running.abort(reason)
      await assert.rejects(verify({ root, jobs: 2, signal: running.signal, onProgress }), reason)
      const record = join(root, 'var/lib/rootmerge/packages/two/record')
      fs.writeFileSync(record, fs.readFileSync(record, 'latin1').replace('mode=0644', 'mode=0645'))
      await assert.rejects(verify({ root }), CorruptRecordError)
    }))

  it('does not answer from records that are no longer those that it began with', () =>
    withMany(async (root) => {
      for (const packages of [undefined, ['one', 'two'], ['two']]) {
        const unmergeOnce = changeOnce(() => fs.renameSync(recordOf(root, 'one'), recordOf(root, 'elsewhere')))
        const verifying = () => verifyPackages(contextOf(unmergeOnce), { root, ...(packages && { packages }) })
        if (packages?.length === 1) assert.notEqual(verifying().length, 0)
        else assert.throws(verifying, RootChangedError)
        fs.renameSync(recordOf(root, 'elsewhere'), recordOf(root, 'one'))
      }
    }))

  it('sees the rest where a directory is a symlink that leads nowhere', () =>
    withMany(async (root, edited) => {
      for (const target of ['one', '/proc/self/root', 'nowhere']) {
        fs.renameSync(join(root, 'one'), join(root, 'away'))
        fs.symlinkSync(target, join(root, 'one'))
        const found = await verify({ root })
        assert.equal(found.filter(({ differences: [only] }) => only === 'missing').length, files, target)
        assert.deepEqual(found[0], { package: 'one', name: 'one', differences: ['type'] })
        assert.deepEqual(
          found
            .filter((entry) => entry.package === 'two')
            .map(({ name }) => name)
            .sort(),
          edited.filter((name) => name.startsWith('two/')),
        )
        fs.rmSync(join(root, 'one'))
        fs.renameSync(join(root, 'away'), join(root, 'one'))
      }
    }))

  it('sees the rest where somebody leads it to what is not his', function () {
    needRoot(this)
    return withMany(async (root) => {
      fs.rmSync(join(root, 'two/file-0'))
      fs.renameSync(join(root, 'one'), join(root, 'away'))
      fs.symlinkSync('two', join(root, 'one'))
      fs.lchownSync(join(root, 'one'), 65534, 65534)
      const found = await verify({ root })
      assert.deepEqual(found[0], { package: 'one', name: 'one', differences: ['type'] })
      assert.equal(found.filter(({ differences: [only] }) => only === 'missing').length, files + 1)
    })
  })

  it('sees the rest where something cannot be read', () =>
    withMany(async (root, edited) => {
      for (const code of ['EACCES', 'EIO', 'EUCLEAN'] as const) {
        const failing = wrapKernel(linuxKernel(), (call, args, proceed) => {
          if (call === 'openat' && args[1] === 'file-5') throw new SyscallError(code, call)
          return proceed(...args)
        })
        const found = verifyPackages(contextOf(failing), { root })
        const unreadable = found.filter(({ differences: [only] }) => only === 'unreadable').map(({ name }) => name)
        assert.deepEqual(unreadable, ['one/file-5', 'two/file-5'])
        assert.deepEqual(found.map(({ name }) => name).sort(), [...edited, ...unreadable].sort())
      }
      const short = wrapKernel(linuxKernel(), (call, args, proceed) => {
        if (call === 'openat' && args[1] === 'file-5') throw new SyscallError('EMFILE', call)
        return proceed(...args)
      })
      assert.throws(() => verifyPackages(contextOf(short), { root }), { code: 'EMFILE' })
    }))

  it('does not answer from threads that read other records', async () => {
    const records = ['before', 'after']
    const start = async () => ({ found: [], records: records.pop() ?? '' })
    await assert.rejects(verifyInThreads(start, { root: '/', jobs: 2 }), RootChangedError)
    assert.deepEqual(await verifyInThreads(start, { root: '/', jobs: 2 }), [])
  })
})

function recordOf(root: string, packageName: string): string {
  return join(root, 'var/lib/rootmerge/packages', packageName)
}

/** A kernel that lets somebody change something when it is about to look at the tenth file. */
function changeOnce(change: () => void): Kernel {
  let left = 10
  return wrapKernel(linuxKernel(), (call, args, proceed) => {
    if (call === 'findat' && String(args[1]).startsWith('file-') && --left === 0) change()
    return proceed(...args)
  })
}

const tree = `
d           /etc
f 0640      /etc/file            "contents\\n" user.note="x"
l           /etc/link            -> file
p           /etc/fifo
`
const nodes = 'c 0600      /etc/null            1:3'

/** One change of each attribute, what verify says of it, and whether NetBSD's mtree can see it. */
const changes: readonly [what: string, change: (root: string) => void, says: string, mtreeSees: boolean][] = [
  ['contents of the same length', (root) => rewrite(join(root, 'etc/file'), 'CONTENTS\n'), 'digest', true],
  ['size', (root) => rewrite(join(root, 'etc/file'), 'more contents\n'), 'size,digest', true],
  ['mode', (root) => fs.chmodSync(join(root, 'etc/file'), 0o600), 'mode', true],
  ['set-id bit', (root) => fs.chmodSync(join(root, 'etc/file'), 0o4640), 'mode', true],
  ['mode of a fifo', (root) => fs.chmodSync(join(root, 'etc/fifo'), 0o600), 'mode', true],
  ['time, by a nanosecond', (root) => touch(join(root, 'etc/file'), 1n), 'mtime', false], // mtree looks at microseconds
  ['time, by a microsecond', (root) => touch(join(root, 'etc/file'), 1000n), 'mtime', true],
  ['time of a link', (root) => fs.lutimesSync(join(root, 'etc/link'), 5, 5), 'mtime', true],
  ['attribute', (root) => setNote(join(root, 'etc/file'), 'y'), 'xattrs', false],
  ['link', (root) => relink(join(root, 'etc/link')), 'link', true],
  ['type', (root) => retype(join(root, 'etc/fifo')), 'type', true],
  ['missing', (root) => fs.rmSync(join(root, 'etc/fifo')), 'missing', true],
]
const rootsChanges: typeof changes = [
  ['owner', (root) => fs.chownSync(join(root, 'etc/fifo'), 7, 0), 'owner', true],
  ['group', (root) => fs.chownSync(join(root, 'etc/fifo'), 0, 7), 'group', true],
  ['device', (root) => renode(join(root, 'etc/null')), 'device', true],
]

function rewrite(path: string, text: string): void {
  const { mtimeNs } = fs.statSync(path, { bigint: true })
  fs.writeFileSync(path, text)
  setTime(path, mtimeNs)
}

function touch(path: string, byNs: bigint): void {
  setTime(path, fs.statSync(path, { bigint: true }).mtimeNs + byNs)
}

function setTime(path: string, timeNs: bigint): void {
  linuxKernel().utimensat(AT_FDCWD, toName(path), timeNs, timeNs)
}

function setNote(path: string, value: string): void {
  const kernel = linuxKernel()
  const fd = kernel.openat(AT_FDCWD, toName(path), O_RDONLY)
  kernel.setXattr(fd, 'user.note', Buffer.from(value))
  kernel.close(fd)
}

function relink(path: string): void {
  const { mtimeNs } = fs.lstatSync(path, { bigint: true })
  fs.rmSync(path)
  fs.symlinkSync('ELIF', path)
  setTime(path, mtimeNs)
}

function retype(path: string): void {
  fs.rmSync(path)
  fs.writeFileSync(path, '')
}

function renode(path: string): void {
  const { mtimeNs } = fs.statSync(path, { bigint: true })
  fs.rmSync(path)
  execFileSync('mknod', ['-m', '600', path, 'c', '1', '5'])
  setTime(path, mtimeNs)
}

/** What NetBSD's mtree says of a tree, by a record; '' when all is as that says. -e: no word of the state's own names. */
function mtreeSays(record: string, root: string): string {
  try {
    return execFileSync('mtree', ['-e', '-f', record, '-p', root], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string }
    return `${stdout}${stderr}`
  }
}

const isRoot = process.getuid?.() === 0

const oddTree = `
d 1777      /tmp
d           /a\\040blank\\012\\043
f           /a\\040blank\\012\\043/\\377\\376\\134          "not UTF-8"
f           /#                    "a comment?"
f           /=                    "x=y"
f           /%s\\133a-z\\135\\052\\077       "a pattern?"
f           /-rf                  "an option?"
f           /ünï                  "UTF-8"
f           /type=dir             "a keyword?"
l           /\\011link              -> \\040\\377 target\\\\
f 4755      /set-id               "program" user.odd\\040name="0"
h           /hard                 == /set-id
f           /old                  "1969" mtime=-1.500000000
f           /older                "1901" mtime=-2147483648.000000001
f           /empty                ""
p           /fifo
`
const oddNodes = `
c 0600 7:8  /null                 1:3
b 0600      /block                259:1048575
`

/** Says what is missing and skips: with CI set a skip is a failure. */
function needs(context: Mocha.Context, ...programs: string[]): void {
  const missing = programs.filter((program) => spawnSync('which', [program]).status !== 0)
  if (missing.length === 0) return
  process.stdout.write(`      ${missing.join(' and ')} not found\n`)
  context.skip()
}

describe('verify and unmerge without /proc', () => {
  it('compare attributes, and remove what has some', function () {
    needRoot(this)
    return withDirectory((directory) => {
      const [root, image] = [join(directory, 'root'), join(directory, 'image')]
      for (const made of [root, join(image, 'd')]) fs.mkdirSync(made, { recursive: true })
      for (const name of ['plain', 'noted']) fs.writeFileSync(join(image, 'd', name), name)
      const seesLinks = linuxKernel().listXattrsAt(AT_FDCWD, toName(image)) !== undefined // Linux 6.13
      if (seesLinks) fs.symlinkSync('plain', join(image, 'd/link'))
      for (const name of ['d', 'd/noted']) execFileSync('setfattr', ['-n', 'user.note', '-v', 'one', join(image, name)])
      expectExit(runWithoutProc('merge', image, '--package', 'p', '--root', root), 0)
      expectExit(runWithoutProc('verify', '--root', root), 0)
      for (const name of ['d', 'd/noted']) execFileSync('setfattr', ['-n', 'user.note', '-v', 'two', join(root, name)])
      const { stdout } = expectExit(runWithoutProc('verify', '--root', root), 1)
      assert.deepEqual(stdout.match(/d\S*/g), ['d', 'd/noted'])
      expectExit(runWithoutProc('unmerge', 'p', '--root', root), 0)
      assert.deepEqual(fs.readdirSync(root), ['var'])
    })
  })
})

describe('a record of odd names and nodes', () => {
  it("is accepted by NetBSD's mtree and by bsdtar, and verified", function () {
    needs(this, 'mtree', 'bsdtar')
    return withDirectory(async (directory) => {
      const [root, image] = [join(directory, 'root'), join(directory, 'image')]
      fs.mkdirSync(root)
      fs.mkdirSync(image)
      writeTree(image, oddTree + (isRoot ? oddNodes : ''))
      const { entries } = await merge({ root, image, package: 'odd', durability: 'none' })
      assert.deepEqual(await verify({ root }), [])
      const record = join(root, 'var/lib/rootmerge/packages/odd/record')
      assert.equal(mtreeSays(record, root), '')
      const listed = spawnSync('bsdtar', ['-tf', record], { cwd: root, encoding: 'latin1' })
      assert.deepEqual([listed.status, listed.stderr], [0, ''])
      assert.equal(listed.stdout.trimEnd().split('\n').length, entries + 1) // and the top
    })
  })
})

describe('a planted change', function () {
  this.timeout(120_000)

  for (const [what, change, says, mtreeSees] of [...changes, ...(isRoot ? rootsChanges : [])]) {
    it(`of ${what} is found by verify${mtreeSees ? ' and by mtree' : ''}`, function () {
      needs(this, 'mtree')
      return withDirectory(async (directory) => {
        const [root, image] = [join(directory, 'root'), join(directory, 'image')]
        fs.mkdirSync(root)
        fs.mkdirSync(image)
        writeTree(image, tree + (isRoot ? nodes : ''))
        await merge({ root, image, package: 'package', durability: 'none' })
        const record = join(root, 'var/lib/rootmerge/packages/package/record')
        assert.deepEqual(await verify({ root }), [])
        assert.equal(mtreeSays(record, root), '')
        change(root)
        const found = await verify({ root })
        assert.deepEqual(
          found.map(({ differences }) => differences.filter((each) => each !== 'mtime' || says === 'mtime').join()),
          [says],
        )
        assert.equal(mtreeSays(record, root) !== '', mtreeSees)
      })
    })
  }
})
