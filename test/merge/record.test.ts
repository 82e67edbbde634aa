import assert from 'node:assert/strict'
import fc from 'fast-check'
import { styleNames } from '../../src/merge/config/styles.ts'
import { type RecordedEntry, type Unknown, unknowns } from '../../src/merge/entry.ts'
import { CorruptRecordError } from '../../src/merge/errors.ts'
import { type PackageRecord, parseRecord, recordBytes } from '../../src/merge/record.ts'

/** Objects as the parser makes them: with Object's prototype. */
const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) => fc.record<T>(model, { noNullPrototype: true })

const bytes = fc.uint8Array({ minLength: 1, maxLength: 20 }).map((array) => Buffer.from(array).toString('latin1'))
const name = bytes.filter((text) => !text.includes('\0') && !text.startsWith('/'))
const metadata = {
  name,
  uid: fc.nat(0xfffffffe),
  gid: fc.nat(0xfffffffe),
  mode: fc.nat(0o7777),
  mtimeNs: fc.bigInt(-(2n ** 62n), 2n ** 62n),
  xattrs: fc.array(
    record({
      name: name.filter((text) => !text.includes(' ')),
      value: fc.uint8Array().map((array) => Buffer.from(array)),
    }),
    { maxLength: 2 },
  ),
}
const hexDigest = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((array) => Buffer.from(array).toString('hex'))
const entry: fc.Arbitrary<RecordedEntry> = fc.oneof(
  record({ ...metadata, type: fc.constant('file' as const), size: fc.maxSafeNat(), sha256: hexDigest }),
  record({ ...metadata, type: fc.constant('file' as const), size: fc.maxSafeNat() }),
  record({ ...metadata, type: fc.constant('file' as const), size: fc.nat(), sha256: hexDigest, linkTo: name }),
  record({ ...metadata, type: fc.constantFrom('directory' as const, 'fifo' as const), size: fc.constant(0) }),
  record({ ...metadata, type: fc.constant('symlink' as const), size: fc.constant(0), target: name }),
  record({
    ...metadata,
    type: fc.constantFrom('character' as const, 'block' as const),
    size: fc.constant(0),
    rdev: record({ major: fc.nat(4095), minor: fc.nat(0xfffff) }),
  }),
)

/** As another installer's database has it: with what is not known taken out, as the parser leaves it out. */
function foreign(known: RecordedEntry, facts: readonly Unknown[], digest: string, isConfig: boolean): RecordedEntry {
  const unknown = new Set(facts)
  const { sha256: _, target, rdev, ...rest } = known
  const algorithm = ({ 32: 'md5', 40: 'sha1', 96: 'sha384', 128: 'sha512' } as const)[digest.length] ?? 'sha256'
  return {
    ...rest,
    ...(unknown.has('owner') ? { uid: 0 } : {}),
    ...(unknown.has('group') ? { gid: 0 } : {}),
    ...(unknown.has('mode') ? { mode: 0 } : {}),
    ...(unknown.has('mtime') ? { mtimeNs: 0n } : {}),
    ...(unknown.has('size') ? { size: 0 } : {}),
    ...(target === undefined || unknown.has('link') ? {} : { target }),
    ...(rdev === undefined || unknown.has('device') ? {} : { rdev }),
    foreignDigest: { algorithm, value: digest },
    ...(isConfig ? { isConfig } : {}),
    ...(isConfig && known.type === 'directory' ? { isKept: true } : {}),
    ...(unknown.size === 0 ? {} : { unknown }),
  }
}

const foreignEntry = fc
  .tuple(entry, fc.uniqueArray(fc.constantFrom(...unknowns)), fc.constantFrom(10, 32, 40, 96, 128), fc.boolean())
  .map(([known, facts, digits, isConfig]) => foreign(known, facts, 'a'.repeat(digits), isConfig))

function format(record: PackageRecord): Buffer {
  return Buffer.concat([...recordBytes(record)])
}

describe('recordBytes()', () => {
  it('is read back as the same entries, whatever their names are', () => {
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 8 }), (entries) => {
        const written = { packageName: 'cat/pkg-1', entries }
        assert.deepEqual(parseRecord(format(written), 'record'), written)
      }),
    )
  })

  it('is read back with what it does not know, and with digests of every kind', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(entry, foreignEntry), { maxLength: 8 }), (entries) => {
        const written = { packageName: 'dpkg:bash', entries }
        assert.deepEqual(parseRecord(format(written), 'record'), written)
      }),
    )
  })

  it('is read back with what protection remembers, and with the names that were left out', () => {
    const versions = fc.array(hexDigest, { maxLength: 3 })
    const protections = fc.tuple(entry, fc.constantFrom(...styleNames), fc.option(hexDigest), versions, versions)
    fc.assert(
      fc.property(
        fc.array(protections, { maxLength: 4 }),
        fc.array(name, { maxLength: 3 }),
        (protectedOnes, leftOut) => {
          const entries = protectedOnes.map(([known, style, base, present, absent]) => {
            const offered = present.length + absent.length > 0 ? { offered: { present, absent } } : {}
            return { ...known, protection: { style, ...(base === null ? {} : { base }), ...offered } }
          })
          const record = { packageName: 'cat/pkg-1', entries, ...(leftOut.length > 0 ? { leftOut } : {}) }
          assert.deepEqual(parseRecord(format(record), 'record'), record)
        },
      ),
    )
  })

  it('says once what is unknown of many entries, as mtree does with /set, and leaves the keywords out', () => {
    const known = { name: 'a', type: 'file', uid: 1, gid: 2, mode: 0o644, mtimeNs: 0n, size: 1, xattrs: [] } as const
    const unsaid = foreign(known, ['mode', 'owner', 'mtime', 'missing'], 'b'.repeat(32), true)
    const lines = format({ packageName: 'p', entries: [unsaid, { ...unsaid, name: 'c' }, known] })
    assert.deepEqual(lines.toString('latin1').split('\n').slice(3, -2), [
      '# rootmerge unknown missing mode owner mtime',
      '# rootmerge config',
      `./a type=file gid=2 size=1 md5digest=${'b'.repeat(32)} optional`,
      '# rootmerge config',
      `./c type=file gid=2 size=1 md5digest=${'b'.repeat(32)} optional`,
      '# rootmerge unknown',
      './a type=file uid=1 gid=2 mode=0644 time=0.000000000 size=1',
    ])
  })

  it('writes one printable line an entry, and comments that mtree passes over', () => {
    const entries: RecordedEntry[] = [
      {
        name: 'odd name\n#\\\xff',
        type: 'file',
        uid: 0,
        gid: 5,
        mode: 0o4755,
        mtimeNs: 1_500_000_000_000_000_007n,
        size: 3,
        xattrs: [{ name: 'user.note', value: Buffer.from('x') }],
      },
    ]
    const lines = format({ packageName: 'pkg', entries }).toString('latin1').split('\n')
    assert.equal(lines[0], '#mtree')
    assert.equal(lines[2], '. type=dir')
    assert.equal(lines[3], '# rootmerge xattr user.note eA==')
    assert.equal(
      lines[4],
      './odd\\040name\\012\\043\\134\\377 type=file uid=0 gid=5 mode=4755 time=1500000000.000000007 size=3',
    )
  })
})

describe('parseRecord()', () => {
  const entries: RecordedEntry[] = [
    { name: 'a', type: 'directory', uid: 0, gid: 0, mode: 0o755, mtimeNs: 0n, size: 0, xattrs: [] },
    { name: 'a/b', type: 'file', uid: 0, gid: 0, mode: 0o644, mtimeNs: 1n, size: 9, xattrs: [] },
  ]
  const text = format({ packageName: 'pkg', entries })

  it('refuses a record that was cut anywhere', () => {
    for (let length = 0; length < text.length; length++) {
      assert.throws(() => parseRecord(text.subarray(0, length), 'file'), CorruptRecordError, `cut at ${length}`)
    }
  })

  it('refuses a record with any byte changed, and names file and line', () => {
    for (let offset = 0; offset < text.length; offset++) {
      const damaged = Buffer.from(text)
      damaged[offset] = (damaged[offset] as number) ^ 1
      assert.throws(
        () => parseRecord(damaged, '/root/record'),
        (error) => error instanceof CorruptRecordError && error.file === '/root/record' && error.line >= 1,
        `changed at ${offset}`,
      )
    }
  })
})
