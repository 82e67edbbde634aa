// How fast 5,000 files of 4 KiB move: the engine beside a C program of the same system calls, mv, cp -a, and Node.
//
//   node build/bench/movefile.js [SOURCE TARGET]
//
// SOURCE and TARGET are directories on two file systems; by default tmpfs, and an ext4 of its own in memory.

import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Mover, moveFiles } from '../src/movefile/index.ts'
import {
  type Fd,
  type Kernel,
  type Name,
  O_DIRECTORY,
  O_RDONLY,
  openKernel,
  openPath,
  retryInterrupted,
} from '../src/sys/index.ts'
import { bareMove } from './bareMoves.ts'
import { onFileSystem } from './loopFileSystem.ts'
import { measured, Results } from './results.ts'

const files = measured(5000, 50)
const rounds = measured(5, 1)
const payload = Buffer.alloc(4096, 'rootmerge ')

/** Seconds on the clock, and of CPU. */
interface Cost {
  readonly wall: number
  readonly cpu: number
}

interface Peer {
  readonly name: string
  /** Moves or copies everything in `source` to `target`. */
  run(source: string, target: string): Promise<Cost> | Cost
}

const [sourceParent = '/dev/shm', targetParent] = process.argv.slice(2)
const kernel = retryInterrupted(await openKernel())
const program = join(fs.mkdtempSync(join(tmpdir(), 'rootmerge-movefile-bench-')), 'movefile')
const source = fs.existsSync('bench/movefileYardstick.c')
  ? 'bench/movefileYardstick.c'
  : join(import.meta.dirname, '../../bench/movefileYardstick.c')
execFileSync('cc', ['-O2', '-o', program, source])

const peers: readonly Peer[] = [
  { name: 'C, the same calls', run: (from, to) => costOfProgram(program, from, to) },
  { name: 'bare calls', run: (from, to) => costOf(() => moveEach(from, to, bareMove)) },
  { name: 'Mover.move', run: (from, to) => costOf(() => moveEach(from, to, engineMove)) },
  { name: 'moveFiles', run: (from, to) => costOf(() => moveMany(from, to)) },
  { name: 'Mover.move of the tree', run: (from, to) => costOf(() => moveWhole(kernel, from, to)) },
  { name: 'mv FILE... DIRECTORY', run: (from, to) => costOfShell('cd "$0" && ls | xargs mv -t "$1"', from, to) },
  { name: 'mv DIRECTORY DIRECTORY', run: (from, to) => costOfShell('mv "$0" "$1"', from, to) },
  { name: 'cp -a', run: (from, to) => costOfShell('cp -a "$0" "$1"', from, to) },
  {
    name: 'fs.promises.cp',
    run: (from, to) =>
      costOf(() => fs.promises.cp(from, join(to, 'tree'), { recursive: true, preserveTimestamps: true })),
  },
  { name: 'fs.renameSync', run: (from, to) => costOf(() => renameEach(from, to)) },
]

const isOurs = new Set(['Mover.move', 'moveFiles', 'Mover.move of the tree'])
const results = new Results('movefile', 'What does it cost to move a file of 4 KiB?', 'µs/file', 'less')
results.version('mv', ['mv', '--version'])
const print = (line: string) => process.stdout.write(`${line}\n`)
if (targetParent === undefined) await onFileSystem('ext4', 2, measure)
else await measure(targetParent)
results.write()

async function measure(targetParent: string): Promise<void> {
  for (const [title, from] of [
    ['across file systems', sourceParent],
    ['on one file system', targetParent],
  ] as const) {
    for (const xattrs of [false, true]) {
      const name = `${title}, ${xattrs ? 'one attribute each' : 'no attributes'}`
      print(`\n${files} files of 4 KiB, ${name}`)
      await compare(name, from, targetParent, xattrs)
    }
  }
}

/** Rounds in turn, so that a busy moment falls on all. Of the clock the median, of the CPU the least. */
async function compare(title: string, from: string, to: string, xattrs: boolean): Promise<void> {
  const costs = new Map<string, Cost[]>(peers.map((peer) => [peer.name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const peer of peers) {
      const cost = await oneRun(peer, from, to, xattrs)
      if (cost !== undefined) costs.get(peer.name)?.push(cost)
    }
  }
  const summary = (each: readonly Cost[]): Cost => ({
    wall: median(each.map(({ wall }) => wall)),
    cpu: Math.min(...each.map(({ cpu }) => cpu)),
  })
  const base = summary(costs.get('C, the same calls') ?? [])
  print(`${''.padEnd(26)} us/file    / C    CPU us/file    / C`)
  for (const [name, each] of costs) {
    if (each.length === 0) print(`${name.padEnd(26)} cannot`)
    else {
      print(`${name.padEnd(26)} ${columns(summary(each), base)}`)
      const value = (summary(each).wall / files) * 1e6
      const ours = isOurs.has(name) ? { isOurs: true as const } : {}
      results.add({ case: title, contender: name, value, baseline: 'C, the same calls', ...ours })
    }
  }
}

function columns({ wall, cpu }: Cost, base: Cost): string {
  const each = (seconds: number) => ((seconds / files) * 1e6).toFixed(1)
  const ratio = (value: number, by: number) => (value / by).toFixed(2).padStart(6)
  return `${each(wall).padStart(7)} ${ratio(wall, base.wall)} ${each(cpu).padStart(14)} ${ratio(cpu, base.cpu)}`
}

async function oneRun(peer: Peer, from: string, to: string, xattrs: boolean): Promise<Cost | undefined> {
  const source = fs.mkdtempSync(join(from, 'rootmerge-bench-'))
  const target = fs.mkdtempSync(join(to, 'rootmerge-bench-'))
  try {
    fill(source, xattrs)
    execFileSync('sync', ['-f', target])
    return await peer.run(source, target)
  } catch (error) {
    if ((error as { code?: string }).code === 'EXDEV') return undefined
    throw error
  } finally {
    fs.rmSync(source, { recursive: true, force: true })
    fs.rmSync(target, { recursive: true, force: true })
  }
}

function fill(directory: string, xattrs: boolean): void {
  for (let number = 0; number < files; number++) {
    const path = join(directory, `file-${number}`)
    fs.writeFileSync(path, payload)
    if (!xattrs) continue
    const fd = openPath(kernel, path, O_RDONLY)
    kernel.setXattr(fd, 'user.note', Buffer.from('a value of some length'))
    kernel.close(fd)
  }
}

type MakeMove = (kernel: Kernel, source: Fd, target: Fd) => (name: Name) => void

function moveEach(from: string, to: string, makeMove: MakeMove): void {
  const [source, target] = [
    openPath(kernel, from, O_RDONLY | O_DIRECTORY),
    openPath(kernel, to, O_RDONLY | O_DIRECTORY),
  ]
  const move = makeMove(kernel, source, target)
  for (let number = 0; number < files; number++) move(`file-${number}`)
  kernel.close(source)
  kernel.close(target)
}

function engineMove(kernel: Kernel, source: Fd, target: Fd): (name: Name) => void {
  const mover = new Mover(kernel)
  const route = mover.route(source, target)
  return (name) => mover.move({ directory: source, name }, { directory: target, name }, { route })
}

async function moveMany(from: string, to: string): Promise<void> {
  const sources = fs.readdirSync(from).map((name) => join(from, name))
  const results = await moveFiles(sources, to, { durability: 'none' })
  if (results.some(({ status }) => status === 'rejected')) throw new Error('a file was not moved')
}

function moveWhole(kernel: Kernel, from: string, to: string): void {
  const [parent, target] = [
    openPath(kernel, join(from, '..'), O_RDONLY | O_DIRECTORY),
    openPath(kernel, to, O_RDONLY | O_DIRECTORY),
  ]
  new Mover(kernel).move(
    { directory: parent, name: from.slice(from.lastIndexOf('/') + 1) },
    { directory: target, name: 'tree' },
  )
  kernel.close(parent)
  kernel.close(target)
}

function renameEach(from: string, to: string): void {
  for (let number = 0; number < files; number++) fs.renameSync(join(from, `file-${number}`), join(to, `file-${number}`))
}

function costOfProgram(path: string, from: string, to: string): Cost {
  const [wall = 0, cpu = 0] = execFileSync(path, [from, to, String(files)], { encoding: 'utf8' })
    .split(' ')
    .map(Number)
  return { wall, cpu }
}

/** Of a command, its start included; `times` of the shell tells what its children used. */
function costOfShell(script: string, ...words: string[]): Cost {
  const start = performance.now()
  const said = execFileSync('sh', ['-c', `${script}; times`, ...words], { encoding: 'utf8' })
  const wall = (performance.now() - start) / 1000
  const [children = ''] = said.trim().split('\n').slice(-1)
  const seconds = children.split(' ').map((word) => {
    const [minutes = '0', rest = '0'] = word.split('m')
    return Number(minutes) * 60 + Number.parseFloat(rest)
  })
  return { wall, cpu: seconds.reduce((sum, each) => sum + each, 0) }
}

async function costOf(work: () => void | Promise<void>): Promise<Cost> {
  const [start, used] = [performance.now(), process.cpuUsage()]
  await work()
  const { user, system } = process.cpuUsage(used)
  return { wall: (performance.now() - start) / 1000, cpu: (user + system) / 1e6 }
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}
