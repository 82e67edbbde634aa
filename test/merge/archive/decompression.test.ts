import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { ByteSource } from '../../../src/merge/archive/byteSource.ts'
import { throughPackage } from '../../../src/merge/archive/decodingPackages.ts'
import { decompressed } from '../../../src/merge/archive/decompression.ts'
import { CorruptImageError } from '../../../src/merge/index.ts'
import { CancelFlag, type DecoderName, openDecoder } from '../../../src/sys/index.ts'
import { randomBytes } from '../../support/tree.ts'

/** Bytes that compress in part, and are more than any buffer on the way. */
const plain = Buffer.concat([randomBytes(700_000), Buffer.alloc(3_000_000, 'rootmerge '), randomBytes(5)])

const tools = {
  gzip: ['gzip', '-nc'],
  xz: ['xz', '-c', '-1'],
  lzma: ['xz', '--format=lzma', '-c', '-1'],
  zstd: ['zstd', '-qc'],
  bzip2: ['bzip2', '-c'],
} as const
type Name = keyof typeof tools

function compress(name: Name, bytes: Buffer): Buffer {
  const [tool, ...flags] = tools[name]
  return execFileSync(tool, flags, { input: bytes, maxBuffer: 2 ** 26 })
}

/** The bytes in pieces of odd lengths, so that nothing falls on a boundary. */
function sourceOf(bytes: Buffer, piece = 70_001): ByteSource {
  const pieces: Buffer[] = []
  for (let start = 0; start < bytes.length; start += piece) pieces.push(bytes.subarray(start, start + piece))
  return new ByteSource('image', pieces)
}

function readAll(source: Iterable<Buffer>): Buffer {
  const chunks: Buffer[] = []
  for (const chunk of source) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
}

async function readStream(source: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of source) chunks.push(chunk)
  return Buffer.concat(chunks)
}

for (const decodesBeside of [false, true])
  describe(`decompressed() in ${decodesBeside ? 'a thread of its own' : 'the thread at hand'}`, () => {
    const how = { cancel: new CancelFlag(), decodesBeside }
    const compressed = new Map<Name, Buffer>()
    before(() => {
      for (const name of Object.keys(tools) as Name[]) compressed.set(name, compress(name, plain))
    })
    const bytesOf = (name: Name) => compressed.get(name) as Buffer

    it('passes on what is not compressed', () => {
      assert.ok(readAll(decompressed(sourceOf(plain), how)).equals(plain))
    })

    for (const name of Object.keys(tools) as Name[]) {
      it(`gives what ${name} compressed, told by its first bytes`, () => {
        assert.ok(readAll(decompressed(sourceOf(bytesOf(name)), how)).equals(plain))
      })

      it(`reads several ${name} streams as one`, () => {
        const twice = Buffer.concat([bytesOf(name), compress(name, Buffer.from('and more'))])
        const expected = Buffer.concat([plain, Buffer.from('and more')])
        assert.ok(readAll(decompressed(sourceOf(twice), how)).equals(expected))
      })

      it(`refuses ${name} data that end early, wherever they do`, () => {
        const bytes = bytesOf(name)
        const lengths = [20, 1000, bytes.length >> 1, bytes.length - 20, bytes.length - 1]
        for (const length of lengths) {
          const source = decompressed(sourceOf(bytes.subarray(0, length)), how)
          assert.throws(() => readAll(source), CorruptImageError, `${length} of ${bytes.length} bytes`)
        }
      })

      it(`refuses ${name} data that were changed`, () => {
        const bytes = Buffer.from(bytesOf(name))
        const middle = bytes.length >> 1
        bytes.writeUInt8(bytes.readUInt8(middle) ^ 0x55, middle)
        assert.throws(
          () => readAll(decompressed(sourceOf(bytes), how)),
          (error: unknown) => {
            assert.ok(error instanceof CorruptImageError)
            assert.ok(error.offset !== undefined && error.offset < plain.length, `offset ${error.offset}`)
            return true
          },
        )
      })
    }

    // RFC 8878, 3.1.2: a magic number of sixteen, a length, and so many bytes.
    const skipped = (last: number) => Buffer.from([0x50 + last, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3])
    const between: Readonly<Record<string, { name: Name; before: Buffer; between: Buffer }>> = {
      'zstd frames with others before them that are to be skipped, as pzstd writes them': {
        name: 'zstd',
        before: skipped(0),
        between: skipped(15),
      },
      'xz streams with padding between them': { name: 'xz', before: Buffer.alloc(0), between: Buffer.alloc(8) },
    }
    for (const [what, { name, before, between: gap }] of Object.entries(between))
      it(`reads ${what}`, () => {
        const source = sourceOf(Buffer.concat([before, bytesOf(name), gap, compress(name, Buffer.from('more')), gap]))
        assert.ok(readAll(decompressed(source, how)).equals(Buffer.concat([plain, Buffer.from('more')])))
        assert.equal(readAll(source).length, 0)
      })

    for (const name of ['gzip', 'xz', 'lzma', 'zstd', 'bzip2'] as const) {
      it(`leaves to the source what follows the ${name} data`, () => {
        const source = sourceOf(Buffer.concat([bytesOf(name), Buffer.from('XPAKPACK')]))
        assert.ok(readAll(decompressed(source, how)).equals(plain))
        assert.equal(readAll(source).toString(), 'XPAKPACK')
      })
    }
  })

describe('openDecoder()', () => {
  for (const name of ['gzip', 'xz', 'lzma', 'zstd', 'bzip2'] as DecoderName[]) {
    it(`finds the C library for ${name}, which every Debian has`, () => {
      const decoder = openDecoder(name)
      assert.ok(decoder !== undefined)
      decoder.close()
    })
  }
})

describe('throughPackage()', () => {
  for (const name of ['gzip', 'xz', 'lzma', 'zstd', 'bzip2'] as const) {
    it(`gives what ${name} compressed where there is no C library, and refuses what is cut short`, async () => {
      const small = plain.subarray(600_000, 1_000_000)
      const bytes = compress(name, small)
      const chunks = await throughPackage(name, sourceOf(bytes))
      assert.ok(chunks !== undefined, `the npm package for ${name} is not installed`)
      assert.ok((await readStream(chunks)).equals(small))
      for (const length of [1000, bytes.length >> 1, bytes.length - 1]) {
        const cut = await throughPackage(name, sourceOf(bytes.subarray(0, length)))
        await assert.rejects(readStream(cut as AsyncIterable<Buffer>), `${length} of ${bytes.length} bytes`)
      }
    })
  }
})
