// Portage's merge, unmerge and record as they were seen to behave (versions of 2025), walked through again: the same
// survivors and the same refusals, or the difference that is meant, with its reason. Its defects have a case each.

import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import {
  CollisionError,
  type KeptName,
  LockedError,
  list,
  listEntries,
  type MergeOptions,
  merge,
  NoSpaceError,
  unmerge,
  verify,
} from '../../src/merge/index.ts'
import { readRecord } from '../../src/merge/record.ts'
import { type Kernel, linuxKernel, O_EXCL, SyscallError } from '../../src/sys/index.ts'
import { wrapKernel } from '../support/kernelDoubles.ts'
import { mergeImages } from '../support/operations.ts'
import { withDirectory } from '../support/scratch.ts'
import { writeTree } from '../support/tree.ts'
import { contextOf } from './scenarios.ts'

/** A root that packages come to and go from. */
class Walk {
  readonly root: string
  readonly #directory: string
  #images = 0

  constructor(directory: string) {
    this.#directory = directory
    this.root = join(directory, 'root')
    fs.mkdirSync(this.root)
  }

  path(name: string): string {
    return join(this.root, name)
  }

  read(name: string): string {
    return fs.readFileSync(this.path(name), 'utf8')
  }

  mode(name: string): number {
    return fs.lstatSync(this.path(name)).mode & 0o7777
  }

  /** What the administrator makes. */
  admin(tree: string): void {
    writeTree(this.root, tree)
  }

  merge(name: string, tree: string, options: Partial<MergeOptions> = {}) {
    const image = this.#image(tree)
    return merge({ root: this.root, image, package: name, durability: 'none', ...options } as MergeOptions)
  }

  #image(tree: string): string {
    const image = join(this.#directory, `image-${this.#images++}`)
    fs.mkdirSync(image)
    writeTree(image, tree)
    return image
  }

  /** As merge, in this very thread, by a kernel of one's own. */
  mergeBy(kernel: Kernel, name: string, tree: string) {
    return mergeImages(contextOf(kernel), {
      root: this.root,
      image: this.#image(tree),
      package: name,
      durability: 'none',
    })
  }

  /** The names of the collisions that a merge is refused for; nothing may be changed by it. */
  async refused(name: string, tree: string, options: Partial<MergeOptions> = {}): Promise<CollisionError> {
    const before = this.names()
    const error = await this.merge(name, tree, options).then(
      () => assert.fail('it was merged'),
      (thrown) => thrown,
    )
    assert.ok(error instanceof CollisionError, String(error))
    assert.deepEqual(this.names(), before)
    return error
  }

  /** Unmerges, and says what stayed: names with their reasons. */
  async unmerge(...packages: string[]): Promise<Record<string, KeptName['reason']>> {
    const { kept } = await unmerge({ root: this.root, packages, durability: 'none' })
    return Object.fromEntries(kept.map(({ name, reason }) => [name, reason]))
  }

  /** Every name but the state's, as latin1. */
  names(): string[] {
    const below = (name: string): string[] =>
      fs
        .readdirSync(Buffer.from(join(this.root, name), 'latin1'), { withFileTypes: true, encoding: 'latin1' })
        .flatMap((entry) => {
          const child = join(name, entry.name)
          if (child === 'var') return []
          return [child, ...(entry.isDirectory() ? below(child) : [])]
        })
    return below('').sort()
  }
}

interface Case {
  /** As the notes on Portage number it, with its bug where there is one. */
  readonly id: string
  readonly title: string
  /** Where we mean to do otherwise: why. */
  readonly difference?: string
  readonly needsRoot?: boolean
  walk(walk: Walk): Promise<void>
}

const at = 'mtime=1600000000.123456789'
const many = (count: number, line: (n: number) => string) => Array.from({ length: count }, (_, n) => line(n)).join('\n')

const collisions: readonly Case[] = [
  {
    id: '3.6 V1',
    title: 'the owned name is found behind 400 that nobody owns',
    difference: 'Portage looked up the owners of the first 20 only, and overwrote the owned file',
    walk: async (walk) => {
      await walk.merge('a-1', 'f /zzz/owned "a"')
      walk.admin(many(400, (n) => `f /many/${n} "admin"`))
      const { collisions: found } = await walk.refused(
        'b-1',
        `${many(400, (n) => `f /many/${n} "b"`)}\nf /zzz/owned "b"`,
      )
      assert.equal(found.length, 401)
      assert.deepEqual(
        found.filter(({ owners }) => owners.includes('a-1')).map(({ name }) => name),
        ['zzz/owned'],
      )
    },
  },
  {
    id: '3.6 V2',
    title: 'a single owned name aborts',
    walk: async (walk) => {
      await walk.merge('a-1', 'f /owned "a"')
      await walk.refused('b-1', 'f /owned "b"\nf /other "b"')
    },
  },
  {
    id: '3.6 D14',
    title: 'a name that nobody owns is refused unless it is allowed by pattern',
    difference: 'without collision-protect Portage warns and overwrites',
    walk: async (walk) => {
      walk.admin('f /lib/modules/x.ko "admin"\nf /other "admin"')
      await walk.refused('b-1', 'f /lib/modules/x.ko "b"\nf /other "b"', { collisionIgnore: ['lib/modules/**'] })
      await walk.merge('b-1', 'f /lib/modules/x.ko "b"', { collisionIgnore: ['lib/modules/**'] })
      assert.equal(walk.read('lib/modules/x.ko'), 'b')
    },
  },
  {
    id: '3.6 D14e, E1',
    title: "a fifo over another package's file is refused",
    difference: 'Portage installed nothing, wrote the name to CONTENTS, and deleted the file with the second package',
    walk: async (walk) => {
      await walk.merge('a-1', 'f /f "a"')
      await walk.refused('b-1', 'p /f')
      assert.equal(walk.read('f'), 'a')
    },
  },
  {
    id: '3.6 V3',
    title: 'a package that is replaced takes none of the names with it',
    walk: async (walk) => {
      await walk.merge('blocked-1', 'f /shared "old"\nf /own "old"')
      await walk.merge('blocker-1', 'f /shared "new"', { collisionIgnore: ['shared'] })
      assert.deepEqual(await walk.unmerge('blocked-1'), {})
      assert.equal(walk.read('shared'), 'new')
      assert.deepEqual(walk.names(), ['shared'])
    },
  },
  {
    id: '3.6 D21, bug 690484',
    title: 'two image names with one real name must be the same',
    walk: async (walk) => {
      walk.admin('d /lib64\nl /lib -> lib64')
      await walk.refused('a-1', `f /lib/x "1" ${at}\nf /lib64/x "2" ${at}`)
      await walk.refused('a-1', `f 0644 /lib/x "1" ${at}\nf 0755 /lib64/x "1" ${at}`)
      await walk.merge('a-1', `f /lib/x "1" ${at}\nf /lib64/x "1" ${at}`)
      assert.deepEqual(walk.names(), ['lib', 'lib64', 'lib64/x'])
    },
  },
  {
    id: '3.6 D10c',
    title: 'a symlink over a directory is refused, also where it leads to a directory of the image',
    difference: 'Portage let it through as y.backup.0000 and claimed /y',
    walk: async (walk) => {
      walk.admin('f /y/inside "admin"')
      const { collisions: found } = await walk.refused('a-1', 'd /real\nl /y -> real')
      assert.deepEqual(
        found.map(({ name, live, image }) => [name, live, image]),
        [['y', 'directory', 'symlink']],
      )
    },
  },
  {
    id: '3.6 U3',
    title: 'of two packages that bring one name at the same time only one gets it',
    difference: 'with parallel-install both owned it, and unmerging one deleted it',
    walk: async (walk) => {
      const outcomes = await Promise.allSettled([walk.merge('a-1', 'f /f "a"'), walk.merge('b-1', 'f /f "b"')])
      const refused = outcomes
        .filter(({ status }) => status === 'rejected')
        .map((each) => (each as PromiseRejectedResult).reason)
      assert.equal(refused.length, 1)
      assert.ok(refused[0] instanceof LockedError || refused[0] instanceof CollisionError)
    },
  },
  {
    id: '3.3 D10',
    title: 'a file over a directory is refused',
    difference: 'Portage merged it as x.backup.0000, which no record has',
    walk: async (walk) => {
      walk.admin('d /x')
      await walk.refused('a-1', 'f /x "1"')
    },
  },
]

const removals: readonly Case[] = [
  {
    id: '3.8 D15b',
    title: 'an edited file stays',
    difference: 'unmerge-orphans deletes without a look at it',
    walk: async (walk) => {
      await walk.merge('a-1', 'f /edited "1"\nf /plain "1"')
      fs.writeFileSync(walk.path('edited'), 'by the admin')
      assert.deepEqual(await walk.unmerge('a-1'), { edited: 'edited' })
      assert.equal(walk.read('edited'), 'by the admin')
    },
  },
  {
    id: '3.8 D15',
    title: 'fifos and devices go',
    difference: 'Portage never removes them without unmerge-orphans',
    needsRoot: true,
    walk: async (walk) => {
      await walk.merge('a-1', 'p /fifo\nc /null 1:3')
      assert.deepEqual(await walk.unmerge('a-1'), {})
      assert.deepEqual(walk.names(), [])
    },
  },
  {
    id: '3.8 rule 5',
    title: 'a file that was only touched goes',
    difference: 'Portage keeps it for its mtime; its digest says that it is ours',
    walk: async (walk) => {
      await walk.merge('a-1', 'f /touched "1"')
      fs.utimesSync(walk.path('touched'), 5, 5)
      assert.deepEqual(await walk.unmerge('a-1'), {})
    },
  },
  {
    id: '3.8 rule 6',
    title: 'what has another type now stays, and what is missing is said',
    walk: async (walk) => {
      await walk.merge('a-1', 'f /f "1"\nl /l -> f\nd /d\nf /gone "1"')
      for (const name of ['f', 'l', 'gone']) fs.unlinkSync(walk.path(name))
      fs.rmdirSync(walk.path('d'))
      walk.admin('l /f -> elsewhere\nf /l "admin"\nl /d -> elsewhere')
      assert.deepEqual(await walk.unmerge('a-1'), {
        f: 'another type',
        l: 'another type',
        d: 'another type',
        gone: 'missing',
      })
      assert.deepEqual(walk.names(), ['d', 'f', 'l'])
    },
  },
  {
    id: '3.8 rule 3',
    title: "what another package owns too stays, and its directory's link with it (bugs 326685, 640058)",
    walk: async (walk) => {
      await walk.merge('base-1', 'd /usr/lib\nl /lib -> usr/lib')
      await walk.merge('b-1', 'f /lib/b "b"')
      assert.deepEqual(await walk.unmerge('base-1'), {
        lib: 'owned by another package',
        usr: 'not empty',
        'usr/lib': 'not empty',
      })
      assert.equal(walk.read('lib/b'), 'b')
      assert.deepEqual(await verify({ root: walk.root }), [])
      assert.deepEqual(await walk.unmerge('b-1'), {})
    },
  },
  {
    id: '3.8 unlinking',
    title: 'a stashed set-id file is harmless, and any other hard link of the admin keeps its mode',
    difference: 'Portage takes the mode off every file that it removes',
    walk: async (walk) => {
      await walk.merge('a-1', 'f 4755 /set-id "1"\nf 0644 /plain "1"')
      for (const name of ['set-id', 'plain']) fs.linkSync(walk.path(name), walk.path(`stash-${name}`))
      await walk.unmerge('a-1')
      assert.deepEqual([walk.mode('stash-set-id'), walk.mode('stash-plain')], [0o755, 0o644])
    },
  },
  {
    id: '3.8 info',
    title: "a directory with somebody's file stays, whatever it is called",
    difference: 'Portage empties a directory named info that holds only dir',
    walk: async (walk) => {
      await walk.merge('a-1', 'f /usr/share/info/a.info "1"')
      walk.admin('f /usr/share/info/dir "index"')
      await walk.unmerge('a-1')
      assert.deepEqual(walk.names(), ['usr', 'usr/share', 'usr/share/info', 'usr/share/info/dir'])
    },
  },
  {
    id: '3.8 order',
    title: 'directories that are empty afterwards go, upwards to those of others',
    walk: async (walk) => {
      await walk.merge('a-1', 'f /opt/a/b/c/x "1"')
      await walk.merge('b-1', 'f /opt/y "1"')
      await walk.unmerge('a-1')
      assert.deepEqual(walk.names(), ['opt', 'opt/y'])
    },
  },
]

const records: readonly Case[] = [
  {
    id: '3.9 D3',
    title: "blanks in names and ' -> ' in a target are recorded, and go again",
    difference: "Portage cut at the last ' -> ' and never removed the link",
    walk: async (walk) => {
      await walk.merge('a-1', 'f /with\\040blanks "1"\nl /link -> a\\040->\\040b')
      assert.equal(fs.readlinkSync(walk.path('link')), 'a -> b')
      assert.deepEqual(await verify({ root: walk.root }), [])
      assert.deepEqual(await walk.unmerge('a-1'), {})
      assert.deepEqual(walk.names(), [])
    },
  },
  {
    id: '3.9 D2',
    title: 'a file dated before 1970 is owned, and goes again',
    difference: 'Portage read its line as unknown and orphaned it',
    walk: async (walk) => {
      await walk.merge('a-1', 'f /old "1"')
      fs.utimesSync(walk.path('old'), -1000, -1000)
      await walk.unmerge('a-1')
      const old = join(walk.root, '../old')
      fs.mkdirSync(old)
      fs.writeFileSync(join(old, 'f'), '1')
      fs.utimesSync(join(old, 'f'), -1000, -1000)
      await merge({ root: walk.root, image: old, package: 'b-1' })
      assert.deepEqual(await verify({ root: walk.root }), [])
      assert.deepEqual(await walk.unmerge('b-1'), {})
    },
  },
  {
    id: '3.10 D4, 4 D1',
    title: 'names with a line feed, or that are not UTF-8, are merged as they are',
    difference: 'Portage refuses some, renames others with ?, and dies on a link half-way',
    walk: async (walk) => {
      await walk.merge('a-1', 'd /empty\\012directory\nf /d\\377/f "1"\nl /l\\377 -> d\\377\nl /m -> \\377')
      assert.deepEqual(walk.names(), ['d\xff', 'd\xff/f', 'empty\ndirectory', 'l\xff', 'm'].sort())
      assert.deepEqual(await verify({ root: walk.root }), [])
      assert.deepEqual(await walk.unmerge('a-1'), {})
      assert.deepEqual(walk.names(), [])
    },
  },
  {
    id: '3.10 E6',
    title: 'a name whose case changes is one name afterwards',
    difference: 'Portage left both',
    walk: async (walk) => {
      await walk.merge('a', 'f /Foo "1"\nf /Dir/x "1"')
      await walk.merge('a', 'f /foo "2"\nf /dir/x "2"')
      assert.deepEqual(walk.names(), ['dir', 'dir/x', 'foo'])
      assert.deepEqual(await verify({ root: walk.root }), [])
    },
  },
]

const contents: readonly Case[] = [
  {
    id: '3.3 D8',
    title: 'a changed owner, or attribute, of the same content is installed',
    difference: 'Portage compares neither owner nor, by default, attributes',
    needsRoot: true,
    walk: async (walk) => {
      await walk.merge('a', `f 0644 0:0 /f "1" ${at}\nf /x "1" user.note="1" ${at}`)
      await walk.merge('a', `f 0644 7:8 /f "1" ${at}\nf /x "1" user.note="2" ${at}`)
      assert.equal(fs.statSync(walk.path('f')).uid, 7)
      assert.deepEqual(await verify({ root: walk.root }), [])
    },
  },
  {
    id: '3.3 D9',
    title: 'a hard-link group that lost a name is one inode again',
    difference: 'Portage made the third name an inode of its own',
    walk: async (walk) => {
      const group = 'f /a "1" mtime=1600000000\nh /b == /a\nh /c == /a'
      await walk.merge('a', group)
      fs.unlinkSync(walk.path('b'))
      await walk.merge('a', group)
      assert.equal(new Set(['a', 'b', 'c'].map((name) => fs.statSync(walk.path(name)).ino)).size, 1)
    },
  },
  {
    id: '3.3 D11',
    title: "a directory's mode changes with its only package, and the admin's or another's does not",
    difference: 'Portage never changes a directory that is there',
    walk: async (walk) => {
      walk.admin('d 0711 /admins')
      await walk.merge('a', 'd 0755 /own\nd 0755 /shared\nd 0755 /admins\nd 0755 /edited')
      await walk.merge('b', 'd 0755 /shared')
      fs.chmodSync(walk.path('edited'), 0o711)
      const next = 'd 0700 /own\nd 0700 /shared\nd 0700 /admins\nd 0700 /edited'
      await walk.merge('a', next)
      await walk.merge('a', next)
      const modes = ['own', 'shared', 'admins', 'edited'].map((name) => walk.mode(name).toString(8))
      assert.deepEqual(modes, ['700', '755', '711', '711'])
    },
  },
  {
    id: '3.3 D12',
    title: 'a new directory has its mtime and attributes',
    difference: 'Portage keeps neither',
    walk: async (walk) => {
      await walk.merge('a', `d 0755 /d user.note="x" ${at}\nf /d/x "1"`)
      assert.equal(fs.statSync(walk.path('d'), { bigint: true }).mtimeNs, 1600000000123456789n)
      assert.deepEqual(await verify({ root: walk.root }), [])
    },
  },
  {
    id: '3.3 D20',
    title: 'symlinks are merged whether what they point to comes later, is absolute, missing or a circle',
    walk: async (walk) => {
      await walk.merge('a', 'l /a -> z\nl /b -> /etc/z\nl /c -> nowhere\nl /d -> e\nl /e -> d\nf /z "1"')
      assert.deepEqual(walk.names(), ['a', 'b', 'c', 'd', 'e', 'z'])
    },
  },
  {
    id: '3.2 D31',
    title: 'an image without anything removes what its package had',
    walk: async (walk) => {
      await walk.merge('a', 'f /d/x "1"')
      await walk.merge('a', '')
      assert.deepEqual(walk.names(), [])
      assert.deepEqual(await listEntries({ root: walk.root, package: 'a' }), [])
    },
  },
  {
    id: '3.2 D32',
    title: 'a set-id file with a hard link of somebody is upgraded, and the link loses its bits',
    difference: 'Portage refuses to merge at all',
    walk: async (walk) => {
      await walk.merge('a', 'f 4755 /bin/tool "1"')
      fs.linkSync(walk.path('bin/tool'), walk.path('stash'))
      await walk.merge('a', 'f 4755 /bin/tool "2"')
      assert.deepEqual([walk.mode('stash'), walk.mode('bin/tool')], [0o755, 0o4755])
    },
  },
  {
    id: '3.3 E7',
    title: 'a damaged file with the recorded mtime is made right by the next merge',
    difference: 'merge-use-vdb keeps it',
    walk: async (walk) => {
      await walk.merge('a', `f /f "right" ${at}`)
      fs.writeFileSync(walk.path('f'), 'wrong')
      fs.utimesSync(walk.path('f'), 1600000000, 1600000000)
      await walk.merge('a', `f /f "right" ${at}`)
      assert.equal(walk.read('f'), 'right')
    },
  },
]

/** Portage has no journal and no undo; these are its sections on crashes and on bad input. */
const failures: readonly Case[] = [
  {
    id: '3.2 E5',
    title: 'the record of a package that is merged again is there, whole, at every moment',
    difference: 'Portage removed it, flushed that, and only then renamed the new one in',
    walk: async (walk) => {
      await walk.merge('a', 'f /f "1"')
      const record = () => readRecord([fs.readFileSync(walk.path('var/lib/rootmerge/packages/a/record'))], 'record')
      const seen = new Set<number>()
      const watching = wrapKernel(linuxKernel(), (_, args, proceed) => {
        seen.add(record().entries.length)
        return proceed(...args)
      })
      await walk.mergeBy(watching, 'a', 'f /f "1"\nf /g "2"')
      assert.deepEqual([...seen], [1, 2])
    },
  },
  {
    id: '4 D7',
    title: 'a disk that is full at any file leaves none of them, and the umask as it was',
    difference: 'Portage left half of the files, unrecorded, and the umask at 0 (bug 451024)',
    walk: async (walk) => {
      await walk.merge('a', 'f /f "1"')
      const before = [walk.names(), process.umask()]
      for (const good of [0, 1, 7, 19]) {
        let files = 0
        const full = wrapKernel(linuxKernel(), (call, args, proceed) => {
          const isNew = call === 'openat' && ((args[2] as number) & O_EXCL) !== 0
          if (isNew && files++ >= good) throw new SyscallError('ENOSPC', call)
          return proceed(...args)
        })
        const image = many(20, (n) => `f /new/${n} "x"\nf /${n} "x"`)
        await assert.rejects(walk.mergeBy(full, 'b', image), NoSpaceError)
        assert.deepEqual([walk.names(), process.umask()], before, `full after ${good} files`)
        assert.deepEqual(await list({ root: walk.root }), ['a'])
      }
    },
  },
  {
    id: '4 U1',
    title: 'a file of the image that cannot be read stops the merge before anything of it is seen',
    difference: 'Portage stopped in the middle: what came before stayed, without a record',
    walk: async (walk) => {
      const unreadable = wrapKernel(linuxKernel(), (call, args, proceed) => {
        if (call === 'openat' && args[1] === 'unreadable') throw new SyscallError('EACCES', call)
        return proceed(...args)
      })
      await assert.rejects(walk.mergeBy(unreadable, 'a', 'f /a "1"\nf /unreadable "2"\nf /z "3"'), /EACCES/)
      assert.deepEqual(walk.names(), [])
      assert.deepEqual(await list({ root: walk.root }), [])
    },
  },
  {
    id: '4 D19',
    title: 'an absolute link in the root leads to a place inside it, never outside',
    difference: 'Portage wrote outside ROOT',
    walk: async (walk) => {
      const outside = fs.mkdtempSync(join(walk.root, '../outside-'))
      const inside = join(walk.root, outside)
      fs.mkdirSync(inside, { recursive: true })
      fs.symlinkSync(outside, walk.path('esc'))
      await walk.merge('a', 'f /esc/f "1"')
      assert.deepEqual([fs.readdirSync(outside), fs.readdirSync(inside)], [[], ['f']])
      await walk.unmerge('a')
      assert.deepEqual([fs.readdirSync(outside), fs.readdirSync(inside)], [[], []])
    },
  },
]

const tables = { Collisions: collisions, Unmerge: removals, Records: records, Contents: contents, Failures: failures }
const isRoot = process.getuid?.() === 0

for (const [title, cases] of Object.entries(tables)) {
  describe(`Portage's ${title.toLowerCase()}, walked through`, function () {
    this.timeout(30_000)
    for (const { id, title: what, difference, needsRoot, walk } of cases) {
      it(`${id}: ${what}${difference === undefined ? '' : ` (${difference})`}`, function () {
        if (needsRoot && !isRoot) {
          process.stderr.write(`skipped: ${id} needs root\n`)
          return this.skip()
        }
        return withDirectory((directory) => walk(new Walk(directory)))
      })
    }
  })
}
