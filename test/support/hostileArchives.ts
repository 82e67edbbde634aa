// Archives from an enemy: each with what has to become of it. `node build/scripts/makeFixtures.js` writes them to
// fixtures/archives/, gzip around each that is not small by itself.

import { execFileSync } from 'node:child_process'
import type { ArchiveOptions } from '../../src/merge/archive/unpack.ts'
import { arMember, rawAr } from './rawAr.ts'
import { paxText, rawEnd, rawLongName, rawMember, rawPax, rawTar } from './rawTar.ts'

/** A hostile archive. */
export interface HostileArchive {
  /** The archive before gzip. */
  make(): Buffer
  /** Whether its bytes are stored as they are, since they are compressed already. */
  readonly isSmall?: boolean
  /** Whether gzip has to be taken off before it is merged: a .deb is never inside one. */
  readonly isBare?: boolean
  readonly options?: ArchiveOptions
  /** Which error, and which entry it names ('' when there is none to name); or the names that are in the root afterwards. */
  readonly outcome:
    | readonly ['unsafe' | 'corrupt', entry: string]
    | readonly ['refused' | 'state', entry: string]
    | readonly ['contained', names: readonly string[]]
}

const file = (name: string, payload = 'x') => rawMember({ name, payload })
const symlink = (name: string, target: string) => rawMember({ name, type: '2', target })
const link = (name: string, target: string) => rawMember({ name, type: '1', target })
const directory = (name: string) => rawMember({ name, type: '5', mode: 0o755 })
const negative = Buffer.alloc(12, 0xff)

function names(cases: Readonly<Record<string, readonly [entry: string, ...members: Buffer[]]>>) {
  return Object.fromEntries(
    Object.entries(cases).map(([name, [entry, ...members]]): [string, HostileArchive] => [
      name,
      { make: () => rawTar(...members), outcome: ['unsafe', entry] },
    ]),
  )
}

function corrupt(cases: Readonly<Record<string, readonly [entry: string, ...members: Buffer[]]>>) {
  return Object.fromEntries(
    Object.entries(cases).map(([name, [entry, ...members]]): [string, HostileArchive] => [
      name,
      { make: () => rawTar(...members), outcome: ['corrupt', entry] },
    ]),
  )
}

const long = 'n'.repeat(300)
const deep = 'd/'.repeat(3000)

const escapes = names({
  'absolute-name': ['/etc/passwd', file('/etc/passwd')],
  'absolute-name-by-prefix': ['/etc/passwd', rawMember({ name: 'passwd', prefix: '/etc', payload: 'x' })],
  'absolute-name-by-pax': ['/etc/passwd', rawPax({ path: '/etc/passwd' }), file('harmless')],
  'absolute-name-by-long-name': ['/etc/passwd', rawLongName('/etc/passwd'), file('harmless')],
  upwards: ['../x', file('../x')],
  'upwards-after-dot': ['./../x', file('./../x')],
  'upwards-in-the-middle': ['a/../../x', directory('a'), file('a/../../x')],
  'upwards-and-back': ['a/../x', directory('a'), file('a/../x')],
  'upwards-at-the-end': ['a/..', rawMember({ name: 'a/..', type: '5' })],
  'upwards-with-slashes': ['a//..//..//x', file('a//..//..//x')],
  'upwards-by-prefix': ['../outside/x', rawMember({ name: 'outside/x', prefix: '..', payload: 'x' })],
  'upwards-by-pax': ['../outside/x', rawPax({ path: '../outside/x' }), file('harmless')],
  'upwards-by-global-pax': ['../outside/x', rawPax({ path: '../outside/x' }, 'g'), file('harmless')],
  'upwards-by-sparse-name': [
    '../outside/x',
    rawPax({
      'GNU.sparse.major': '1',
      'GNU.sparse.minor': '0',
      'GNU.sparse.name': '../outside/x',
      'GNU.sparse.realsize': '1',
    }),
    rawMember({ name: 'GNUSparseFile.0/x', payload: `${'1\n0\n1\n'.padEnd(512, '\0')}x` }),
  ],
  'upwards-directory': ['..', directory('../')],
  'through-a-symlink': ['a/x', symlink('a', '../outside'), file('a/x')],
  'through-an-absolute-symlink': ['a/x', symlink('a', '/tmp'), file('a/x')],
  'through-two-symlinks': ['b/x', symlink('a', '..'), symlink('b', 'a/outside'), file('b/x')],
  'through-a-symlink-below': ['d/a/x', directory('d'), symlink('d/a', '../../outside'), file('d/a/x')],
  'through-a-hard-link-to-a-symlink': ['b/x', symlink('a', '../outside'), link('b', 'a'), file('b/x')],
  'through-a-symlink-over-a-directory': ['a/x', directory('a'), symlink('a', '../outside'), file('a/x')],
  'directory-through-a-symlink': ['a/d', symlink('a', '../outside'), directory('a/d')],
  'hard-link-upwards': ['../outside/secret', link('x', '../outside/secret')],
  'hard-link-absolute': ['/etc/passwd', link('x', '/etc/passwd')],
  'hard-link-through-a-symlink': ['x', symlink('a', '../outside'), link('x', 'a/secret')],
  'hard-link-to-what-the-root-has': ['x', link('x', 'usr/bin/su')],
  'hard-link-to-itself': ['x', link('x', 'x')],
  'hard-links-in-a-circle': ['x', link('x', 'y'), link('y', 'x')],
  'hard-link-to-a-directory': ['x', directory('d'), link('x', 'd')],
  'inside-a-file': ['a/x', file('a'), file('a/x')],
  'inside-a-fifo': ['a/x', rawMember({ name: 'a', type: '6' }), file('a/x')],
  'file-over-a-directory': ['d', file('d/x'), file('d')],
  'symlink-over-a-directory': ['d', file('d/x'), symlink('d', '../outside')],
  'staging-name': ['.rootmerge-x', file('.rootmerge-x')],
  'staging-name-as-directory': ['.rootmerge-unpacked-1/x', file('.rootmerge-unpacked-1/x')],
  'long-component': [long, rawLongName(long), file('x')],
  'long-name': [deep, rawLongName(`${deep}x`), file('x')],
  'long-target': ['x', rawLongName('t'.repeat(5000), 'K'), symlink('x', '')],
})

const oldSparse = (pieces: readonly (readonly [number, number])[], size: number, payload: string) => {
  const over: Record<number, Uint8Array> = { 483: Buffer.from(`${size.toString(8).padStart(11, '0')}\0`) }
  pieces.forEach(([offset, length], index) => {
    over[386 + index * 24] = Buffer.from(
      `${offset.toString(8).padStart(11, '0')}\0${length.toString(8).padStart(11, '0')}\0`,
    )
  })
  return rawMember({ name: 's', type: 'S', magic: 'gnu', over, payload })
}

const damaged = corrupt({
  'negative-size': ['x', rawMember({ over: { 124: negative } })],
  'negative-size-in-digits': ['x', rawMember({ over: { 124: Buffer.from('-0000000001\0') } })],
  'size-of-no-number': ['x', rawMember({ over: { 124: Buffer.from('9999999999z\0') } })],
  'size-beyond-numbers': ['x', rawMember({ over: { 124: Buffer.from('80ffffffffffffffffffffff', 'hex') } })],
  'size-beyond-the-end': ['', rawMember({ size: 2 ** 33 - 1 })],
  'negative-pax-size': ['x', rawPax({ size: '-1' }), file('x')],
  'negative-owner': ['x', rawMember({ over: { 108: negative.subarray(0, 8) } })],
  'negative-pax-group': ['x', rawPax({ gid: '-2' }), file('x')],
  'owner-beyond-numbers': ['x', rawPax({ uid: '4294967295' }), file('x')],
  'time-of-no-number': ['x', rawPax({ mtime: 'yesterday' }), file('x')],
  'nul-in-a-name': ['a\\000b', rawPax({ path: 'a\0b' }), file('x')],
  'nul-in-a-target': ['x', rawPax({ linkpath: 'a\0b' }), symlink('x', 'y')],
  'no-name': ['', rawMember({ over: { 0: Buffer.alloc(100) }, payload: 'x' })],
  'wrong-checksum': ['', rawMember({ checksumError: 1 }), file('y')],
  'unknown-type': ['x', rawMember({ type: 'Q', payload: 'x' })],
  'old-long-name': ['x', rawMember({ type: 'N', payload: 'x', magic: 'gnu' })],
  'checksum-of-nothing': [
    '',
    file('y'),
    Buffer.concat([Buffer.alloc(148), Buffer.from('000400\0 '), Buffer.alloc(356)]),
  ],
  'part-of-a-volume': ['x', rawMember({ type: 'M', payload: 'x', magic: 'gnu' })],
  'gigantic-pax-header': ['', rawMember({ type: 'x', size: 2 ** 33 - 1 })],
  'gigantic-long-name': ['', rawMember({ type: 'L', size: 2 ** 33 - 1, magic: 'gnu' })],
  'pax-without-length': ['', rawMember({ type: 'x', payload: ' path=x\n' }), file('x')],
  'pax-with-a-lying-length': ['', rawMember({ type: 'x', payload: '99 path=x\n' }), file('x')],
  'pax-with-a-short-length': ['', rawMember({ type: 'x', payload: '3 path=x\n' }), file('x')],
  'pax-without-equals': ['', rawMember({ type: 'x', payload: '7 path\n' }), file('x')],
  'sparse-overlapping': [
    's',
    oldSparse(
      [
        [0, 2],
        [1, 2],
      ],
      10,
      'abcd',
    ),
  ],
  'sparse-backwards': [
    's',
    oldSparse(
      [
        [5, 2],
        [0, 2],
      ],
      10,
      'abcd',
    ),
  ],
  'sparse-beyond-its-size': ['s', oldSparse([[0, 4]], 3, 'abcd')],
  'sparse-with-too-few-bytes': ['s', oldSparse([[0, 8]], 8, 'abcd')],
  'sparse-with-too-many-bytes': ['s', oldSparse([[0, 2]], 8, 'abcd')],
  'sparse-map-of-no-numbers': ['x', rawPax({ 'GNU.sparse.size': '9', 'GNU.sparse.map': '0,a' }), file('x')],
  'sparse-map-without-end': [
    '',
    rawPax({ 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': '1' }),
    rawMember({ name: 's', payload: '999999999\n'.padEnd(1024, '1\n') }),
  ],
  'another-archive-behind': ['', file('x'), rawEnd, file('y')],
  'acl-of-nobody': [
    'x',
    rawPax({ 'SCHILY.acl.access': 'user::rw-,user:nobody-has-this-name:rwx,other::---' }),
    file('x'),
  ],
})

const control = rawTar(file('./control', 'Package: p\nVersion: 1\n'))
const version = arMember('debian-binary', Buffer.from('2.0\n'))

const packages: Readonly<Record<string, HostileArchive>> = {
  'deb-upwards': {
    make: () => rawAr(version, arMember('control.tar', control), arMember('data.tar', rawTar(file('./../x')))),
    isBare: true,
    outcome: ['unsafe', './../x'],
  },
  'deb-without-files': {
    make: () => rawAr(version, arMember('control.tar', control)),
    isBare: true,
    outcome: ['corrupt', ''],
  },
  'deb-without-control': {
    make: () => rawAr(version, arMember('data.tar', rawTar(file('x')))),
    isBare: true,
    outcome: ['corrupt', ''],
  },
  'deb-of-tomorrow': {
    make: () => rawAr(arMember('debian-binary', Buffer.from('3.0\n'))),
    isBare: true,
    outcome: ['corrupt', ''],
  },
  'deb-with-a-lying-size': {
    make: () => rawAr(version, arMember('control.tar', control, 2 ** 32), arMember('data.tar', rawTar(file('x')))),
    isBare: true,
    outcome: ['corrupt', ''],
  },
  'deb-with-a-negative-size': {
    make: () => rawAr(version, arMember('control.tar', control, -5), arMember('data.tar', rawTar(file('x')))),
    isBare: true,
    outcome: ['corrupt', ''],
  },
}

const policies: Readonly<Record<string, HostileArchive>> = {
  device: {
    make: () => rawTar(rawMember({ name: 'dev/sda', type: '4', device: [8, 0] })),
    options: { noDevices: true },
    outcome: ['unsafe', 'dev/sda'],
  },
  'set-id': {
    make: () => rawTar(rawMember({ name: 'bin/su', mode: 0o4755, payload: 'x' })),
    options: { noSetId: true },
    outcome: ['unsafe', 'bin/su'],
  },
  'set-group-id': {
    make: () => rawTar(rawMember({ name: 'bin/su', mode: 0o2755, payload: 'x' })),
    options: { noSetId: true },
    outcome: ['unsafe', 'bin/su'],
  },
  capability: {
    make: () => {
      const value = Buffer.from('0100000200200000000000000000000000000000', 'hex').toString('latin1')
      return rawTar(rawPax({ 'SCHILY.xattr.security.capability': value }), file('bin/ping'))
    },
    options: { noSetId: true },
    outcome: ['unsafe', 'bin/ping'],
  },
  'many-members': {
    make: () => rawTar(...Array.from({ length: 200 }, () => file('x', ''))),
    options: { limits: { members: 100 } },
    outcome: ['unsafe', 'x'],
  },
  'many-bytes': {
    make: () => rawTar(file('x', 'x'.repeat(10_000))),
    options: { limits: { bytes: 9_999 } },
    outcome: ['unsafe', 'x'],
  },
  'many-holes': {
    make: () => rawTar(rawPax({ 'GNU.sparse.size': String(2 ** 50), 'GNU.sparse.map': '0,1' }), file('s')),
    outcome: ['unsafe', 's'],
  },
  bomb: {
    // bzip2 makes 45 bytes of 900,000 zeros.
    make: () => {
      const plain = rawTar(rawMember({ name: 'zeros', payload: Buffer.alloc(100 * 1024 * 1024) }))
      return execFileSync('bzip2', ['-9'], { input: plain, maxBuffer: 2 ** 30 })
    },
    isSmall: true,
    outcome: ['unsafe', 'zeros'],
  },
  'many-global-headers': {
    make: () =>
      rawTar(
        ...Array.from({ length: 60 }, () =>
          rawMember({ type: 'g', payload: paxText({ comment: 'c'.repeat(20_000) }) }),
        ),
        file('x'),
      ),
    outcome: ['corrupt', ''],
  },
  'state-directory': { make: () => rawTar(file('var/lib/rootmerge/journal')), outcome: ['state', 'var/lib/rootmerge'] },
  'state-record': {
    make: () => rawTar(file('var/lib/rootmerge/packages/q/record')),
    outcome: ['state', 'var/lib/rootmerge'],
  },
}

const contained: Readonly<Record<string, HostileArchive>> = {
  'newline-in-a-name': { make: () => rawTar(file('a\nb')), outcome: ['contained', ['a\nb']] },
  'escape-in-a-name': { make: () => rawTar(file('a\x1b[2Jb')), outcome: ['contained', ['a\x1b[2Jb']] },
  cases: { make: () => rawTar(file('Name'), file('name')), outcome: ['contained', ['Name', 'name']] },
  'symlinks-in-a-circle': {
    make: () => rawTar(symlink('a', 'b'), symlink('b', 'a')),
    outcome: ['contained', ['a', 'b']],
  },
  'symlink-to-outside': { make: () => rawTar(symlink('a', '../outside/secret')), outcome: ['contained', ['a']] },
  'symlink-then-file': {
    make: () => rawTar(symlink('a', '../outside/secret'), file('a')),
    outcome: ['contained', ['a']],
  },
  'directory-with-a-size': {
    make: () => rawTar(rawMember({ name: 'd/', type: '5', size: 512 }), file('x')),
    outcome: ['contained', ['d', 'x']],
  },
  'link-with-a-size': {
    make: () => rawTar(file('x'), rawMember({ name: 'y', type: '1', target: 'x', size: 512 }), file('z')),
    outcome: ['contained', ['x', 'y', 'z']],
  },
  'dots-and-slashes': { make: () => rawTar(directory('./'), file('.//a/./b')), outcome: ['contained', ['a']] },
  'same-name-twice': {
    make: () => rawTar(file('x', 'first'), link('y', 'x'), file('x', 'second')),
    outcome: ['contained', ['x', 'y']],
  },
  'garbage-behind': {
    make: () => Buffer.concat([rawTar(file('x')), Buffer.alloc(700, 'garbage')]),
    outcome: ['contained', ['x']],
  },
}

/** Every hostile archive, by the name of its fixture. */
export const hostileArchives: Readonly<Record<string, HostileArchive>> = {
  ...escapes,
  ...damaged,
  ...packages,
  ...policies,
  ...contained,
}
