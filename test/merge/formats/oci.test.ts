import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import {
  CorruptImageError,
  InvalidArgumentError,
  list,
  merge,
  UnsafeEntryError,
  verify,
} from '../../../src/merge/index.ts'
import { compareTrees } from '../../support/compareTrees.ts'
import { needCommands } from '../../support/nativePackages.ts'
import { withDirectory } from '../../support/scratch.ts'
import { type Bend, layoutOf, savedOf, writeFiles, writeTar } from '../../support/specOci.ts'
import type { TarMember } from '../../support/specPackages.ts'
import { randomBytes, writeTree } from '../../support/tree.ts'

async function withRoot(body: (root: string, directory: string) => Promise<void>): Promise<void> {
  await withDirectory(async (directory) => {
    const root = join(directory, 'root')
    fs.mkdirSync(root)
    await body(root, directory)
  })
}

const mergeOci = (root: string, image: string) =>
  merge({ root, image, package: 'tool', format: 'oci', durability: 'none' })

/** What this process has open below a directory. */
function openBelow(directory: string): string[] {
  const isOpen = (path: string) => path.startsWith(directory)
  return fs.readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [fs.readlinkSync(`/proc/self/fd/${fd}`)].filter(isOpen)
    } catch {
      return [] // closed meanwhile
    }
  })
}

const file = (path: string, data: string, more: Partial<TarMember> = {}): TarMember => ({ path, data, ...more })
const directory = (path: string, mode = 0o755): TarMember => ({ path, type: '5', mode })

/** Three layers that use everything a layer can say of those below it. */
const layers: readonly (readonly TarMember[])[] = [
  [
    directory('./'),
    directory('usr/'),
    file('usr/stays', 'stays'),
    file('usr/replaced', 'old'),
    file('usr/goes', 'goes'),
    directory('usr/tree/'),
    directory('usr/tree/deep/'),
    file('usr/tree/deep/goes', 'goes'),
    directory('usr/opaque/', 0o700),
    file('usr/opaque/hidden', 'hidden'),
    file('usr/first', 'linked'),
    { path: 'usr/second', type: '1', target: 'usr/first' },
    directory('usr/becomes-file/'),
    file('usr/becomes-file/inside', 'x'),
    file('usr/becomes-directory', 'x'),
    { path: 'usr/link', type: '2', target: 'stays', mode: 0o777 },
  ],
  [
    directory('usr/', 0o750),
    file('usr/.wh.goes', ''),
    file('usr/.wh.tree', ''),
    directory('usr/opaque/', 0o711),
    file('usr/opaque/shown', 'shown'),
    file('usr/opaque/.wh..wh..opq', ''), // after what this layer has there: only lower layers are meant
    file('usr/replaced', 'new', { mode: 0o755 }),
    file('usr/.wh.first', ''), // its other name stays, and becomes the first
    { path: 'usr/third', type: '1', target: 'usr/second' },
    file('usr/.wh.never-was', ''),
    file('usr/becomes-file', 'a file'),
  ],
  [
    directory('usr/becomes-directory/'),
    file('usr/becomes-directory/inside', 'y'),
    file('usr/.wh..wh.aufs', ''),
    file('usr/goes', 'back again'),
  ],
]

const expected = `
d 0750 /usr                          mtime=1500000000
f 0644 /usr/stays                    "stays" mtime=1500000000
f 0755 /usr/replaced                 "new" mtime=1500000000
f 0644 /usr/goes                     "back again" mtime=1500000000
d 0711 /usr/opaque                   mtime=1500000000
f 0644 /usr/opaque/shown             "shown" mtime=1500000000
f 0644 /usr/second                   "linked" mtime=1500000000
h      /usr/third                    == /usr/second
f 0644 /usr/becomes-file             "a file" mtime=1500000000
d 0755 /usr/becomes-directory        mtime=1500000000
f 0644 /usr/becomes-directory/inside "y" mtime=1500000000
l      /usr/link                     -> stays mtime=1500000000
`

describe('container images', function () {
  this.timeout(60_000)

  const kinds: Readonly<Record<string, (where: string) => string>> = {
    'a layout': (where) => writeFiles(join(where, 'image'), layoutOf(layers)),
    'a tar of a layout': (where) => writeTar(join(where, 'image'), layoutOf(layers)),
    'what docker save writes': (where) => writeTar(join(where, 'image'), savedOf(layers)),
    'an index of several machines': (where) =>
      writeFiles(
        join(where, 'image'),
        layoutOf(layers, (files) => {
          const index = JSON.parse(String(files.get('index.json'))) as { manifests: object[] }
          const here = { os: 'linux', architecture: process.arch === 'x64' ? 'amd64' : process.arch }
          const elsewhere = { digest: `sha256:${'0'.repeat(64)}`, platform: { os: 'plan9', architecture: 'mips' } }
          files.set(
            'index.json',
            Buffer.from(JSON.stringify({ manifests: [elsewhere, { ...index.manifests[0], platform: here }] })),
          )
        }),
      ),
  }
  for (const [what, make] of Object.entries(kinds)) {
    it(`${what}: becomes the tree that its layers make, whiteouts and opaque directories applied`, () =>
      withRoot(async (root, where) => {
        const tree = join(where, 'expected')
        fs.mkdirSync(tree)
        writeTree(tree, expected)
        await mergeOci(root, make(where))
        assert.deepEqual(
          compareTrees(
            join(root, 'usr'),
            join(tree, 'usr'),
            process.getuid?.() === 0 ? {} : { ignore: ['uid', 'gid'] },
          ),
          [],
        )
        assert.deepEqual(await verify({ root }), [])
      }))
  }

  it('never lets a whiteout reach beyond the image: what the root has stays', () =>
    withRoot(async (root, where) => {
      fs.mkdirSync(join(root, 'etc'))
      fs.writeFileSync(join(root, 'etc/keep'), 'the root’s own')
      const image = writeFiles(
        join(where, 'image'),
        layoutOf([[file('etc/.wh.keep', ''), file('etc/.wh..wh..opq', ''), file('etc/new', 'n')]]),
      )
      await mergeOci(root, image)
      assert.deepEqual(fs.readdirSync(join(root, 'etc')).sort(), ['keep', 'new'])
    }))

  it('takes away what lies in directories that no layer has a member for', () =>
    withRoot(async (root, where) => {
      const lower = [file('a/b/c', 'old'), file('opaque/deep/c', 'old'), file('stays/b/c', 'x')]
      const upper = [file('.wh.a', ''), file('opaque/.wh..wh..opq', ''), file('opaque/new', 'new')]
      await mergeOci(root, writeFiles(join(where, 'image'), layoutOf([lower, upper])))
      assert.deepEqual(fs.readdirSync(root).sort(), ['opaque', 'stays', 'var'])
      assert.deepEqual(fs.readdirSync(join(root, 'opaque')), ['new'])
    }))

  it('leaves none of its files open, damaged or not', () =>
    withRoot(async (root, where) => {
      const damaged = (files: Map<string, Buffer>) => {
        const [name, bytes] = [...files].find(([name, bytes]) => name.startsWith('blobs/') && bytes[0] === 0x1f) ?? []
        if (name !== undefined) files.set(name, Buffer.from(bytes ?? '').fill(0, 600))
      }
      const lower = [file('data', randomBytes(2 ** 20).toString('latin1'))]
      const bad = writeFiles(join(where, 'bad'), layoutOf([[], lower], damaged))
      await assert.rejects(mergeOci(root, bad), CorruptImageError)
      await mergeOci(root, writeFiles(join(where, 'image'), layoutOf(layers)))
      assert.deepEqual(openBelow(where), [])
    }))

  it('is what umoci unpacks, of layers that umoci made', function () {
    needCommands(this, ['umoci'])
    if (process.getuid?.() !== 0) this.skip()
    return withRoot(async (root, where) => {
      const layout = join(where, 'layout')
      const umoci = (...args: string[]) => execFileSync('umoci', args, { stdio: ['ignore', 'ignore', 'pipe'] })
      const change = (bundle: string, body: (rootfs: string) => void) => {
        umoci('unpack', '--image', `${layout}:tool`, join(where, bundle))
        body(join(where, bundle, 'rootfs'))
        umoci('repack', '--image', `${layout}:tool`, join(where, bundle))
      }
      umoci('init', '--layout', layout)
      umoci('new', '--image', `${layout}:tool`)
      change('one', (rootfs) =>
        writeTree(
          rootfs,
          `
          d 2750 0:5 /usr/share/setgid
          f 4755     /usr/bin/tool        "tool" random:100K user.note="x"
          h          /usr/bin/too         == /usr/bin/tool
          f 0755     /usr/bin/capable     "raw" cap=cap_net_raw+ep
          l          /usr/bin/link        -> tool
          f 0600 7:8 /etc/tool.conf       "x"
          f          /usr/share/goes/deep "x"
          f          /usr/share/full/one  "1"
          `.replace(/^ {10}/gm, ''),
        ),
      )
      change('two', (rootfs) => {
        fs.rmSync(join(rootfs, 'usr/share/goes'), { recursive: true })
        fs.rmSync(join(rootfs, 'usr/share/full'), { recursive: true })
        fs.writeFileSync(join(rootfs, 'usr/share/full'), 'a file now')
        fs.rmSync(join(rootfs, 'usr/bin/link'))
        fs.rmSync(join(rootfs, 'etc/tool.conf'))
        writeTree(rootfs, 'f 0711 /usr/bin/link/now "a directory"\nf /etc/tool.conf "y"')
      })
      umoci('unpack', '--image', `${layout}:tool`, join(where, 'three'))
      await mergeOci(root, layout)
      const differing = compareTrees(root, join(where, 'three/rootfs'), {
        ignoreNames: /^(var|run)(\/|$)/,
        ignoreTop: true,
      })
      assert.deepEqual(differing, [])
      assert.ok(!fs.existsSync(join(root, 'usr/share/goes')))
    })
  })
})

/** Changes one JSON file of a layout; what points to it is left as it is. */
const inJson =
  (name: string, change: (document: Record<string, unknown>) => void): Bend =>
  (files) => {
    const document = JSON.parse(String(files.get(name))) as Record<string, unknown>
    change(document)
    files.set(name, Buffer.from(JSON.stringify(document)))
  }

const one = [[file('usr/one', 'one')]]
const blobNames = (files: Map<string, Buffer>) => [...files.keys()].filter((name) => name.startsWith('blobs/'))

const hostile: readonly [what: string, make: (where: string) => string, reason: RegExp][] = [
  [
    'no index and no manifest',
    (where) =>
      writeFiles(
        where,
        layoutOf(one, (files) => files.delete('index.json')),
      ),
    /neither index\.json nor manifest\.json/,
  ],
  [
    'an index that is no JSON',
    (where) =>
      writeFiles(
        where,
        layoutOf(one, (files) => files.set('index.json', Buffer.from('{'))),
      ),
    /index\.json cannot be read/,
  ],
  [
    'two images for no machine',
    (where) =>
      writeFiles(
        where,
        layoutOf(
          one,
          inJson('index.json', (index) => {
            index.manifests = [{}, {}]
          }),
        ),
      ),
    /2 images, of which 0/,
  ],
  [
    'a digest that leads elsewhere',
    (where) =>
      writeFiles(
        where,
        layoutOf(
          one,
          inJson('index.json', (index) => {
            index.manifests = [{ digest: 'sha256:../../../etc/passwd' }]
          }),
        ),
      ),
    /is no digest/,
  ],
  [
    'a manifest that is missing',
    (where) =>
      writeFiles(
        where,
        layoutOf(
          one,
          inJson('index.json', (index) => {
            index.manifests = [{ digest: `sha256:${'0'.repeat(64)}` }]
          }),
        ),
      ),
    /manifest .* is missing/,
  ],
  [
    'a manifest with another digest',
    (where) =>
      writeFiles(
        where,
        layoutOf(one, (files) => {
          const name = blobNames(files).at(-1) as string
          files.set(name, Buffer.concat([files.get(name) as Buffer, Buffer.from(' ')]))
        }),
      ),
    /the digest of blobs/,
  ],
  [
    'a layer that is missing',
    (where) =>
      writeFiles(
        where,
        layoutOf(one, (files) => files.delete(blobNames(files)[0] as string)),
      ),
    /its layer .* is missing/,
  ],
  [
    'a layer of another size',
    (where) =>
      writeFiles(
        where,
        layoutOf(one, (files) => {
          const name = blobNames(files)[0] as string
          files.set(name, Buffer.concat([files.get(name) as Buffer, Buffer.alloc(512)]))
        }),
      ),
    /bytes, not/,
  ],
  [
    'a layer with another digest',
    (where) =>
      writeFiles(
        where,
        layoutOf(one, (files) => {
          const name = blobNames(files)[0] as string
          const bytes = Buffer.from(files.get(name) as Buffer)
          bytes[512] = 0x58
          files.set(name, bytes)
        }),
      ),
    /its sha256 is/,
  ],
  [
    'a saved layer with another digest',
    (where) =>
      writeTar(
        join(where, 'tar'),
        savedOf(one, (files) => {
          const [name] = files.keys()
          const bytes = Buffer.from(files.get(name as string) as Buffer)
          bytes[512] = 0x58
          files.set(name as string, bytes)
        }),
      ),
    /its sha256 is/,
  ],
  [
    'a saved image without digests',
    (where) =>
      writeTar(
        join(where, 'tar'),
        savedOf(one, (files) => files.set('config.json', Buffer.from('{}'))),
      ),
    /no digest of/,
  ],
  [
    'an index inside of itself',
    (where) =>
      writeFiles(
        where,
        layoutOf(one, (files) => {
          files.set('index.json', Buffer.from(JSON.stringify({ manifests: [{}] })))
        }),
      ),
    /is no digest/,
  ],
  ['a whiteout of nothing', (where) => writeFiles(where, layoutOf([[file('usr/.wh.', '')]])), /is no whiteout/],
  ['a whiteout of what is above', (where) => writeFiles(where, layoutOf([[file('usr/.wh...', '')]])), /is no whiteout/],
  ['a name that leads upwards', (where) => writeFiles(where, layoutOf([[file('../up', 'x')]])), /upwards/],
  [
    'a link to what no layer has',
    (where) => writeFiles(where, layoutOf([[{ path: 'usr/link', type: '1', target: 'etc/passwd' }]])),
    /is a link to what no layer has/,
  ],
  [
    'a compressed tar of a layout',
    (where) => {
      const path = writeTar(join(where, 'tar'), layoutOf(one))
      fs.writeFileSync(path, gzipSync(fs.readFileSync(path)))
      return path
    },
    /checksum is wrong/,
  ],
]

describe('hostile container images', function () {
  this.timeout(60_000)
  for (const [what, make, reason] of hostile) {
    it(`${what}: is refused, and nothing is changed`, () =>
      withRoot(async (root, where) => {
        const image = join(where, 'image')
        fs.mkdirSync(image)
        await assert.rejects(mergeOci(root, make(image)), (error) => {
          const kinds = [CorruptImageError, UnsafeEntryError, InvalidArgumentError]
          assert.ok(
            kinds.some((kind) => error instanceof kind),
            String(error),
          )
          assert.match((error as Error).message, reason)
          return true
        })
        assert.deepEqual(await list({ root }), [])
        assert.ok(!fs.existsSync(join(root, 'usr')))
      }))
  }
})
