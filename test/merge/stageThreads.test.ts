import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { InvalidArgumentError, merge, readRecord, verify } from '../../src/merge/index.ts'
import { Comparer } from '../../src/merge/live.ts'
import { TaskMemory } from '../../src/merge/packTasks.ts'
import { StageRunner } from '../../src/merge/stageRunner.ts'
import { type StageTask, TaskTable } from '../../src/merge/stageTask.ts'
import { Mover } from '../../src/movefile/index.ts'
import { type Kernel, linuxKernel, O_DIRECTORY, O_RDONLY, openPath, SyscallError } from '../../src/sys/index.ts'
import { compareTrees } from '../support/compareTrees.ts'
import { recording } from '../support/kernelDoubles.ts'
import { withDirectory } from '../support/scratch.ts'
import { snapshot } from '../support/snapshot.ts'
import { memory } from './outcome.ts'

const isRoot = process.getuid?.() === 0
const withoutState = { ignoreTop: true, ignoreNames: /^var(\/|$)/ }
const command = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))

interface Bench {
  readonly root: string
  readonly image: string
}

/** An image of many small files, so that further threads are worth their start. */
function withManyFiles(body: (bench: Bench) => Promise<void>, files = 1200): Promise<void> {
  return withDirectory(async (directory) => {
    const bench = { root: join(directory, 'root'), image: join(directory, 'image') }
    fs.mkdirSync(bench.root)
    for (let number = 0; number < files; number++) {
      const parent = join(bench.image, `usr/share/d${number % 40}`)
      if (number < 40) fs.mkdirSync(parent, { recursive: true })
      fs.writeFileSync(join(parent, `file-${number}`), `payload ${number} `.repeat(number % 300))
    }
    await body(bench)
  }, memory)
}

function setAttribute(path: string, value: string): void {
  const kernel = linuxKernel()
  const fd = openPath(kernel, path, O_RDONLY)
  kernel.setXattr(fd, 'user.note', Buffer.from(value))
  kernel.close(fd)
}

describe('merge() with several threads', function () {
  this.timeout(60_000)

  for (const jobs of [2, 4]) {
    it(`makes the same tree and the same record with ${jobs} of them`, () =>
      withManyFiles(async (bench) => {
        let [entries, bytes] = [0, 0]
        const onProgress = (told: { phase: string; entries: number; bytes: number }) => {
          if (told.phase === 'stage') [entries, bytes] = [told.entries, told.bytes]
        }
        const report = await merge({ ...bench, package: 'a', durability: 'none', jobs, onProgress })
        assert.deepEqual(compareTrees(bench.root, bench.image, withoutState), [])
        assert.deepEqual(await verify(bench), [])
        const size = [...snapshot(bench.image).values()].reduce(
          (sum, l) => sum + Number(/ size=(\d+)/.exec(l)?.[1] ?? 0),
          0,
        )
        assert.deepEqual(report.bytesByMethod, { read_write: size })
        assert.ok(entries <= report.entries && bytes <= size, `${entries} ${bytes}`)
      }))
  }

  it('records attributes as they are, whichever thread read them', () =>
    withManyFiles(async (bench) => {
      for (let number = 0; number < 4000; number++) {
        setAttribute(join(bench.image, `usr/share/d${number % 40}/file-${number}`), `of ${number}`)
      }
      await merge({ ...bench, package: 'a', durability: 'none', jobs: 4 })
      const record = Buffer.from(await readRecord({ root: bench.root, package: 'a' })).toString()
      const values = [...record.matchAll(/^# rootmerge xattr user\.note (\S+)\n\S+-(\d+) /gm)]
      const told = values.map(([, value = '', number]) => [Buffer.from(value, 'base64').toString(), `of ${number}`])
      assert.equal(told.length, 4000)
      assert.deepEqual(
        told.filter(([value, expected]) => value !== expected),
        [],
      )
      assert.deepEqual(await verify(bench), [])
    }, 4000))

  it('digests large files while they are copied', () =>
    withDirectory(async (directory) => {
      const bench = { root: join(directory, 'root'), image: join(directory, 'image') }
      fs.mkdirSync(bench.root)
      fs.mkdirSync(bench.image)
      for (const name of ['one', 'two', 'three']) fs.writeFileSync(join(bench.image, name), Buffer.alloc(30e6, name))
      await merge({ ...bench, package: 'a', durability: 'none', jobs: 2 })
      assert.deepEqual(compareTrees(bench.root, bench.image, withoutState), [])
      assert.deepEqual(await verify(bench), [])
      const one = join(bench.root, 'one')
      const { atime, mtime } = fs.statSync(one)
      fs.writeFileSync(one, Buffer.alloc(30e6, 'two'))
      fs.utimesSync(one, atime, mtime)
      const [found] = await verify(bench)
      assert.ok(found?.differences.includes('digest'), 'the digest is of something else')
    }, memory))

  it('moves with several of them', () =>
    withManyFiles(async (bench) => {
      fs.cpSync(bench.image, `${bench.image}-expected`, { recursive: true, preserveTimestamps: true })
      await merge({ ...bench, package: 'a', durability: 'none', jobs: 2, mode: 'move' })
      assert.deepEqual(compareTrees(bench.root, `${bench.image}-expected`, { ...withoutState, ignore: ['mtime'] }), [])
      assert.deepEqual(await verify(bench), [])
      assert.deepEqual(fs.readdirSync(bench.image), [])
    }))

  it('ends all of them when it is cancelled, and leaves nothing', () =>
    withManyFiles(async (bench) => {
      const abort = new AbortController()
      const onProgress = ({ phase }: { phase: string }) => {
        if (phase === 'stage') abort.abort(new Error('enough'))
      }
      const merging = merge({ ...bench, package: 'a', durability: 'none', jobs: 4, signal: abort.signal, onProgress })
      await assert.rejects(merging, /enough/)
      assert.deepEqual(fs.readdirSync(bench.root), ['var'])
    }))

  it('tells what one of them could not read, and leaves nothing', function () {
    if (!isRoot) this.skip()
    return withManyFiles(async (bench) => {
      const names = fs.readdirSync(bench.image, { recursive: true, encoding: 'utf8' })
      for (const name of ['', ...names]) fs.chownSync(join(bench.image, name), 65534, 65534)
      fs.chownSync(bench.root, 65534, 65534)
      fs.chmodSync(join(bench.root, '..'), 0o755)
      const files = names.filter((name) => /file-/.test(name)).sort()
      for (let index = 500; index < files.length; index += 50) fs.chmodSync(join(bench.image, files[index] ?? ''), 0)
      const words = ['merge', `${bench.image}=a`, '--root', bench.root, '--durability', 'none', '--jobs', '2']
      const ran = spawnSync(process.execPath, [command, ...words], { uid: 65534, gid: 65534, encoding: 'utf8' })
      assert.equal(ran.status, 3, ran.stderr)
      assert.match(ran.stderr, /EACCES.*openat.*file-\d+/)
      assert.deepEqual(fs.readdirSync(bench.root), ['var'])
    })
  })

  it('refuses a number that is none', () =>
    withManyFiles(async (bench) => {
      for (const jobs of [0, -1, 1.5, Number.NaN])
        await assert.rejects(merge({ ...bench, package: 'a', jobs }), InvalidArgumentError)
    }, 40))
})

describe('StageRunner', () => {
  /** Tasks that copy the files of one directory to another, and runners with kernels of their own. */
  function withTasks(
    body: (bench: { table: () => TaskTable; runner: (kernel: Kernel) => StageRunner; to: string }) => void,
  ): Promise<void> {
    return withDirectory(async (directory) => {
      const [from, to] = [join(directory, 'from'), join(directory, 'to')]
      fs.mkdirSync(from)
      fs.mkdirSync(to)
      for (let number = 0; number < 200; number++) fs.writeFileSync(join(from, `${number}`), `${number}`)
      const kernel = linuxKernel()
      const [source, target] = [from, to].map((path) => openPath(kernel, path, O_RDONLY | O_DIRECTORY)) as [
        number,
        number,
      ]
      const tasks = Array.from(
        { length: 200 },
        (_, number): StageTask => ({
          kind: 'copy',
          image: 0,
          directory: '',
          name: `${number}`,
          stagedDirectory: '',
          stagedName: `staged-${number}`,
          stat: kernel.statat(source, `${number}`),
          isPrivate: false,
          digests: true,
          identifies: false,
        }),
      )
      const shared = new TaskMemory().pack(tasks.length, (index) => tasks[index] as StageTask)
      const runner = (own: Kernel) => {
        const mover = new Mover(own)
        const check = () => {}
        const comparer = new Comparer(own, mover.policy, check)
        return new StageRunner({ mover, comparer, imageDirectory: () => source, rootDirectory: () => target, check })
      }
      body({ table: () => new TaskTable(shared), runner, to })
      kernel.close(source)
      kernel.close(target)
    })
  }

  it('takes every task once, however many there are', () =>
    withTasks(({ table, runner, to }) => {
      const taken: number[] = []
      const other = runner(linuxKernel())
      runner(linuxKernel()).run(table(), (tasks) => {
        taken.push(tasks)
        if (taken.length === 2) other.run(table(), (more) => taken.push(more))
      })
      assert.equal(
        taken.reduce((sum, each) => sum + each, 0),
        200,
      )
      assert.equal(fs.readdirSync(to).length, 200)
      assert.ok(
        Array.from({ length: 200 }, (_, index) => table().digestOf(index)).every((digest) => digest?.length === 32),
      )
    }))

  it('stops every other one at its next task when it fails', () =>
    withTasks(({ table, runner }) => {
      const kernel = linuxKernel()
      const failing = {
        ...kernel,
        pwrite: (): number => {
          throw new SyscallError('EIO', 'pwrite64')
        },
      }
      assert.throws(() => runner(failing).run(table()), { code: 'EIO' })
      const { kernel: recorded, calls } = recording(linuxKernel())
      assert.deepEqual(runner(recorded).run(table()).facts, [])
      assert.deepEqual(calls, [])
    }))

  it('makes no more calls for a small file of a new directory than the design says', () =>
    withTasks(({ table, runner }) => {
      const { kernel, calls } = recording(linuxKernel())
      runner(kernel).run(table())
      const last = calls.map(({ call }) => call).slice(-10)
      const all = ['openat', 'openat', 'pread', 'pwrite', 'fstat', 'listXattrs', 'fchmod', 'futimens', 'close', 'close']
      assert.deepEqual(last, all)
    }))
})
