import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { CorruptImageError, list, merge, UnsafeEntryError, verify } from '../../../src/merge/index.ts'
import { compareTrees } from '../../support/compareTrees.ts'
import { withDirectory } from '../../support/scratch.ts'
import { apkOf, compress, gpkgOf, type TarMember, tarOf, xpakOf } from '../../support/specPackages.ts'
import { writeTree } from '../../support/tree.ts'

const members: readonly TarMember[] = [
  { path: 'usr/', type: '5', mtime: 1500000000 },
  { path: 'usr/bin/', type: '5', mtime: 1500000001 },
  { path: 'usr/bin/tool', mode: 0o4755, data: 'tool', mtime: 1500000002 },
  { path: 'usr/bin/too', type: '1', target: 'usr/bin/tool', mode: 0o4755, mtime: 1500000002 },
  { path: 'usr/bin/link', type: '2', target: 'tool', mode: 0o777, mtime: 1500000003 },
  { path: 'usr/bin/theirs', owner: [99, 98, 'lp', 'unheard-of'], data: 'x', mtime: 1500000004 },
]

/** The tree that the members are; the owner by name differs between the formats. */
const treeOf = (theirs: string) => `
d 0755       /usr            mtime=1500000000
d 0755       /usr/bin        mtime=1500000001
f 4755       /usr/bin/tool   "tool" mtime=1500000002
h            /usr/bin/too    == /usr/bin/tool
l            /usr/bin/link   -> tool mtime=1500000003
f 0644 ${theirs} /usr/bin/theirs "x" mtime=1500000004
`

async function withRoot(body: (root: string, directory: string) => Promise<void>): Promise<void> {
  await withDirectory(async (directory) => {
    const root = join(directory, 'root')
    fs.mkdirSync(join(root, 'etc'), { recursive: true })
    fs.writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0::/:/bin/sh\nlp:x:7:7::/:/bin/sh\n')
    await body(root, directory)
  })
}

function write(directory: string, bytes: Buffer): string {
  const file = join(directory, 'package')
  fs.writeFileSync(file, bytes)
  return file
}

/** A file of each format, and how it is to be called where its content does not tell. */
const cases: Readonly<Record<string, { bytes: () => Buffer; format?: string; theirs: string }>> = {
  apk: { bytes: () => apkOf(members), theirs: '7:98' },
  'apk, unsigned': { bytes: () => apkOf(members, { signed: false }), theirs: '7:98' },
  gpkg: { bytes: () => gpkgOf({ image: members }), theirs: '99:98' },
  tbz2: {
    bytes: () => xpakOf(members, { CATEGORY: 'sys-apps\n', PF: 'tool-1.2\n' }),
    format: 'tbz2',
    theirs: '99:98',
  },
  'tbz2, read like another tar': { bytes: () => xpakOf(members, { PF: 'tool-1.2\n' }), theirs: '99:98' },
}

describe('packages made by their specifications', function () {
  this.timeout(60_000)
  before(function () {
    if (process.getuid?.() !== 0) this.skip()
  })

  for (const [what, { bytes, format, theirs }] of Object.entries(cases)) {
    it(`${what}: is merged with every attribute, and nothing that speaks of the package`, () =>
      withRoot(async (root, directory) => {
        const [image, expected] = [write(directory, bytes()), join(directory, 'expected')]
        fs.mkdirSync(expected)
        writeTree(expected, treeOf(theirs))
        await merge({ root, image, package: 'tool', durability: 'none', ...(format && { format }) })
        assert.deepEqual(compareTrees(join(root, 'usr'), join(expected, 'usr')), [])
        assert.deepEqual(fs.readdirSync(root).sort(), ['etc', 'usr', 'var'])
        assert.deepEqual(await verify({ root }), [])
      }))
  }
})

interface Hostile {
  readonly what: string
  readonly bytes: () => Buffer
  readonly format?: string
  readonly reason: RegExp
}

const pkginfo = 'pkgname = tool\npkgver = 1\n'
const mtree = (text: string) => ({ path: '.MTREE', data: compressed(`#mtree\n${text}`) })
const arch = (...parts: TarMember[]) => compress('zstd', tarOf(parts))
const info: TarMember = { path: '.PKGINFO', data: pkginfo }
const tool: TarMember = { path: 'usr/tool', data: 'tool' }
const sha256 = (digit: string) => `sha256digest=${digit.repeat(64)}`

function compressed(text: string): Buffer {
  return gzipSync(text)
}

const hostile: readonly Hostile[] = [
  // Alpine
  {
    what: 'apk: a checksum that is another',
    reason: /sha1/,
    bytes: () => apkOf([{ ...tool, pax: { 'APK-TOOLS.checksum.SHA1': 'f'.repeat(40) } }]),
  },
  {
    what: 'apk: no .PKGINFO',
    reason: /files come before its \.PKGINFO/,
    bytes: () => Buffer.concat([compressedTar([{ path: '.SIGN.RSA.x', data: 'x' }], false), compressedTar([tool])]),
  },
  { what: 'apk: version 3', reason: /version 3, not 2/, bytes: () => Buffer.from(`ADBd${'\0'.repeat(600)}`) },
  {
    what: 'apk: a name that leads upwards',
    reason: /upwards/,
    bytes: () => apkOf([{ path: '../../tmp/x', data: 'x' }]),
  },
  // Arch
  {
    what: 'pacman: a digest that is another',
    reason: /sha256 is/,
    bytes: () => arch(mtree(`./usr/tool type=file size=4 ${sha256('0')}\n`), info, tool),
  },
  {
    what: 'pacman: a size that is another',
    reason: /another size/,
    bytes: () => arch(mtree(`./usr/tool type=file size=5 ${sha256('0')}\n`), info, tool),
  },
  {
    what: 'pacman: a file that .MTREE does not know',
    reason: /not in \.MTREE/,
    bytes: () => arch(mtree('./usr type=dir\n'), info, tool),
  },
  {
    what: 'pacman: a file of .MTREE that is missing',
    reason: /not in the package/,
    bytes: () => arch(mtree('./usr/other type=file size=4\n'), info),
  },
  {
    what: 'pacman: .MTREE behind the files',
    reason: /comes behind/,
    bytes: () => arch(info, tool, mtree('./usr/tool type=file size=4\n')),
  },
  {
    what: 'pacman: no .PKGINFO',
    reason: /no \.PKGINFO/,
    bytes: () => arch(mtree('./usr/tool type=file size=4\n'), tool),
  },
  {
    what: 'pacman: .MTREE that is none',
    reason: /\.MTREE:2: unknown type/,
    bytes: () => arch(mtree('./usr/tool type=wormhole\n'), info, tool),
  },
  // Gentoo
  {
    what: 'gpkg: an image that the Manifest does not vouch for',
    reason: /BLAKE2B is/,
    bytes: () =>
      gpkgOf({
        image: [tool],
        bend: (parts) =>
          parts.map((part) => ({
            ...part,
            data: part.path.endsWith('Manifest') ? forged(part.data) : (part.data ?? ''),
          })),
      }),
  },
  {
    what: 'gpkg: a part that is not in the Manifest',
    reason: /not in the Manifest/,
    bytes: () => gpkgOf({ image: [tool], bend: (parts) => [...parts, { path: 'tool-1.2-r3-1/more', data: 'x' }] }),
  },
  {
    what: 'gpkg: a part of the Manifest that is missing',
    reason: /but not in the package/,
    bytes: () => gpkgOf({ image: [tool], bend: (parts) => parts.filter(({ path }) => !path.includes('metadata')) }),
  },
  {
    what: 'gpkg: no Manifest',
    reason: /no Manifest/,
    bytes: () => gpkgOf({ image: [tool], bend: (parts) => parts.slice(0, -1) }),
  },
  {
    what: 'gpkg: no image',
    reason: /no image/,
    bytes: () => gpkgOf({ image: [], bend: (parts) => parts.filter(({ path }) => !path.includes('image')) }),
  },
  {
    what: 'gpkg: two images',
    reason: /comes twice/,
    bytes: () =>
      gpkgOf({
        image: [tool],
        bend: (parts) => parts.flatMap((part) => (part.path.includes('image') ? [part, part] : [part])),
      }),
  },
  {
    what: 'gpkg: parts of another package',
    reason: /no part of a Gentoo package/,
    bytes: () => gpkgOf({ image: [tool], bend: (parts) => [...parts, { path: 'other-1/image.tar', data: 'x' }] }),
  },
  {
    what: 'gpkg: gpkg-1 is not the first',
    format: 'gpkg',
    reason: /first member is not gpkg-1/,
    bytes: () => gpkgOf({ image: [tool], bend: (parts) => parts.toReversed() }),
  },
  {
    what: 'gpkg: an image outside of image/',
    reason: /does not lie in image/,
    bytes: () =>
      gpkgOf({
        image: [],
        bend: (parts) =>
          parts.map((part) => (part.path.includes('image') ? { ...part, data: compress('xz', tarOf([tool])) } : part)),
      }),
  },
  {
    what: 'tbz2: no segment',
    format: 'tbz2',
    reason: /no XPAK segment/,
    bytes: () => compress('bzip2', tarOf([tool])),
  },
  {
    what: 'tbz2: a segment whose lengths lie',
    format: 'tbz2',
    reason: /no XPAK segment/,
    bytes: () => bent(xpakOf([tool], { PF: 'x-1' }), 'XPAKPACK', 8, 0xffffffff),
  },
  {
    what: 'tbz2: an entry that points outside',
    format: 'tbz2',
    reason: /no XPAK segment/,
    bytes: () => bent(xpakOf([tool], { PF: 'x-1' }), 'PF', 2, 0x7fffffff),
  },
]

function compressedTar(parts: readonly TarMember[], end = true): Buffer {
  return gzipSync(tarOf(parts, end))
}

function forged(manifest: TarMember['data']): string {
  return String(manifest).replace(/(image\S* \d+ BLAKE2B )..../, '$1beef')
}

/** Bytes with another number at a place behind a word. */
function bent(bytes: Buffer, word: string, behind: number, value: number): Buffer {
  bytes.writeUInt32BE(value, bytes.indexOf(word) + behind)
  return bytes
}

describe('hostile packages', function () {
  this.timeout(60_000)
  for (const { what, bytes, format, reason } of hostile) {
    it(`${what}: is refused, and nothing is changed`, () =>
      withRoot(async (root, directory) => {
        const image = write(directory, bytes())
        await assert.rejects(
          merge({ root, image, package: 'tool', durability: 'none', ...(format && { format }) }),
          (error) => {
            assert.ok(error instanceof CorruptImageError || error instanceof UnsafeEntryError, String(error))
            assert.match(error.message, reason)
            return true
          },
        )
        assert.deepEqual(await list({ root }), [])
        assert.ok(!fs.existsSync(join(root, 'usr')))
      }))
  }
})
