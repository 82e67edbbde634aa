import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { CorruptImageError, list, merge, UnsafeEntryError, verify } from '../../../src/merge/index.ts'
import { needRoot } from '../../support/nativePackages.ts'
import { withDirectory } from '../../support/scratch.ts'
import { type RpmSpec, rpmOf } from '../../support/specRpm.ts'

const one = { path: '/usr/one', data: 'one' }
const two = { path: '/usr/two', data: 'two' }
const link = { path: '/usr/link', mode: 0o120777, target: 'one' }

function tryMerge(bytes: Buffer, check: (root: string, outcome: Error | undefined) => Promise<void>): Promise<void> {
  return withDirectory(async (directory) => {
    const [root, image] = [join(directory, 'root'), join(directory, 'package')]
    fs.mkdirSync(root)
    fs.writeFileSync(image, bytes)
    const outcome = await merge({ root, image, package: 'tool', durability: 'none' }).then(
      () => undefined,
      (error: Error) => error,
    )
    await check(root, outcome)
  })
}

/** A package with four bytes of its own header bent: behind the lead, the intro of the signature is at 96. */
function withSignature(at: number, value: number): Buffer {
  const bytes = rpmOf({ files: [one] })
  bytes.writeUInt32BE(value, 96 + at)
  return bytes
}

/** A package whose payload's first member has another magic number. */
function withMagic(magic: string): Buffer {
  const bytes = rpmOf({ files: [one] })
  bytes.write(magic, bytes.indexOf('070701'), 'latin1')
  return bytes
}

const hostile: readonly [what: string, bytes: () => Buffer, reason: RegExp][] = [
  ['four thousand million tags', () => withSignature(8, 0xffffffff), /a header of 4294967295 tags/],
  ['four gibibytes of data', () => withSignature(12, 0xfffffff0), /4294967280 bytes/],
  ['a tag that points outside', () => withSignature(24, 0x0fffffff), /tag 273 points outside/],
  [
    'a tag with more values than there is data',
    () => withSignature(28, 0x0fffffff),
    /string without an end|points outside/,
  ],
  [
    'another digest of the header',
    () => rpmOf({ files: [one], signature: { 273: 'f'.repeat(64) } }),
    /sha256 of its header/,
  ],
  ['a source package', () => rpmOf({ files: [one], leadType: 1 }), /source package/],
  ['no name', () => rpmOf({ files: [one], tags: { 1000: undefined } }), /does not name the package/],
  ['a payload of another kind', () => rpmOf({ files: [one], tags: { 1124: 'drpm' } }), /a drpm, not a cpio/],
  [
    'fewer modes than files',
    () => rpmOf({ files: [one, two], tags: { 1030: { int16: [0o100644] } } }),
    /2 files, but 1 modes/,
  ],
  ['more digests than files', () => rpmOf({ files: [one], tags: { 1035: ['', ''] } }), /1 files, but 2 digests/],
  [
    'a directory that there is not',
    () => rpmOf({ files: [one], tags: { 1116: { int32: [7] } } }),
    /directory 7, which there is not/,
  ],
  ['a file of no type', () => rpmOf({ files: [{ ...one, mode: 0o644 }] }), /of no known type/],
  [
    'a digest of a file that is another',
    () => rpmOf({ files: [{ ...one, digest: '0'.repeat(64) }] }),
    /sha256 is .*, not 0000/,
  ],
  [
    'a payload digest that is another',
    () => rpmOf({ files: [one], tags: { 5092: ['0'.repeat(64)], 5093: { int32: [8] } } }),
    /sha256 of its payload/,
  ],
  [
    'a size in the header that is another',
    () => rpmOf({ files: [{ ...one, size: 99 }] }),
    /has 3 bytes, and the header says 99/,
  ],
  [
    'a size in the payload beyond its end',
    () => rpmOf({ files: [one], payload: [{ ...one, size: 0x7fffffff }] }),
    /has 2147483647 bytes|cut short/,
  ],
  [
    'a file that the header does not have',
    () => rpmOf({ files: [one], payload: [one, two] }),
    /not in the header .*two/,
  ],
  [
    'a file that the payload does not have',
    () => rpmOf({ files: [one, two], payload: [one] }),
    /no such file .*usr\/two/,
  ],
  ['a file that comes twice', () => rpmOf({ files: [one], payload: [one, one] }), /comes twice/],
  ['a ghost that comes', () => rpmOf({ files: [one], tags: { 1037: { int32: [64] } } }), /or is a ghost/],
  ['no trailer', () => rpmOf({ files: [one], trailer: false }), /cut short/],
  [
    'a symlink that points elsewhere',
    () => rpmOf({ files: [link], payload: [{ path: link.path, mode: link.mode, data: '/tmp' }] }),
    /points elsewhere/,
  ],
  [
    'contents before the last of the links',
    () =>
      rpmOf({
        files: [
          { ...one, inode: 5 },
          { ...two, data: 'one', inode: 5 },
        ],
      }),
    /before the last of its links/,
  ],
  ['a name that leads upwards', () => rpmOf({ files: [{ path: '/usr/../../up', data: 'x' }] }), /upwards/],
  [
    'a name of a million bytes',
    () => rpmOf({ files: [one], payload: [{ path: `/${'x'.repeat(1_000_000)}`, data: '' }] }),
    /a name of 1000003 bytes/,
  ],
  ['a member that begins otherwise', () => withMagic('0707\x1b7'), /no member of a cpio is here \('0707\?7'\)/],
  [
    'a field of a member that is no number',
    () => rpmOf({ files: [one], stripped: [{ number: '-0000001' }] }),
    /'-0000001' is no number of a cpio header/,
  ],
  [
    'bytes for a terminal where a number is to be',
    () => rpmOf({ files: [one], stripped: [{ number: '\x1b[2J\x07123' }] }),
    /'\?\[2J\?123' is no number/,
  ],
  [
    'a number of a file that there is not',
    () => rpmOf({ files: [one], stripped: [{ number: 0, data: 'one' }, { number: 1 }] }),
    /not in the header .*file 1/,
  ],
  [
    'a number that comes twice',
    () => rpmOf({ files: [one], stripped: [0, 0].map((number) => ({ number, data: 'one' })) }),
    /comes twice/,
  ],
  [
    'a file inside its own symlink',
    () => rpmOf({ files: [link, { path: '/usr/link/in', data: 'x' }] }),
    /inside .*a symlink/,
  ],
]

describe('hostile rpm packages', function () {
  this.timeout(60_000)

  it('the maker of them makes good ones too', () =>
    tryMerge(
      rpmOf({ files: [one, { ...two, data: '', inode: 1 }, link].map((file) => ({ ...file })) }),
      async (root, outcome) => {
        // Two names of one inode: the contents come with the last of them, so this order is refused …
        assert.match(String(outcome), /before the last of its links/)
        const spec: RpmSpec = {
          files: [{ ...two, data: 'one', inode: 1 }, { ...one, inode: 1 }, link],
          payload: [{ path: two.path, data: '' }, one, { path: link.path, mode: link.mode, data: 'one' }],
        }
        await tryMerge(rpmOf(spec), async (good, none) => {
          assert.equal(none, undefined) // … and this one is right
          assert.equal(fs.statSync(join(good, 'usr/two')).ino, fs.statSync(join(good, 'usr/one')).ino)
          assert.equal(fs.readlinkSync(join(good, 'usr/link')), 'one')
        })
        assert.ok(!fs.existsSync(join(root, 'usr')))
      },
    ))

  it('a payload without names is made of what the header says of each number', () => {
    const spec: RpmSpec = {
      files: [
        { path: '/usr/one', data: 'one', mode: 0o100755 },
        { path: '/usr/link', mode: 0o120777, target: 'one' },
        { path: '/usr/first', data: 'shared', inode: 9 },
        { path: '/usr/last', data: 'shared', inode: 9 },
        { path: '/usr/empty', data: '' },
      ],
      tags: { 1028: undefined, 5008: { int64: [3, 0, 6, 6, 0] } }, // sizes as such packages have them
      stripped: [
        { number: 4 }, // in any order; the contents of links come with the last of them
        { number: 0, data: 'one' },
        { number: 1, data: 'one' },
        { number: 2 },
        { number: 3, data: 'shared' },
      ],
    }
    return tryMerge(rpmOf(spec), async (root, outcome) => {
      assert.equal(outcome, undefined)
      const read = (name: string) => fs.readFileSync(join(root, 'usr', name), 'latin1')
      assert.deepEqual(['one', 'last', 'empty'].map(read), ['one', 'shared', ''])
      assert.equal(fs.statSync(join(root, 'usr/one')).mode & 0o7777, 0o755)
      assert.equal(fs.readlinkSync(join(root, 'usr/link')), 'one')
      assert.equal(fs.statSync(join(root, 'usr/first')).ino, fs.statSync(join(root, 'usr/last')).ino)
      assert.deepEqual(await verify({ root }), [])
    })
  })

  it('a device has both its numbers', function () {
    needRoot(this)
    const files = [
      { path: '/dev/block', mode: 0o060600 },
      { path: '/dev/character', mode: 0o020644 },
    ]
    return tryMerge(rpmOf({ files, tags: { 1033: { int16: [0x0801, 0x0103] } } }), async (root, outcome) => {
      assert.equal(outcome, undefined)
      const [block, character] = ['dev/block', 'dev/character'].map((name) => fs.lstatSync(join(root, name)))
      assert.deepEqual([block?.isBlockDevice(), block?.rdev], [true, 0x801])
      assert.deepEqual([character?.isCharacterDevice(), character?.rdev], [true, 0x103])
    })
  })

  for (const [what, bytes, reason] of hostile) {
    it(`${what}: is refused, and nothing is changed`, () =>
      tryMerge(bytes(), async (root, outcome) => {
        assert.ok(outcome instanceof CorruptImageError || outcome instanceof UnsafeEntryError, String(outcome))
        assert.match(outcome.message, reason)
        assert.deepEqual(await list({ root }), [])
        assert.ok(!fs.existsSync(join(root, 'usr')))
      }))
  }
})
