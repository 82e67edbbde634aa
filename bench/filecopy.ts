// How fast is a copy, beside cp, Node's fs.copyFile, and a C program of the same calls?
//
//   node build/bench/filecopy.js [CASE,...]      as root, with a C compiler and 18 GiB of memory or of /tmp
//
// The contenders take turns, so that a busy machine is equally busy for all. Ratios are those of processor time (the
// smallest of the runs), which other programs disturb less than the clock.

import { execFileSync, spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { copyNamed } from '../src/filecopy/copyFile.ts'
import { Copier, type CopyOptions } from '../src/filecopy/index.ts'
import { linuxKernel, retryInterrupted } from '../src/sys/index.ts'
import { type FileSystem, fileSystems } from '../test/support/filesystems.ts'
import { measured, Results } from './results.ts'

const KiB = 1024
const MiB = 1024 * KiB
const GiB = 1024 * MiB

/** Milliseconds by the clock, and of processor time. */
interface Cost {
  readonly wall: number
  readonly cpu: number
}

interface Case {
  readonly title: string
  /** How often in a row, at most. */
  readonly runs: number
  /** Files in a directory, instead of one file. */
  readonly count?: number
  make(path: string): void
}

type Contender = (source: string, target: string, count: number | undefined) => Cost

/** How often each contender has its turn. */
const turns = measured(2, 1)
/** A turn has no further runs after so many milliseconds: who writes gigabytes of zeros is not made quicker by more of them. */
const longTurn = 2000

const block = Buffer.alloc(MiB, 'measured ')

function writeExtents(path: string, size: number, count: number, extent: number): void {
  const distance = count === 131_072 ? 2 * extent : size / count
  const fd = fs.openSync(path, 'wx')
  fs.ftruncateSync(fd, size)
  for (let n = 0; n < count; n++) fs.writeSync(fd, block, 0, extent, n * distance)
  fs.closeSync(fd)
}

const dense: Case = { title: '1 GiB', runs: 4, make: (path) => writeExtents(path, GiB, 1024, MiB) }
const sparse: Case = {
  title: `${measured('4 GiB', '64 MiB')}, 64 extents of 64 KiB`,
  runs: measured(30, 1),
  make: (path) => writeExtents(path, measured(4 * GiB, 64 * MiB), 64, 64 * KiB),
}
const fragmented: Case = {
  title: '16 GiB, 131,072 extents of 4 KiB',
  runs: 1,
  make: (path) => writeExtents(path, 16 * GiB, 131_072, 4 * KiB),
}
const smallFiles = measured(20_000, 100)
const small: Case = {
  title: `${smallFiles.toLocaleString('en')} files of 4 KiB`,
  runs: 1,
  count: smallFiles,
  make(path) {
    fs.mkdirSync(path)
    for (let n = 0; n < smallFiles; n++) fs.writeFileSync(join(path, String(n)), block.subarray(0, 4 * KiB))
  },
}
const cases: Readonly<Record<string, Case>> = measured<Readonly<Record<string, Case>>>(
  { dense, sparse, small, fragmented },
  { sparse, small },
)

const kernel = retryInterrupted(linuxKernel())
const scratch = fs.mkdtempSync(join(tmpdir(), 'rootmerge-bench-'))
const yardstick = join(scratch, 'yardstick')
process.once('exit', () => fs.rmSync(scratch, { recursive: true, force: true }))

function here(work: () => void): Cost {
  const started = performance.now()
  const before = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(before)
  return { wall: performance.now() - started, cpu: (user + system) / 1000 }
}

function inC(...args: string[]): Cost {
  const { stdout, stderr, status } = spawnSync(yardstick, args)
  if (status !== 0) throw new Error(`${args.join(' ')}: ${String(stderr).slice(0, 200)}`)
  const [wall = Number.NaN, cpu = Number.NaN] = stdout.toString().split(' ').map(Number)
  return { wall, cpu }
}

function eachPair(
  source: string,
  target: string,
  count: number | undefined,
  copy: (...names: [string, string]) => void,
) {
  if (count === undefined) copy(source, target)
  else for (let n = 0; n < count; n++) copy(join(source, String(n)), join(target, String(n)))
}

const ours =
  (options: CopyOptions): Contender =>
  (source, target, count) =>
    here(() => {
      const copier = new Copier(kernel)
      eachPair(source, target, count, (...names) => copyNamed(copier, kernel, names, options))
    })

const contenders: Readonly<Record<string, Contender>> = {
  chain: ours({}),
  fastest: ours({ methods: 'fastest' }),
  C: (source, target, count) => inC('chain', source, target, String(count ?? 0)),
  cp: (source, target, count) =>
    inC('run', 'cp', '--reflink=auto', '--sparse=auto', ...(count === undefined ? [] : ['-rT']), source, target),
  'fs.copyFile': (source, target, count) =>
    here(() => eachPair(source, target, count, (...names) => fs.copyFileSync(...names))),
}

/** Targets have new names each time: on ext4 names that were just removed are dear to make again. */
let targets = 0

function measureOnce(contender: Contender, source: string, directory: string, count: number | undefined): Cost {
  const target = join(directory, `target-${targets++}`)
  if (count !== undefined) fs.mkdirSync(target)
  const cost = contender(source, target, count)
  if (count === undefined) fs.rmSync(target) // small files stay: their removal would make the next ones dearer (ext4)
  return cost
}

function best(costs: readonly Cost[] = []): Cost {
  return { wall: Math.min(...costs.map((cost) => cost.wall)), cpu: Math.min(...costs.map((cost) => cost.cpu)) }
}

/** Node's copyFile writes 16 GiB of zeros, for which there is no room. */
function takesPart(contender: string, name: string): boolean {
  return contender !== 'fs.copyFile' || name !== 'fragmented'
}

/** Several runs in a row: the first ones pay for memory that the others have just left (and for cold code). */
function costsOfTurn(runs: number, measureNext: () => Cost): Cost[] {
  const costs: Cost[] = []
  for (let spent = 0; costs.length < runs && spent < longTurn; ) {
    const cost = measureNext()
    spent += cost.wall
    costs.push(cost)
  }
  return costs
}

/** What one case cost each contender between two file systems. */
interface Row {
  readonly title: string
  readonly pair: string
  readonly costs: Readonly<Record<string, Cost>>
}

function measure(name: string, from: FileSystem, to: FileSystem): Row {
  const { title, runs, make, count } = cases[name] as Case
  const source = join(from.directory(), `source-${name}`)
  if (!fs.existsSync(source)) make(source)
  const names = Object.keys(contenders).filter((each) => takesPart(each, name))
  const costs = new Map<string, Cost[]>(names.map((each) => [each, []]))
  for (let turn = 0; turn < turns; turn++) {
    for (const each of names) {
      const measureNext = () => measureOnce(contenders[each] as Contender, source, to.directory(), count)
      costs.get(each)?.push(...costsOfTurn(runs, measureNext))
    }
  }
  fs.rmSync(source, { recursive: true })
  const pair = from === to ? from.name : `${from.name} to ${to.name}`
  return { title, pair, costs: Object.fromEntries([...costs].map(([each, all]) => [each, best(all)])) }
}

function lineOf({ title, pair, costs }: Row): string {
  const cells = Object.keys(contenders).map((each) => (costs[each] === undefined ? '-' : format(costs[each])))
  const ratio = (one: string, other: string) => ((costs[one]?.cpu ?? 0) / (costs[other]?.cpu ?? 0)).toFixed(2)
  return `| ${[title, pair, ...cells, ratio('chain', 'C'), ratio('chain', 'cp'), ratio('fastest', 'cp')].join(' | ')} |`
}

function format({ wall, cpu }: Cost): string {
  return `${wall.toFixed(wall < 10 ? 2 : 0)} (${cpu.toFixed(cpu < 10 ? 2 : 0)})`
}

/** One pair of file systems a process, so that there is room in memory for the next. */
function measurePair(from: string, to: string, names: string): void {
  const source = fileURLToPath(new URL('../../bench/filecopyYardstick.c', import.meta.url))
  execFileSync('cc', ['-O2', '-o', yardstick, source])
  const find = (name: string) => fileSystems().find((each) => each.name === name)
  const [one, other] = [find(from), find(to)]
  if (one === undefined || other === undefined) throw new Error(`no such file systems: ${from}, ${to}`)
  for (const name of names.split(',')) fs.writeSync(1, `${JSON.stringify(measure(name, one, other))}\n`)
}

const allPairs: readonly (readonly [string, string])[] = [
  ...['ext4', 'xfs', 'xfs without reflink', 'btrfs subvolume one', 'tmpfs'].map((name) => [name, name] as const),
  ['btrfs subvolume one', 'btrfs subvolume two'],
  ['overlay on xfs', 'overlay on xfs'],
  ['ext4', 'xfs'],
  ['xfs', 'ext4'],
  ['tmpfs', 'ext4'],
]

const pairs = measured(allPairs, [
  ['ext4', 'ext4'],
  ['ext4', 'xfs'],
] as const)

function measureAll(names: string): void {
  const results = new Results('filecopy', 'What does copying contents cost?', 'ms of processor time', 'less')
  const head = ['case', 'file system', ...Object.keys(contenders), 'chain / C', 'chain / cp', 'fastest / cp']
  fs.writeSync(1, `Linux ${release()}, Node ${process.version}; milliseconds of wall clock (of processor time)\n\n`)
  fs.writeSync(1, `| ${head.join(' | ')} |\n| ${head.map(() => '---').join(' | ')} |\n`)
  const env = { ...process.env, ROOTMERGE_TEST_IMAGE_GIB: measured('6', '1') }
  for (const pair of pairs) {
    const args = [fileURLToPath(import.meta.url), ...pair, names]
    const { stdout, status } = spawnSync(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'], env })
    if (status !== 0) throw new Error(`${pair.join(' to ')} could not be measured`)
    for (const line of stdout.toString().split('\n').filter(Boolean)) {
      const row = JSON.parse(line) as Row
      fs.writeSync(1, `${lineOf(row)}\n`)
      for (const [contender, { cpu }] of Object.entries(row.costs)) {
        const ours = contender === 'chain' || contender === 'fastest' ? { isOurs: true as const } : {}
        const value = Math.round(cpu * 100) / 100
        results.add({ case: row.title, fileSystem: row.pair, contender, value, baseline: 'cp', ...ours })
      }
    }
  }
  results.version('cp', ['cp', '--version'])
  if (names === Object.keys(cases).join(',')) results.write()
}

const [first, second, third] = process.argv.slice(2)
if (first !== undefined && second !== undefined) measurePair(first, second, third ?? Object.keys(cases).join(','))
else measureAll(first ?? Object.keys(cases).join(','))
