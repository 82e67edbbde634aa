// Fail the n-th call, and die at the n-th call, for every n: the source or the target is whole, the target's name shows
// the old object or the new one after every single call, and nothing is left behind.

import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { isStagingName, type MoveOptions, Mover } from '../../src/movefile/index.ts'
import { type ErrnoName, type Kernel, O_DIRECTORY, O_RDONLY, openKernel, openPath } from '../../src/sys/index.ts'
import { type Compared, compareTrees } from '../support/compareTrees.ts'
import { fileSystems } from '../support/filesystems.ts'
import { Crash, crashAt, failNth, trackDescriptors, wrapKernel } from '../support/kernelDoubles.ts'
import { withDirectory } from '../support/scratch.ts'
import { sample, seed, seeded } from '../support/seeded.ts'
import { writeTree } from '../support/tree.ts'

const time = 'mtime=1234567890.123456789'
const file = (path: string) => `f 0640 ${path} "the new one" ${time} user.note="kept"`
const tree = (path: string) => `
  d 0750 ${path} ${time} user.note="top"
  d 0700 ${path}/sub ${time}
  f 0600 ${path}/sub/one "one" ${time}
  h ${path}/two == ${path}/sub/one
  l ${path}/link -> sub ${time}`

/** One move, and what it makes of what. */
interface Scenario {
  readonly source: (path: string) => string
  /** The target before; '' when there is none. */
  readonly old: string
  /** The target after. */
  readonly expected: (path: string) => string
  readonly sameFileSystem?: true
  readonly options?: MoveOptions
  /** Beside the target. */
  readonly candidate?: string
  readonly copy?: true
  /** A process that dies can leave the source with the time and attributes that the target was to get. */
  readonly changesSource?: true
}

const scenarios: Readonly<Record<string, Scenario>> = {
  'a rename with another time and an excluded attribute': {
    source: (path) => `f 0640 ${path} "the new one" user.note="kept" user.xdg.origin="web"`,
    old: `f 0600 /target "old" ${time}`,
    expected: file,
    sameFileSystem: true,
    changesSource: true,
    options: { newMtimeNs: 1234567890123456789n, durability: 'file' },
  },
  'a file over a file': {
    source: file,
    old: `f 0600 /target "old" ${time}`,
    expected: file,
    options: { durability: 'file' },
  },
  'a file over a symlink': { source: file, old: `l /target -> x ${time}`, expected: file },
  'a set-id file to a free name, flushed': {
    source: (path) => `f 4750 ${path} "the new one" ${time} user.note="kept"`,
    old: '',
    expected: (path) => `f 4750 ${path} "the new one" ${time} user.note="kept"`,
    options: { durability: 'file' },
  },
  'a file to a free name': { source: file, old: '', expected: file, options: { noReplace: true } },
  'a symlink over a symlink': {
    source: (path) => `l ${path} -> new ${time}`,
    old: `l /target -> old ${time}`,
    expected: (path) => `l ${path} -> new ${time}`,
  },
  'a fifo over a file': {
    source: (path) => `p 0620 ${path} ${time}`,
    old: `f 0600 /target "old" ${time}`,
    expected: (path) => `p 0620 ${path} ${time}`,
  },
  'a link to a candidate': {
    source: file,
    old: `f 0600 /target "old" ${time}`,
    expected: file,
    candidate: file('/candidate'),
  },
  'a tree to a free name': { source: tree, old: '', expected: tree, options: { durability: 'file' } },
  'a tree over an empty directory': { source: tree, old: `d 0700 /target ${time}`, expected: tree },
  'a copy of a tree': { source: tree, old: '', expected: tree, copy: true },
}

/** What a run is spoilt with, so that the sweep has to complain. */
type Sabotage = (kernel: Kernel) => Kernel

interface Places {
  readonly from: string
  readonly to: string
  /** Holds `source`, `old` and `new` as they should be. */
  readonly reference: string
}

const [one, two = one] = fileSystems().length > 2 ? [fileSystems()[0], fileSystems()[5]] : fileSystems()
/** Points of one sweep by default. */
const most = 10
const random = seeded(seed)
const codes: readonly ErrnoName[] = process.env.ROOTMERGE_TEST_FULL
  ? ['EIO', 'EPERM', 'ENOSPC', 'EXDEV']
  : ['EIO', 'EPERM']

describe('Mover.move() when a call fails', function () {
  this.timeout(600_000) // every point of the long form, on a busy machine
  for (const [title, scenario] of Object.entries(scenarios)) {
    it(`leaves the old or the new, and nothing else, of ${title}`, async () => {
      const kernel = await openKernel()
      for (const code of codes) {
        const points = sweep(kernel, scenario, (tracked, n) => failNth(tracked, n, code))
        assert.ok(points > 5, `${points} points`)
      }
    })
  }
})

describe('Mover.move() when the process dies', function () {
  this.timeout(600_000) // every point of the long form, on a busy machine
  for (const [title, scenario] of Object.entries(scenarios)) {
    it(`leaves the old or the new of ${title}, and the next move cleans up`, async () => {
      assert.ok(sweep(await openKernel(), scenario, crashAt) > 5)
    })
  }
})

describe('the sweep', () => {
  const scenario = scenarios['a file over a file'] as Scenario
  const sabotages: Readonly<Record<string, Sabotage>> = {
    'the target is removed before the rename': (kernel) => ({
      ...kernel,
      renameat(from, fromName, to, toName, flags) {
        if (isStagingName(fromName)) kernel.unlinkat(to, toName)
        kernel.renameat(from, fromName, to, toName, flags)
      },
    }),
    'what was staged is not discarded': (kernel) => ({
      ...kernel,
      unlinkat(directory, name, flags) {
        if (!isStagingName(name)) kernel.unlinkat(directory, name, flags)
      },
    }),
    'the mode comes after the rename': (kernel) => ({
      ...kernel,
      fchmod() {},
    }),
    'a descriptor stays open': (kernel) => {
      let closes = 0
      return { ...kernel, close: (fd) => (++closes === 3 ? undefined : kernel.close(fd)) }
    },
    'the source goes first': (kernel) => ({
      ...kernel,
      renameat(from, fromName, to, toName, flags) {
        if (isStagingName(fromName)) for (const fd of sourceDirectory) kernel.unlinkat(fd, 'source')
        kernel.renameat(from, fromName, to, toName, flags)
      },
    }),
  }
  for (const [title, sabotage] of Object.entries(sabotages)) {
    it(`notices when ${title}`, async () => {
      const kernel = await openKernel()
      const run = () => {
        sweep(kernel, scenario, (tracked, n) => failNth(tracked, n, 'EIO'), sabotage)
        sweep(kernel, scenario, crashAt, sabotage)
      }
      assert.throws(run, assert.AssertionError)
    })
  }
})

/** The descriptor of the source's directory in the run at hand, for a sabotage. */
const sourceDirectory = new Set<number>()

/** Runs a scenario with trouble at each of its calls in turn; returns how many there were. */
function sweep(
  kernel: Kernel,
  scenario: Scenario,
  trouble: (kernel: Kernel, n: number) => { kernel: Kernel; seen: Seen },
  sabotage?: Sabotage,
): number {
  const [first, second] = [one?.directory() ?? '', (scenario.sameFileSystem ? one : two)?.directory() ?? '']
  return withDirectory((reference) => {
    for (const name of ['source', 'old', 'new']) fs.mkdirSync(join(reference, name))
    writeTree(join(reference, 'source'), scenario.source('/object'))
    writeTree(join(reference, 'old'), scenario.old.replace('/target', '/object'))
    writeTree(join(reference, 'new'), scenario.expected('/object'))
    const run = (n: number) =>
      withDirectory(
        (from) =>
          withDirectory(
            (to) =>
              runPoint(
                kernel,
                scenario,
                { from, to, reference },
                { n, trouble, sabotage: sabotage ?? ((same) => same) },
              ),
            second,
          ),
        first,
      )
    const { calls } = run(Number.POSITIVE_INFINITY)
    const points = sabotage === undefined ? pointsOf(calls) : allPoints(calls)
    for (const n of points) run(n)
    return points.length
  }, first)
}

/** Every point with ROOTMERGE_TEST_FULL, or where there are few; else some, from a seed that is printed. */
function pointsOf(calls: number): number[] {
  const all = allPoints(calls)
  if (process.env.ROOTMERGE_TEST_FULL || calls <= most) return all
  process.stderr.write(`      ${most} of ${calls} points, ROOTMERGE_TEST_SEED=${seed}\n`)
  return sample(all, most, random)
}

function allPoints(calls: number): number[] {
  return Array.from({ length: calls }, (_, index) => index + 1)
}

type Seen = ReturnType<typeof failNth>['seen']

interface Point {
  readonly n: number
  readonly trouble: (kernel: Kernel, n: number) => { kernel: Kernel; seen: Seen }
  readonly sabotage: Sabotage
}

/** One run: how many calls it made. */
function runPoint(
  kernel: Kernel,
  scenario: Scenario,
  places: Places,
  { n, trouble, sabotage }: Point,
): { calls: number } {
  const { from, to } = places
  writeTree(from, scenario.source('/source'))
  writeTree(to, `${scenario.old}\n${scenario.candidate ?? ''}`)
  const target = join(to, 'target')
  const looks = { old: look(target), new: look(join(places.reference, 'new/object')) }
  const tracked = trackDescriptors(kernel)
  const watched = wrapKernel(tracked.kernel, (call, args, proceed) => {
    const result = proceed(...args)
    const now = look(target)
    if (now !== looks.old && now !== looks.new)
      throw new assert.AssertionError({ message: `after ${call} the name shows ${now}` })
    return result
  })
  const troubled = trouble(watched, n)
  const error = attempt(() => move(kernel, sabotage(troubled.kernel), scenario, places))
  const message = `call ${n}, ${troubled.seen.hit}: ${String(error)}`
  const died = error instanceof Crash || hasDied(troubled)
  if (died) for (const fd of [...tracked.open.keys()]) kernel.close(fd)
  else assert.deepEqual([...tracked.open.values()], [], message)
  judge(places, scenario, error, message)
  if (died) finishAfterDeath(kernel, scenario, places, message)
  assert.deepEqual(
    fs.readdirSync(to).filter((name) => isStagingName(Buffer.from(name).toString('latin1'))),
    [],
    message,
  )
  return troubled.seen
}

function hasDied(troubled: { kernel: Kernel; seen: Seen }): boolean {
  if (troubled.seen.hit === undefined) return false
  return attempt(() => troubled.kernel.statat(-100, '/')) instanceof Crash
}

function move(real: Kernel, kernel: Kernel, scenario: Scenario, { from, to }: Places): void {
  const open = (path: string) => openPath(real, path, O_RDONLY | O_DIRECTORY)
  const [fromFd, toFd] = [open(from), open(to)]
  sourceDirectory.clear()
  sourceDirectory.add(fromFd)
  try {
    const mover = new Mover(kernel)
    const [source, target] = [
      { directory: fromFd, name: 'source' },
      { directory: toFd, name: 'target' },
    ]
    if (scenario.copy) mover.copy(source, target, scenario.options)
    else {
      const candidates = scenario.candidate === undefined ? [] : [{ directory: toFd, name: 'candidate' }]
      mover.move(source, target, { ...scenario.options, hardlinkCandidates: candidates })
    }
  } finally {
    real.close(fromFd)
    real.close(toFd)
  }
}

/** After a failure the source is whole and the target old; after success, or when the error says so, the target is new. */
function judge({ from, to, reference }: Places, scenario: Scenario, error: unknown, message: string): void {
  const differs = (path: string, name: string, mayDiffer: readonly Compared[] = []) =>
    fs.lstatSync(path, { throwIfNoEntry: false }) === undefined ||
    compareTrees(path, join(reference, name, 'object'), { ignore: ['holes', ...mayDiffer] }).length > 0
  const died = error instanceof Crash || error === undefined
  const mayDiffer: Compared[] = scenario.changesSource && died ? ['mtime', 'xattrs'] : []
  const sourceIsWhole = !differs(join(from, 'source'), 'source', mayDiffer)
  const targetIsNew = !differs(join(to, 'target'), 'new')
  assert.ok(sourceIsWhole || targetIsNew, `neither is whole after ${message}`)
  if (error instanceof assert.AssertionError) throw error
  if (error === undefined) assert.ok(targetIsNew, `not moved, and no error, after ${message}`)
  if (error === undefined && !scenario.copy)
    assert.ok(!fs.existsSync(join(from, 'source')), `both are there after ${message}`)
  const code = (error as { code?: string } | undefined)?.code ?? ''
  const saysInPlace = ['ERR_ROOTMERGE_SOURCE_NOT_REMOVED', 'ERR_ROOTMERGE_NOT_DURABLE'].includes(code)
  if (error !== undefined && !(error instanceof Crash)) {
    assert.equal(targetIsNew, saysInPlace, `the error does not say where the object is: ${message}`)
    if (!saysInPlace) assert.ok(sourceIsWhole, `the source was touched by ${message}`)
  }
}

/** The next move finds what the dead one has left, and puts the same object in place. */
function finishAfterDeath(kernel: Kernel, scenario: Scenario, places: Places, message: string): void {
  const { from, to, reference } = places
  const left = fs.readdirSync(to).filter((name) => isStagingName(name))
  assert.ok(left.length <= 1, `${left} after ${message}`)
  assert.ok(left.every((name) => isStagingName(name, 'move')))
  if (fs.lstatSync(join(from, 'source'), { throwIfNoEntry: false }) === undefined) {
    assert.deepEqual(left, [], message)
    return
  }
  const isPlaced = compareTrees(join(to, 'target'), join(reference, 'new/object'), { ignore: ['holes'] }).length === 0
  if (isPlaced && fs.lstatSync(join(to, 'target')).isDirectory()) {
    assert.deepEqual(left, [], message) // what is left of the source cannot replace a full directory
    return
  }
  move(kernel, kernel, { ...scenario, options: { ...scenario.options, noReplace: false } }, places)
  assert.deepEqual(compareTrees(join(to, 'target'), join(reference, 'new/object'), { ignore: ['holes'] }), [], message)
}

/** What a name shows, in one line. */
function look(path: string): string {
  const stat = fs.lstatSync(path, { bigint: true, throwIfNoEntry: false })
  if (stat === undefined) return 'nothing'
  const contents = stat.isFile()
    ? fs.readFileSync(path, 'latin1')
    : stat.isSymbolicLink()
      ? fs.readlinkSync(path)
      : stat.isDirectory()
        ? fs.readdirSync(path).sort().join()
        : ''
  return `${stat.mode.toString(8)} ${stat.uid}:${stat.gid} ${stat.mtimeNs} ${contents}`
}

function attempt(action: () => void): unknown {
  try {
    action()
  } catch (error) {
    return error
  }
  return undefined
}
