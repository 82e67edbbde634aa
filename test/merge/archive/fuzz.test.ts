import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { unpackArchive } from '../../../src/merge/archive/unpack.ts'
import { CorruptImageError, UnsafeEntryError } from '../../../src/merge/errors.ts'
import { Root } from '../../../src/merge/root.ts'
import { MetadataLostError, metadataPolicy } from '../../../src/movefile/index.ts'
import { CancelFlag, isSyscallError, linuxKernel, retryInterrupted, toName } from '../../../src/sys/index.ts'
import { rawLongName, rawMember, rawPax, rawTar } from '../../support/rawTar.ts'
import { withDirectory } from '../../support/scratch.ts'
import { differencesBetween, snapshot } from '../../support/snapshot.ts'
import { writeTree } from '../../support/tree.ts'

const flips = process.env.ROOTMERGE_TEST_FULL === '1' ? 100_000 : 1000
/** The same flips each time: a generator of Lehmer's. */
let state = 20261121
const random = (below: number): number => {
  state = (state * 48271) % 0x7fffffff
  return state % below
}

/** Archives with one of everything that a header can say. */
function archives(directory: string): Buffer[] {
  const source = join(directory, 'source')
  fs.mkdirSync(source)
  writeTree(
    source,
    `d 0755 /d user.x="1"\nf 0644 /d/f "bytes"\nh /d/h == /d/f\nl /d/l -> f\np /d/p\nf /sparse "a" hole:64K "b" hole:64K "c" hole:64K "d" hole:64K "e" hole:64K "f"\nf /${'n'.repeat(150)} "long"`,
  )
  const written = ['posix', 'gnu', 'ustar'].map((format) => {
    const flags = { posix: ['--xattrs', '--sparse'], gnu: ['--sparse'], ustar: [] }[format] ?? []
    const names = format === 'ustar' ? ['d'] : ['.']
    return execFileSync('tar', ['--format', format, ...flags, '-b1', '-C', source, '-c', ...names])
  })
  const raw = rawTar(
    rawPax({ comment: 'global' }, 'g'),
    rawPax({
      path: 'p/x',
      mtime: '1.5',
      uid: '7',
      'SCHILY.xattr.user.a': 'v',
      'SCHILY.acl.access': 'user::rw-,user:7:r--,group::r--,mask::r--,other::---',
    }),
    rawMember({ payload: 'payload' }),
    rawLongName('l'.repeat(120)),
    rawMember({ payload: 'x' }),
    rawMember({ name: 'c', type: '3', device: [1, 3] }),
  )
  return [...written, raw]
}

/** One to four bytes changed, mostly in headers, and most checksums made right again: so that the change is read. */
function flipped(archive: Buffer): Buffer {
  const copy = Buffer.from(archive)
  const blocks = copy.length / 512
  for (let change = random(4) + 1; change > 0; change--) {
    const start = random(blocks) * 512
    const offset = start + random(512)
    copy.writeUInt8(random(3) === 0 ? random(256) : copy.readUInt8(offset) ^ (1 << random(8)), offset)
    if (random(8) !== 0 && /^ustar/.test(copy.toString('latin1', start + 257, start + 262))) repairChecksum(copy, start)
  }
  return copy
}

function repairChecksum(bytes: Buffer, start: number): void {
  bytes.fill(' ', start + 148, start + 156)
  const sum = bytes.subarray(start, start + 512).reduce((total, byte) => total + byte, 0)
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, start + 148)
}

/** Refusals that name what is wrong; anything else is a bug. */
function isRefusal(error: unknown): boolean {
  // A type or mode that this file system does not take, an attribute that it has no place for.
  if (isSyscallError(error, 'EINVAL', 'EPERM', 'EOPNOTSUPP', 'EFBIG', 'ENOTEMPTY', 'EMLINK')) return true
  return error instanceof CorruptImageError || error instanceof UnsafeEntryError || error instanceof MetadataLostError
}

describe('headers with flipped bits', function () {
  this.timeout(3_600_000)

  it(`are read or refused, ${flips} times over: no hang, no crash, no escape, no unbounded memory`, () =>
    withDirectory(async (directory) => {
      const around = join(directory, 'around')
      writeTree(directory, 'f 0600 /around/outside/secret "not yours"\nd /around/spool')
      const kernel = retryInterrupted(linuxKernel())
      const spool = { root: new Root(kernel, toName(join(around, 'spool'))), name: '' }
      const originals = archives(directory)
      const image = join(directory, 'image')
      const before = snapshot(around, { directoryTimes: false })
      const outcomes = { read: 0, refused: 0 }
      let slowest = 0
      for (let round = 0; round < flips; round++) {
        const bytes = flipped(originals[round % originals.length] as Buffer)
        fs.writeFileSync(image, round % 50 === 0 ? gzipSync(bytes) : bytes)
        const unpacking = {
          kernel,
          cancel: new CancelFlag(),
          spool,
          options: { limits: { bytes: 2 ** 24, holes: 2 ** 24 } },
          policy: metadataPolicy({}),
          digests: true,
          onEntry: () => {},
        }
        const start = performance.now()
        try {
          unpackArchive(unpacking, toName(image)).remove()
          outcomes.read++
        } catch (error) {
          if (!isRefusal(error)) throw new Error(`round ${round}: ${String(error)}`, { cause: error })
          outcomes.refused++
        }
        slowest = Math.max(slowest, performance.now() - start)
        if (round % 500 === 0)
          assert.deepEqual(
            differencesBetween(snapshot(around, { directoryTimes: false }), before),
            [],
            `round ${round}`,
          )
      }
      spool.root.close()
      assert.deepEqual(differencesBetween(snapshot(around, { directoryTimes: false }), before), [])
      const mebibytes = Math.round(process.memoryUsage().rss / 2 ** 20)
      process.stdout.write(
        `      ${outcomes.read} read, ${outcomes.refused} refused, the slowest in ${Math.round(slowest)} ms, ${mebibytes} MiB\n`,
      )
      assert.ok(outcomes.read > flips / 20 && outcomes.refused > flips / 20, JSON.stringify(outcomes))
      assert.ok(slowest < 30_000, `one took ${slowest} ms`)
      assert.ok(mebibytes < 1024, `${mebibytes} MiB`)
    }))
})
