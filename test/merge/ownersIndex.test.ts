import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { list, merge, owner, plan, recover, unmerge } from '../../src/merge/index.ts'
import { withOwners } from '../../src/merge/owners.ts'
import { addRows, OwnersIndex, Rows } from '../../src/merge/ownersIndex.ts'
import { indexDirectory, isCurrent, readSeal } from '../../src/merge/ownersSeal.ts'
import { recordBytes } from '../../src/merge/record.ts'
import { refreshIndex } from '../../src/merge/refreshIndex.ts'
import { Root } from '../../src/merge/root.ts'
import { State } from '../../src/merge/state.ts'
import { linuxKernel, toName } from '../../src/sys/index.ts'
import { declining, type RecordedCall, recording } from '../support/kernelDoubles.ts'
import { withDirectory } from '../support/scratch.ts'
import { writeTree } from '../support/tree.ts'

interface Bench {
  readonly root: string
  readonly index: string
  merge(name: string, tree: string): Promise<unknown>
}

function withBench(body: (bench: Bench) => Promise<void>): () => Promise<void> {
  return () =>
    withDirectory(async (directory) => {
      const root = join(directory, 'root')
      fs.mkdirSync(root)
      let images = 0
      const mergeTree = (name: string, tree: string) => {
        const image = join(directory, `image-${images++}`)
        fs.mkdirSync(image)
        writeTree(image, tree)
        return merge({ root, image, package: name, durability: 'none' })
      }
      addBallast(root)
      await body({ root, index: join(root, 'var/lib/rootmerge/index'), merge: mergeTree })
    })
}

/** One name with a large record: below a certain size of all records there is no index. */
function addBallast(root: string): void {
  const directory = join(root, 'var/lib/rootmerge/packages/ballast')
  fs.mkdirSync(directory, { recursive: true })
  const value = Buffer.alloc(200 * 1024)
  const entry = { name: 'ballast', type: 'fifo', uid: 0, gid: 0, mode: 0o600, mtimeNs: 0n, size: 0 } as const
  const record = recordBytes({
    packageName: 'ballast',
    entries: [{ ...entry, xattrs: [{ name: 'user.weight', value }] }],
  })
  fs.writeFileSync(join(directory, 'record'), Buffer.concat([...record]))
}

/** Whether a root's index is asked, and not its records: then no record is opened. */
function asksIndex(root: string, kernel = linuxKernel()): boolean {
  const recorded = recording(kernel)
  withState(root, recorded.kernel, (state) => withOwners(state, 'reading', (owners) => owners.of('usr/bin/one')))
  return !recorded.calls.some(({ call, args }: RecordedCall) => call === 'openat' && args[1] === 'record')
}

function withState<T>(root: string, kernel: ReturnType<typeof linuxKernel>, body: (state: State) => T): T {
  const opened = new Root(kernel, toName(root))
  try {
    return body(new State(opened))
  } finally {
    opened.close()
  }
}

async function ownersOf(root: string, ...names: (string | Uint8Array)[]): Promise<(readonly string[])[]> {
  return (await owner({ root, names })).map(({ packages }) => packages)
}

const one = `
f /usr/bin/one   "1"
f /usr/bin/odd\\377\\012   "odd"
`
const two = 'f /usr/bin/two   "2"'

function descriptors(): string[] {
  return fs.readdirSync('/proc/self/fd')
}

/** The index's file as its seal names it. */
function fileOf({ root, index }: Bench): string {
  const seal = withState(root, linuxKernel(), (state) =>
    readSeal(state.root.kernel, state.root.directory(indexDirectory(state)).fd),
  )
  return join(index, seal?.file ?? 'none')
}

describe('OwnersIndex', () => {
  it('knows every row of many that it was given, in several goes, and no other, and leaves no descriptor', () =>
    withDirectory((path) => {
      const fd = fs.openSync(path, fs.constants.O_RDONLY)
      const place = { directory: fd, name: 'index.mdb' }
      const before = descriptors()
      const nameOf = (n: number) => `usr/share/${'long/'.repeat(n % 1000)}name-${n}\xff\n`
      for (let go = 0; go < 3; go++) {
        const rows = new Rows()
        for (let n = 0; n < 3000; n++) rows.add(nameOf(n), go * 10 + (n % 7))
        const bytes = go === 0 ? 0 : fs.statSync(join(path, 'index.mdb')).size
        addRows(place, rows, 5, bytes)
      }
      const index = new OwnersIndex(place, 5)
      for (let n = 0; n < 3000; n++) {
        assert.deepEqual(index.numbersOf(nameOf(n)), [n % 7, 10 + (n % 7), 20 + (n % 7)], nameOf(n))
      }
      for (let n = 3000; n < 6000; n++) assert.deepEqual(index.numbersOf(nameOf(n)), [])
      index.close()
      assert.deepEqual(descriptors(), before)
      fs.closeSync(fd)
    }))

  it('opens each of two roots that have the same descriptor numbers', () =>
    withDirectory((path) => {
      for (const number of [1, 2, 3]) {
        const directory = join(path, `${number}`)
        fs.mkdirSync(directory)
        const fd = fs.openSync(directory, fs.constants.O_RDONLY)
        const rows = new Rows()
        rows.add('name', number)
        addRows({ directory: fd, name: 'index.mdb' }, rows, 0, 0)
        const index = new OwnersIndex({ directory: fd, name: 'index.mdb' }, 0)
        assert.deepEqual(index.numbersOf('name'), [number])
        index.close()
        fs.closeSync(fd)
      }
    }))
})

describe('the owners index of a root', function () {
  this.timeout(120_000)

  it('is not made for a root with few names, which its records answer faster', () =>
    withDirectory(async (directory) => {
      const [root, image] = [join(directory, 'root'), join(directory, 'image')]
      for (const each of [root, image]) fs.mkdirSync(each)
      fs.writeFileSync(join(image, 'file'), 'x')
      await merge({ root, image, package: 'p', durability: 'none' })
      assert.deepEqual(fs.readdirSync(join(root, 'var/lib/rootmerge')).includes('index'), false)
      assert.deepEqual(await ownersOf(root, 'file'), [['p']])
    }))

  it(
    'is asked instead of the records after merges, upgrades and unmerges, and says the same',
    withBench(async (bench) => {
      const odd = Buffer.from('usr/bin/odd\xff\n', 'latin1')
      await bench.merge('one', one)
      await bench.merge('two', two)
      assert.ok(asksIndex(bench.root))
      assert.deepEqual(await ownersOf(bench.root, 'usr/bin/one', 'usr/bin', odd, 'no'), [
        ['one'],
        ['one', 'two'],
        ['one'],
        [],
      ])
      await bench.merge('one', 'f /usr/bin/other "1.1"')
      assert.ok(asksIndex(bench.root))
      assert.deepEqual(await ownersOf(bench.root, 'usr/bin/one', 'usr/bin/other', 'usr/bin'), [
        [],
        ['one'],
        ['one', 'two'],
      ])
      await unmerge({ root: bench.root, packages: ['one'], durability: 'none' })
      assert.ok(asksIndex(bench.root))
      assert.deepEqual(await ownersOf(bench.root, 'usr/bin/other', 'usr/bin'), [[], ['two']])
    }),
  )

  it(
    'starts anew when most of its rows are of packages that are gone',
    withBench(async (bench) => {
      for (let version = 0; version < 12; version++) {
        const names = Array.from({ length: 40 }, (_, n) => `f /usr/share/one/${version}-${n} "x"`)
        await bench.merge('one', names.join('\n'))
        assert.deepEqual(await ownersOf(bench.root, `usr/share/one/${version}-7`, `usr/share/one/${version - 1}-7`), [
          ['one'],
          [],
        ])
      }
      assert.ok(asksIndex(bench.root))
      const rows = withState(
        bench.root,
        linuxKernel(),
        (state) => readSeal(state.root.kernel, state.root.directory(indexDirectory(state)).fd)?.rows,
      )
      assert.ok(rows !== undefined && rows < 200, `${rows} rows`)
    }),
  )

  it(
    'finds a name by what the record says and by where it is behind a symlinked directory',
    withBench(async (bench) => {
      fs.mkdirSync(join(bench.root, 'usr/lib'), { recursive: true })
      fs.symlinkSync('usr/lib', join(bench.root, 'lib'))
      await bench.merge('one', 'f /lib/one "1"')
      assert.deepEqual(await ownersOf(bench.root, 'lib/one', 'usr/lib/one', '/lib/one'), [['one'], ['one'], ['one']])
      fs.rmSync(bench.index, { recursive: true })
      assert.deepEqual(await ownersOf(bench.root, 'lib/one', 'usr/lib/one'), [['one'], ['one']])
      await assert.rejects(bench.merge('two', 'f /usr/lib/one "another"'), /one/)
    }),
  )

  it(
    'never answers from bytes that were changed, cut or replaced: the records do, and the next merge mends it',
    withBench(async (bench) => {
      await bench.merge('one', one)
      await bench.merge('two', two)
      const whole = fs.readFileSync(fileOf(bench))
      const seal = fs.readFileSync(join(bench.index, 'seal'))
      const damages: [string, () => void][] = [
        ...[1, 100, 4096, whole.length - 1].map((cut): [string, () => void] => [
          `cut to ${cut}`,
          () => fs.truncateSync(fileOf(bench), cut),
        ]),
        ...Array.from({ length: 40 }, (_, n): [string, () => void] => {
          const offset = Math.floor((whole.length * n) / 40) + n
          return [
            `byte ${offset} changed`,
            () => {
              const damaged = Buffer.from(whole)
              damaged[offset] = (damaged[offset] ?? 0) ^ 0x10
              fs.writeFileSync(fileOf(bench), damaged)
            },
          ]
        }),
        ...[0, 5, seal.indexOf('one'), seal.length - 3].map((offset): [string, () => void] => [
          `byte ${offset} of the seal changed`,
          () => {
            const damaged = Buffer.from(seal)
            damaged[offset] = (damaged[offset] ?? 0) ^ 1
            fs.writeFileSync(join(bench.index, 'seal'), damaged)
          },
        ]),
        ['an empty seal', () => fs.writeFileSync(join(bench.index, 'seal'), '')],
        ['gone', () => fs.rmSync(fileOf(bench))],
      ]
      const restore = join(bench.root, '../index')
      fs.cpSync(bench.index, restore, { recursive: true })
      for (const [title, damage] of damages) {
        damage()
        assert.ok(!asksIndex(bench.root), title)
        assert.deepEqual(
          await ownersOf(bench.root, 'usr/bin/one', 'usr/bin/two', 'usr/bin/no'),
          [['one'], ['two'], []],
          title,
        )
        withState(bench.root, linuxKernel(), refreshIndex)
        assert.ok(asksIndex(bench.root), `${title} is not mended`)
        fs.rmSync(bench.index, { recursive: true })
        fs.cpSync(restore, bench.index, { recursive: true })
      }
    }),
  )

  it(
    'is stale once a record was replaced or taken away by hand',
    withBench(async (bench) => {
      await bench.merge('one', one)
      await bench.merge('two', two)
      fs.rmSync(join(bench.root, 'var/lib/rootmerge/packages/two'), { recursive: true })
      assert.ok(!asksIndex(bench.root))
      assert.deepEqual(await ownersOf(bench.root, 'usr/bin/two', 'usr/bin'), [[], ['one']])
      assert.deepEqual(await list({ root: bench.root }), ['ballast', 'one'])
    }),
  )

  it(
    'is written by nobody who only reads',
    withBench(async (bench) => {
      await bench.merge('one', one)
      fs.rmSync(bench.index, { recursive: true })
      assert.deepEqual(await ownersOf(bench.root, 'usr/bin/one'), [['one']])
      await plan({ root: bench.root, image: bench.root, package: 'dry', exclude: ['var'] }).catch(() => {})
      assert.ok(!fs.existsSync(bench.index))
    }),
  )

  it(
    'stands for nothing: a merge whose index cannot be written is merged',
    withBench(async (bench) => {
      await bench.merge('one', one)
      fs.rmSync(bench.index, { recursive: true })
      fs.writeFileSync(bench.index, 'in the way')
      await bench.merge('two', two)
      assert.deepEqual(await ownersOf(bench.root, 'usr/bin/two', 'usr/bin'), [['two'], ['one', 'two']])
      const refusing = declining(linuxKernel(), 'renameat', 'EROFS')
      fs.rmSync(bench.index)
      withState(bench.root, refusing, refreshIndex)
      assert.ok(!asksIndex(bench.root))
    }),
  )

  it(
    'is never believed after it was killed at any moment of its making',
    withBench(async (bench) => {
      for (let n = 0; n < 40; n++) await bench.merge(`p${n}`, `f /usr/bin/${n} "x"`)
      const script = `
        const { refreshIndex } = await import(${JSON.stringify(new URL('../../src/merge/refreshIndex.js', import.meta.url).href)})
        const { Root } = await import(${JSON.stringify(new URL('../../src/merge/root.js', import.meta.url).href)})
        const { State } = await import(${JSON.stringify(new URL('../../src/merge/state.js', import.meta.url).href)})
        const { openKernel } = await import(${JSON.stringify(new URL('../../src/sys/index.js', import.meta.url).href)})
        const { rmSync } = await import('node:fs')
        const state = new State(new Root(await openKernel(), process.argv[1]))
        process.stdout.write('.')
        for (;;) { rmSync(process.argv[2] + '/seal', { force: true }); refreshIndex(state) }`
      for (let kill = 0; kill < 12; kill++) {
        const child = spawn(process.execPath, ['--input-type=module', '-e', script, bench.root, bench.index], {
          stdio: ['ignore', 'pipe', 'inherit'],
        })
        await new Promise((resolve) => child.stdout.once('data', resolve))
        await new Promise((resolve) => setTimeout(resolve, 5 + kill * 7))
        child.kill('SIGKILL')
        await new Promise((resolve) => child.once('close', resolve))
        const expected = Array.from({ length: 40 }, (_, n) => [`p${n}`])
        assert.deepEqual(await ownersOf(bench.root, ...Array.from({ length: 40 }, (_, n) => `usr/bin/${n}`)), expected)
      }
      withState(bench.root, linuxKernel(), refreshIndex)
      assert.ok(asksIndex(bench.root))
      assert.equal(fs.readdirSync(bench.index).filter((name) => name.endsWith('.mdb')).length, 1)
    }),
  )

  it('is asked by an ordinary user who may not write, without a lock file', async function () {
    if (process.getuid?.() !== 0) {
      process.stdout.write('      only root can become another user\n')
      this.skip()
    }
    await withBench(async (bench) => {
      await bench.merge('one', one)
      fs.chmodSync(join(bench.root, '..'), 0o755)
      for (const name of fs.readdirSync(bench.index)) if (name.endsWith('-lock')) fs.rmSync(join(bench.index, name))
      process.seteuid?.(65534)
      try {
        assert.ok(asksIndex(bench.root))
      } finally {
        process.seteuid?.(0)
      }
      assert.deepEqual(
        fs.readdirSync(bench.index).filter((name) => name.endsWith('-lock')),
        [],
      )
    })()
  })

  it(
    'is known to be current after recovery too',
    withBench(async (bench) => {
      await bench.merge('one', one)
      await recover({ root: bench.root })
      withState(bench.root, linuxKernel(), (state) => {
        const directory = state.root.directory(indexDirectory(state)).fd
        const seal = readSeal(state.root.kernel, directory)
        assert.ok(seal !== undefined && isCurrent(seal, state))
      })
    }),
  )
})
