// What of a file in an rpm header may be compared, as rpmVerifyFile of rpm's lib/verify.c has it.

import assert from 'node:assert/strict'
import { noAccounts } from '../../../src/merge/accounts.ts'
import type { RecordedEntry } from '../../../src/merge/entry.ts'
import { recordedRpmFile } from '../../../src/merge/formats/rpmEntry.ts'
import type { RpmFile } from '../../../src/merge/formats/rpmFiles.ts'

const digest = { algorithm: 'sha256', value: 'ab'.repeat(32) } as const

const plain: RpmFile = {
  name: 'usr/bin/tool',
  type: 'file',
  mode: 0o755,
  user: 'root',
  group: 'root',
  size: 4,
  mtimeNs: 1_500_000_000_000_000_000n,
  target: undefined,
  rdev: undefined,
  digest,
  capabilities: '',
  inode: 1,
  isConfig: false,
  isNoReplace: false,
  isGhost: false,
  mayBeMissing: false,
  unverified: new Set(),
  isInstalled: true,
}

/** What is unknown beside attributes, of which rpm has capabilities alone. */
function unknownOf(file: Partial<RpmFile>): string[] {
  return [...(recorded(file).unknown ?? [])].filter((fact) => fact !== 'xattrs').sort()
}

const recorded = (file: Partial<RpmFile>): RecordedEntry => recordedRpmFile({ ...plain, ...file }, noAccounts)

const cases: readonly (readonly [title: string, file: Partial<RpmFile>, unknown: readonly string[]])[] = [
  ['a plain file: everything', {}, []],
  ['a ghost: neither contents nor time', { isGhost: true }, ['link', 'mtime', 'size']],
  ['%missingok: its absence is no fault', { mayBeMissing: true }, ['missing']],
  ['a symlink: no time', { type: 'symlink', target: 'x' }, ['mtime']],
  ['a directory: no time', { type: 'directory' }, ['mtime']],
  ['%verify(not size mtime): neither', { unverified: new Set(['size', 'mtime']) }, ['mtime', 'size']],
  ['%verify(not filedigest): all but contents', { unverified: new Set(['digest']) }, []],
  ['an owner that the root does not know', { user: 'tool' }, ['owner']],
  ['a group that the root does not know', { group: 'tool' }, ['group']],
]

describe('a file of an rpm header, as a record', () => {
  for (const [title, file, unknown] of cases) {
    it(`says what can be compared of ${title}`, () => assert.deepEqual(unknownOf(file), unknown))
  }

  it('has no value of what cannot be compared', () => {
    const { size, mtimeNs, mode, uid, gid } = recorded({
      unverified: new Set(['size', 'mtime', 'mode', 'owner', 'group']),
    })
    assert.deepEqual([size, mtimeNs, mode, uid, gid], [0, 0n, 0, 0, 0])
    assert.equal(recorded({ type: 'symlink', target: 'x', unverified: new Set(['link']) }).target, undefined)
    const disk = { type: 'block', rdev: { major: 8, minor: 1 } } as const
    assert.deepEqual(recorded(disk).rdev, disk.rdev)
    assert.equal(recorded({ ...disk, unverified: new Set(['device']) }).rdev, undefined)
  })

  it('keeps a digest as what it is, unless it is not to be compared', () => {
    assert.equal(recorded({}).sha256, digest.value)
    const old = { algorithm: 'md5', value: 'cd'.repeat(16) } as const
    assert.deepEqual([recorded({ digest: old }).sha256, recorded({ digest: old }).foreignDigest], [undefined, old])
    for (const without of [{ isGhost: true }, { unverified: new Set(['digest'] as const) }, { digest: undefined }])
      assert.deepEqual([recorded(without).sha256, recorded(without).foreignDigest], [undefined, undefined])
  })

  it('has capabilities as the kernel stores them, and says what is configuration', () => {
    const [capability, ...more] = recorded({ capabilities: 'cap_net_raw=ep' }).xattrs
    assert.deepEqual([capability?.name, more], ['security.capability', []])
    // struct vfs_cap_data of linux/capability.h: revision 2 with the effective bit; cap_net_raw is number 13
    assert.equal(Buffer.from(capability?.value ?? []).toString('hex'), `01000002${'00200000'}${'00'.repeat(12)}`)
    assert.deepEqual(recorded({}).xattrs, [])
    assert.deepEqual([recorded({ isConfig: true }).isConfig, recorded({}).isConfig], [true, undefined])
  })
})
