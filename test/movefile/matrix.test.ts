// Every type over every target, on pairs of file systems: what becomes of both is one table.

import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { type MoveReport, Mover } from '../../src/movefile/index.ts'
import { AT_FDCWD, type Kernel, O_DIRECTORY, O_RDONLY, openKernel, openPath } from '../../src/sys/index.ts'
import { compareTrees } from '../support/compareTrees.ts'
import { type FileSystem, fileSystems, itOnEach } from '../support/filesystems.ts'
import { trackDescriptors } from '../support/kernelDoubles.ts'
import { withDirectory } from '../support/scratch.ts'
import { writeTree } from '../support/tree.ts'

const isRoot = process.getuid?.() === 0
/** An ordinary user can neither move such a directory elsewhere nor empty it. */
const closed = isRoot ? '0555' : '0755'
const time = 'mtime=1234567890.123456789'

/** The lines of an object of each type at `path`. */
const sources: Readonly<Record<string, (path: string) => string>> = {
  file: (path) => `f 0640 ${path} "payload" ${time} user.note="kept" acl=u:bin:rw`,
  'sparse file': (path) => `f 0600 ${path} "begin" hole:2M "end" hole:1M ${time}`,
  symlink: (path) => `l ${path} -> ../no/where ${time}`,
  fifo: (path) => `p 0624 ${path} ${time}`,
  socket: (path) => `s 0711 ${path} ${time}`,
  'empty directory': (path) => `d ${closed} ${path} ${time} user.note="kept"`,
  'directory tree': (path) => `
    d 0750 ${path} ${time} user.note="top" acl=d:u:bin:rx
    d ${closed} ${path}/sub ${time}
    f 0444 ${path}/sub/one "one" ${time} user.note="one"
    h ${path}/two == ${path}/sub/one
    l ${path}/link -> sub/one ${time}
    f 0644 ${path}/hole hole:1M "x" ${time}
    p 0600 ${path}/caf\\351 ${time}`,
}
const sourcesOfRoot: typeof sources = {
  'file of mode 0': (path) => `f 0000 ${path} "secret" ${time}`,
  'set-id file': (path) => `f 6755 12:34 ${path} "program" ${time} cap=cap_net_raw+ep user.note="kept"`,
  'symlink with an owner': (path) => `l 12:34 ${path} -> target ${time} trusted.note="on a link"`,
  'character device': (path) => `c 0620 0:5 ${path} 1:3 ${time}`,
  'block device': (path) => `b 0660 0:6 ${path} 7:200 ${time}`,
}

/** What is at the target before; `other` is a directory beside it. */
const targets: Readonly<Record<string, (path: string, other: string) => string>> = {
  absent: () => '',
  file: (path) => `f 0600 ${path} "old" ${time}`,
  'symlink to a file': (path, other) => `l ${path} -> ${other}/file ${time}`,
  'symlink to a directory': (path, other) => `l ${path} -> ${other} ${time}`,
  'dangling symlink': (path) => `l ${path} -> dangling ${time}`,
  'empty directory': (path) => `d 0700 ${path} ${time}`,
  'full directory': (path) => `d 0700 ${path} ${time}\nf 0600 ${path}/member "m" ${time}`,
  fifo: (path) => `p 0600 ${path} ${time}`,
  socket: (path) => `s 0600 ${path} ${time}`,
  ...(isRoot ? { device: (path: string) => `c 0600 ${path} 1:5 ${time}` } : {}),
}

type Outcome = 'moved' | 'EISDIR' | 'ENOTDIR' | 'ENOTEMPTY'

/** The whole of rename(2): what may replace what. */
const outcomes: Readonly<Record<string, { directory: Outcome; other: Outcome }>> = {
  absent: { directory: 'moved', other: 'moved' },
  'empty directory': { directory: 'moved', other: 'EISDIR' },
  'full directory': { directory: 'ENOTEMPTY', other: 'EISDIR' },
}
const anythingElse = { directory: 'ENOTDIR', other: 'moved' } as const

interface Case {
  readonly name: string
  readonly source: string
  readonly target: string
  readonly outcome: Outcome
}

const everySource = { ...sources, ...(isRoot ? sourcesOfRoot : {}) }
const cases: readonly Case[] = Object.keys(everySource).flatMap((source) =>
  Object.keys(targets).map((target) => {
    const row = outcomes[target] ?? anythingElse
    const outcome = source.includes('directory') ? row.directory : row.other
    return { name: `${source} over ${target}`.replaceAll(' ', '-'), source, target, outcome }
  }),
)

const sourceLines = ({ name, source }: Case, top: string) => everySource[source]?.(`${top}/${name}/object`) ?? ''
const targetLines = ({ name, target }: Case) => targets[target]?.(`/${name}/target`, '../other') ?? ''
const movedLines = ({ name, source }: Case) => everySource[source]?.(`/${name}/target`) ?? ''
const directories = (top: string) => cases.map(({ name }) => `d 0755 ${top}/${name} ${time}`).join('\n')
const other = `d 0700 /other ${time}\nf 0600 /other/file "other" ${time}`

/** All pairs with ROOTMERGE_TEST_FULL, else each file system once as source and once as target, and with itself. */
function pairs(): (readonly [FileSystem, FileSystem])[] {
  const all = fileSystems()
  const full = all.flatMap((source) => all.map((target) => [source, target] as const))
  if (process.env.ROOTMERGE_TEST_FULL) return full
  return full.filter(([source, target]) => {
    const distance = (all.indexOf(target) - all.indexOf(source) + all.length) % all.length
    return distance === 1 || (distance === 0 && all.indexOf(source) % 3 === 0)
  })
}

describe('Mover.move()', () => {
  let kernel: Kernel
  before(async () => {
    kernel = await openKernel()
  })

  for (const [source, target] of pairs()) {
    it(`moves ${cases.length} cases of type over target as the table says [${source.name} to ${target.name}]`, () => {
      withDirectory((from) => {
        withDirectory(
          (to) =>
            withDirectory((expected) => moveAll(kernel, { from, to, expected }, source === target), target.directory()),
          target.directory(),
        )
      }, source.directory())
    })
  }
})

describe('Mover.move() over another name of the source', () => {
  let kernel: Kernel
  before(async () => {
    kernel = await openKernel()
  })
  const place = (directory: string, body: (fd: number, mover: Mover) => void) => {
    const fd = openPath(kernel, directory, O_RDONLY | O_DIRECTORY)
    body(fd, new Mover(kernel))
    kernel.close(fd)
  }

  itOnEach('leaves one name when the target is a hard link of the source', (directory) => {
    writeTree(directory, `f /a "x" ${time}\nh /b == /a\nl /c -> x ${time}\nh /d == /c`)
    place(directory, (fd, mover) => {
      assert.equal(mover.move({ directory: fd, name: 'a' }, { directory: fd, name: 'b' }).method, 'link')
      assert.equal(mover.move({ directory: fd, name: 'c' }, { directory: fd, name: 'd' }).method, 'link')
    })
    assert.deepEqual(fs.readdirSync(directory).sort(), ['b', 'd'])
  })

  itOnEach('refuses the source itself, of every type', (directory) => {
    writeTree(directory, `f /file "x"\nd /directory\nl /link -> file\np /fifo\nf /one "y"\nh /two == /one`)
    place(directory, (fd, mover) => {
      for (const name of fs.readdirSync(directory)) {
        assert.throws(() => mover.move({ directory: fd, name }, { directory: fd, name }), {
          code: 'ERR_ROOTMERGE_SAME_FILE',
        })
      }
    })
    assert.equal(fs.readdirSync(directory).length, 6)
  })
})

function moveAll(kernel: Kernel, places: { from: string; to: string; expected: string }, sameMount: boolean): void {
  const { from, to, expected } = places
  const kept = join(expected, 'source')
  const made = join(expected, 'target')
  for (const directory of [kept, made]) fs.mkdirSync(directory)
  writeTree(from, `${directories('')}\n${cases.map((each) => sourceLines(each, '')).join('\n')}`)
  writeTree(to, `${directories('')}\n${other}\n${cases.map(targetLines).join('\n')}`)
  const refused = cases.filter((each) => each.outcome !== 'moved')
  writeTree(kept, `${directories('')}\n${refused.map((each) => sourceLines(each, '')).join('\n')}`)
  const after = (each: Case) => (each.outcome === 'moved' ? movedLines(each) : targetLines(each))
  writeTree(made, `${directories('')}\n${other}\n${cases.map(after).join('\n')}`)

  const tracked = trackDescriptors(kernel)
  const mover = new Mover(tracked.kernel)
  const method = sameMount ? 'rename' : 'copy'
  for (const each of cases)
    assert.equal(moveOne(mover, from, to, each), each.outcome === 'moved' ? method : each.outcome, each.name)
  assert.deepEqual([...tracked.open.values()], [])
  resetTimes(kernel, [from, to, kept, made])
  assert.deepEqual(compareTrees(to, made, { ignoreTop: true }), [])
  assert.deepEqual(compareTrees(from, kept, { ignoreTop: true }), [])
}

/** The method that was used, or the code of the refusal. */
function moveOne(mover: Mover, from: string, to: string, { name }: Case): string {
  const { kernel } = mover
  const source = openPath(kernel, join(from, name), O_RDONLY | O_DIRECTORY)
  const target = openPath(kernel, join(to, name), O_RDONLY | O_DIRECTORY)
  let report: MoveReport
  try {
    report = mover.move({ directory: source, name: 'object' }, { directory: target, name: 'target' })
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  } finally {
    kernel.close(source)
    kernel.close(target)
  }
  assert.deepEqual(report.lost, [], name)
  assert.equal(report.mtimeNs, 1234567890123456789n)
  return report.method
}

/** The directories of the cases have other times than before, as names in them changed. */
function resetTimes(kernel: Kernel, tops: readonly string[]): void {
  for (const top of tops) {
    for (const { name } of cases) kernel.utimensat(AT_FDCWD, join(top, name), 0n, 0n)
  }
}
