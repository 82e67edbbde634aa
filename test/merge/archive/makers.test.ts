import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { BatchMaker } from '../../../src/merge/archive/batchMaker.ts'
import type { FileFacts } from '../../../src/merge/archive/fileMaker.ts'
import { BatchQueue, makeBatches } from '../../../src/merge/archive/makeBatches.ts'
import { CorruptImageError, UnsafeEntryError } from '../../../src/merge/errors.ts'
import { merge, NoSpaceError, readRecord, verify } from '../../../src/merge/index.ts'
import { Root } from '../../../src/merge/root.ts'
import { metadataPolicy } from '../../../src/movefile/index.ts'
import { type Kernel, linuxKernel, SyscallError, toName } from '../../../src/sys/index.ts'
import { compareTrees } from '../../support/compareTrees.ts'
import { failNth, shortCounts, trackDescriptors } from '../../support/kernelDoubles.ts'
import { rawMember, rawPax, rawTar } from '../../support/rawTar.ts'
import { withDirectory } from '../../support/scratch.ts'
import { randomBytes } from '../../support/tree.ts'
import { memory } from '../outcome.ts'

const own = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
const withoutState = { ignoreTop: true, ignoreNames: /^var(\/|$)/ }
const index = fileURLToPath(new URL('../../../src/merge/index.js', import.meta.url))

/** Members of more than the four mebibytes from which on threads help: small files, some large ones, and whatever must wait for them. */
function members(): Buffer[] {
  const all: Buffer[] = []
  const file = (name: string, payload: Buffer | string, header: object = {}) =>
    all.push(rawMember({ name, payload, ...own, ...header }))
  const directory = (name: string, mode = 0o755) => all.push(rawMember({ name, type: '5', mode, ...own }))
  for (const name of ['usr', 'usr/share', ...Array.from({ length: 7 }, (_, number) => `usr/share/d${number}`)])
    directory(name)
  for (let number = 0; number < 1500; number++) {
    const within = `usr/share/d${number % 7}`
    const payload = number % 100 === 0 ? randomBytes(200_000) : randomBytes((number * 37) % 3000)
    file(`${within}/f${number}`, payload, { mode: [0o644, 0o755, 0o600, 0o4755][number % 4] as number })
    if (number % 50 === 0)
      all.push(rawMember({ name: `h${number}`, type: '1', target: `${within}/f${number}`, ...own }))
    if (number % 60 === 0) file(`${within}/f${number}`, `again ${number}`)
    if (number % 70 === 0) all.push(rawMember({ name: `l${number}`, type: '2', target: 'usr/share', ...own }))
    if (number % 80 === 0)
      all.push(
        rawPax({ 'SCHILY.xattr.user.note': `${number}` }),
        rawMember({ name: `x${number}`, payload: 'x', ...own }),
      )
    if (number % 90 === 0) all.push(rawMember({ name: `${within}/p${number}`, type: '6', ...own }))
  }
  // Before 1970, and after 2262, when nanoseconds pass 64 bits.
  for (const mtime of ['-1.5', '10413792000.25']) {
    all.push(rawPax({ mtime }))
    file(`at${mtime}`, 'x')
  }
  directory('usr/share/d3', 0o700)
  return all
}

interface Bench {
  readonly directory: string
  readonly root: string
  merge(bytes: Buffer, options?: object): Promise<unknown>
}

function withBench(body: (bench: Bench) => Promise<void>): Promise<void> {
  return withDirectory(async (directory) => {
    const [root, image] = [join(directory, 'root'), join(directory, 'image')]
    fs.mkdirSync(root)
    await body({
      directory,
      root,
      merge: (bytes, options = {}) => {
        fs.writeFileSync(image, bytes)
        return merge({ root, image, package: 'p', durability: 'none', jobs: 2, ...options })
      },
    })
  }, memory)
}

function nothingIsLeft(root: string): void {
  assert.deepEqual(fs.readdirSync(root), ['var'])
  const state = fs.readdirSync(join(root, 'var/lib/rootmerge'))
  assert.deepEqual(
    state.filter((name) => name.startsWith('.rootmerge-')),
    [],
  )
}

/** A record without what differs from run to run. */
async function recordOf(root: string): Promise<string> {
  return Buffer.from(await readRecord({ root, package: 'p' })).toString('latin1')
}

describe('merge() of an archive whose files several threads make', function () {
  this.timeout(120_000)

  const kinds = {
    'a tar': (bytes: Buffer) => bytes,
    'a tar.gz': (bytes: Buffer) => gzipSync(bytes, { level: 1 }),
    'a tar.zst': (bytes: Buffer) => execFileSync('zstd', ['-qc'], { input: bytes, maxBuffer: 2 ** 26 }),
  }
  for (const [kind, pack] of Object.entries(kinds))
    it(`makes of ${kind} the same tree and the same record as one thread`, () =>
      withBench(async (bench) => {
        const bytes = pack(rawTar(...members()))
        const expected = join(bench.directory, 'expected')
        fs.mkdirSync(expected)
        await bench.merge(bytes, { root: expected, jobs: 1 })
        for (const jobs of [2, 4]) {
          const root = join(bench.directory, `root-${jobs}`)
          fs.mkdirSync(root)
          await bench.merge(bytes, { root, jobs })
          assert.deepEqual(compareTrees(root, expected, withoutState), [])
          assert.equal(await recordOf(root), await recordOf(expected))
          assert.deepEqual(await verify({ root }), [])
        }
      }))

  const wrongs: Readonly<
    Record<string, { member: Buffer; error: RegExp; kind: abstract new (...args: never[]) => Error }>
  > = {
    'a name that is too long': {
      member: Buffer.concat([rawPax({ path: 'n'.repeat(300) }), rawMember({ payload: 'x', ...own })]),
      error: /nnn.*longer than the file system allows/,
      kind: UnsafeEntryError,
    },
    'a file where a directory is': {
      member: rawMember({ name: 'usr/share/d1', payload: 'x', ...own }),
      error: /usr\/share\/d1.*is a directory in the same archive/,
      kind: UnsafeEntryError,
    },
    'a file inside a file that is on its way': {
      member: Buffer.concat([
        rawMember({ name: 'late', payload: 'x', ...own }),
        rawMember({ name: 'late/inside', payload: 'x', ...own }),
      ]),
      error: /late\/inside.*is inside a member that is no directory/,
      kind: UnsafeEntryError,
    },
  }
  for (const [what, { member, error, kind }] of Object.entries(wrongs))
    it(`refuses ${what}, and leaves nothing`, () =>
      withBench(async (bench) => {
        await assert.rejects(bench.merge(rawTar(...members(), member)), (thrown: unknown) => {
          assert.ok(thrown instanceof kind, String(thrown))
          assert.match(thrown.message, error)
          return true
        })
        nothingIsLeft(bench.root)
      }))

  it('refuses a payload that is not what was promised, and leaves nothing', () =>
    withBench(async (bench) => {
      const promise = rawPax({ 'APK-TOOLS.checksum.SHA1': '0'.repeat(40) })
      const bytes = rawTar(...members(), promise, rawMember({ name: 'last', payload: 'x', ...own }))
      await assert.rejects(bench.merge(bytes), (error: unknown) => {
        assert.ok(error instanceof CorruptImageError)
        assert.equal(error.entry, 'last')
        return true
      })
      nothingIsLeft(bench.root)
    }))

  it('refuses an archive that ends in the middle of a payload, and leaves nothing', () =>
    withBench(async (bench) => {
      const bytes = rawTar(...members(), rawMember({ name: 'last', payload: randomBytes(100_000), ...own }))
      await assert.rejects(bench.merge(bytes.subarray(0, bytes.length - 50_000)), /cut short/)
      nothingIsLeft(bench.root)
    }))

  it('ends all of them when it is cancelled, and leaves neither names nor descriptors', () =>
    withBench(async (bench) => {
      const bytes = rawTar(...members())
      const isOurs = (fd: string) => {
        try {
          return fs.readlinkSync(`/proc/self/fd/${fd}`).startsWith(bench.directory)
        } catch {
          return false // closed meanwhile: another thread's, or the one that listed them
        }
      }
      const cancelled = async () => {
        const abort = new AbortController()
        const onProgress = ({ phase }: { phase: string }) => {
          if (phase === 'unpack') abort.abort(new Error('enough'))
        }
        await assert.rejects(bench.merge(bytes, { signal: abort.signal, onProgress }), /enough/)
        nothingIsLeft(bench.root)
      }
      for (let time = 0; time < 5; time++) await cancelled()
      assert.deepEqual(fs.readdirSync('/proc/self/fd').filter(isOurs), [])
    }))

  it('undoes everything where the disk is full', function () {
    if (process.getuid?.() !== 0) {
      process.stderr.write('skipped: mounting needs root\n')
      return this.skip()
    }
    return withBench(async (bench) => {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'rootmerge-test', bench.root])
      try {
        await assert.rejects(bench.merge(rawTar(...members())), NoSpaceError)
        nothingIsLeft(bench.root)
      } finally {
        execFileSync('umount', [bench.root])
      }
    })
  })

  it('needs no more memory for an archive that is larger', () =>
    withDirectory(async (directory) => {
      const peakOf = (name: string, mebibytes: number) => {
        const [root, image] = [join(directory, `root-${name}`), join(directory, name)]
        fs.mkdirSync(root)
        const payload = randomBytes(2 ** 20)
        const fd = fs.openSync(image, 'w')
        for (let number = 0; number < mebibytes; number++)
          fs.writeSync(fd, rawMember({ name: `d/${number}`, payload, ...own }))
        fs.writeSync(fd, Buffer.alloc(1024))
        fs.closeSync(fd)
        execFileSync('zstd', ['-q', image])
        const script = `import { merge } from ${JSON.stringify(index)}
          await merge(${JSON.stringify({ root, image: `${image}.zst`, package: 'p', durability: 'none', jobs: 2 })})
          process.stdout.write(String(process.resourceUsage().maxRSS))`
        const ran = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' })
        assert.equal(ran.status, 0, ran.stderr)
        fs.rmSync(root, { recursive: true })
        fs.rmSync(image)
        return Number(ran.stdout) / 1024
      }
      const [small, large] = [peakOf('small', 20), peakOf('large', 300)]
      assert.ok(large < small + 40, `${large} MiB for 300 MiB, ${small} for 20`)
    }, memory))
})

describe('BatchMaker', () => {
  interface Batches {
    readonly queue: BatchQueue
    maker(kernel: Kernel): BatchMaker
    readonly tree: string
  }

  /** Three batches of ten files each. */
  function withBatches(body: (batches: Batches) => void): Promise<void> {
    return withDirectory(async (directory) => {
      const kernel = linuxKernel()
      const tree = new Root(kernel, toName(directory))
      const queue = new BatchQueue(makeBatches(true))
      for (let number = 0; number < 30; number++) {
        const payload = Buffer.from(`payload ${number}`)
        const facts: FileFacts = {
          path: `./f${number}`,
          ...own,
          mode: 0o644,
          mtimeNs: 1n,
          size: payload.length,
          xattrs: [],
        }
        payload.copy(queue.batch(queue.put).add({ name: `f${number}`, facts, start: undefined, place: number }))
        if (number % 10 === 9) queue.putNext()
      }
      const maker = (used: Kernel) => {
        const input = { policy: metadataPolicy({}), digests: true, image: 'image', file: undefined, check: () => {} }
        return new BatchMaker({ ...input, kernel: used, tree: Root.of(used, tree.fd) })
      }
      body({ queue, maker, tree: directory })
      tree.close()
    })
  }

  function runAll({ queue, maker }: Batches, kernel: Kernel): void {
    const own = maker(kernel)
    for (let number = queue.take(); number !== undefined; number = queue.take()) own.run(queue, number)
  }

  it('makes every file of every batch once, also where calls do less than they are asked', () =>
    withBatches((batches) => {
      runAll(batches, shortCounts(linuxKernel(), 3))
      assert.equal(fs.readdirSync(batches.tree).length, 30)
      for (let number = 0; number < 30; number++)
        assert.equal(fs.readFileSync(join(batches.tree, `f${number}`), 'utf8'), `payload ${number}`)
      assert.ok([0, 1, 2].every((number) => batches.queue.isDone(number)))
    }))

  it('names the file whose writes were lost, as close(2) says', () =>
    withBatches((batches) => {
      const written = new Set<number>()
      const kernel = linuxKernel()
      const losing: Kernel = {
        ...kernel,
        pwrite(fd, ...args) {
          written.add(fd)
          return kernel.pwrite(fd, ...args)
        },
        close(fd) {
          kernel.close(fd)
          if (written.delete(fd)) throw new SyscallError('EIO', 'close')
        },
      }
      const path = join(batches.tree, 'f0')
      assert.throws(() => runAll(batches, losing), {
        code: 'EIO',
        path,
        message: `EIO: input/output error, close '${path}'`,
      })
    }))

  it('stops every other one when a call of it fails, whichever, and leaves no descriptor open', async () => {
    for (let n = 1; ; n++) {
      let isOver = false
      await withBatches((batches) => {
        const tracked = trackDescriptors(linuxKernel())
        const failing = failNth(tracked.kernel, n, 'EIO')
        const other = linuxKernel()
        const before = tracked.open.size
        try {
          runAll(batches, failing.kernel)
          isOver = failing.seen.hit === undefined
          return
        } catch (error) {
          assert.equal((error as { code?: string }).code, 'EIO', String(error))
        }
        if (!batches.queue.hasFailed) return // it failed before it had taken anything
        assert.equal(batches.queue.take(), undefined)
        const made = fs.readdirSync(batches.tree).length
        runAll(batches, other)
        assert.equal(fs.readdirSync(batches.tree).length, made)
        assert.ok(tracked.open.size - before <= 2, [...tracked.open.values()].join()) // the tree's own
      })
      if (isOver) return assert.ok(n > 100, `${n} calls`)
    }
  })
})
