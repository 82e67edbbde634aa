// How long a merge takes, beside cp -a, rsync -a, tar | tar and dpkg --unpack, with the goal of each case.
//
//   node build/bench/merge.js [--file-systems ext4,xfs,btrfs] [--images small,tree,large] [--rounds N]
//                             [--tree /usr/share] [--large-gib 4] [--linear 1000,10000,100000]
//
// As root. Each file system is made in memory (about 12 GiB of it for the large file), one at a time. All contenders run
// in turn, so that a busy moment falls on all; of the clock the median counts, of CPU the least.

import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import { merge } from '../src/merge/index.ts'
import { fileSystemKinds, onFileSystem } from './loopFileSystem.ts'
import { type Case, type Cost, casesOf, costOf, rootmerge } from './mergeContenders.ts'
import { type ImageKind, imageKinds, makeDeb, makeFiles } from './mergeImages.ts'
import { Results } from './results.ts'

const { values } = parseArgs({
  options: {
    'file-systems': { type: 'string', default: fileSystemKinds.join(',') },
    images: { type: 'string', default: 'small,tree,large' },
    rounds: { type: 'string' },
    tree: { type: 'string', default: '/usr/share' },
    'large-gib': { type: 'string', default: '4' },
    linear: { type: 'string', default: '1000,10000,100000' },
  },
})
const print = (line: string) => process.stdout.write(`${line}\n`)
const clock = new Results('merge', 'How long does a merge take, beside the peers?', 's', 'less')
const work = new Results('mergeWork', 'What does a merge use, a file?', 'a file', 'less')
for (const [name, ...words] of [
  ['cp -a', 'cp', '--version'],
  ['rsync -a', 'rsync', '--version'],
  ['tar | tar', 'tar', '--version'],
])
  clock.version(name as string, words as [string, ...string[]])

for (const fileSystem of values['file-systems'].split(',')) {
  for (const name of values.images.split(',')) {
    const kind = imageKinds({ tree: values.tree, largeGib: Number(values['large-gib']) })[name]
    if (kind === undefined) throw new Error(`no image '${name}'`)
    await onFileSystem(fileSystem, kind.gibibytes, (directory) => measure(fileSystem, kind, directory))
  }
}
for (const files of values.linear.split(',').filter((each) => each !== '')) {
  await onFileSystem('ext4', Math.ceil(2 + (Number(files) * 12) / 1024 ** 2), (directory) =>
    measureLinear(Number(files), directory),
  )
}
clock.write()
work.write()

/** All cases of one image on one file system. */
async function measure(fileSystem: string, kind: ImageKind, directory: string): Promise<void> {
  const paths = pathsIn(directory)
  const files = kind.make(paths.image)
  kind.change(paths.image, paths.next)
  const hasDpkg = kind.isManyFiles && makeDeb(paths.image, paths.deb)
  const cases = casesOf({ goal: kind.goal, hasDpkg, isPlain: kind.isPlain, file: kind.file }).filter(
    ({ name }) => kind.isManyFiles || !name.startsWith('upgrade'),
  )
  for (const each of cases) {
    print(`\n${kind.title}, ${fileSystem}: ${each.name}`)
    tell(each, await compare(each, paths, Number(values.rounds ?? kind.rounds)), { fileSystem, kind, files })
  }
  if (kind.isManyFiles) countCalls(paths, { fileSystem, kind, files })
}

function pathsIn(directory: string) {
  const at = (name: string) => join(directory, name)
  return { image: at('image'), next: at('next'), taken: at('taken'), root: at('root'), deb: at('bench.deb') }
}

type Paths = ReturnType<typeof pathsIn>

async function compare({ before, contenders }: Case, paths: Paths, rounds: number): Promise<Map<string, Cost>> {
  const costs = new Map<string, Cost[]>(contenders.map(({ name }) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const contender of contenders) {
      await costOf([before, contender.before ?? 'true', 'sync -f "$image"'].join('; '), paths)
      costs.get(contender.name)?.push(await costOf(contender.line, paths))
    }
  }
  return new Map([...costs].map(([name, each]) => [name, summary(each)]))
}

function summary(costs: readonly Cost[]): Cost {
  return {
    wall: median(costs.map(({ wall }) => wall)),
    cpu: Math.min(...costs.map(({ cpu }) => cpu)),
    anonymous: Math.max(...costs.map(({ anonymous }) => anonymous)),
  }
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN
}

interface Setting {
  readonly fileSystem: string
  readonly kind: ImageKind
  readonly files: number
}

/** Prints a case's table, and keeps its numbers. */
function tell(
  { name, baseline, goal }: Case,
  costs: ReadonlyMap<string, Cost>,
  { fileSystem, kind, files }: Setting,
): void {
  const wallOf = (contender: string) => costs.get(contender)?.wall ?? Number.NaN
  const slowest = baseline.toSorted((a, b) => wallOf(b) - wallOf(a))[0] as string
  const base = wallOf(slowest)
  for (const [contender, { wall, cpu, anonymous }] of costs) {
    const ratio = wall / base
    const isOurs = contender === 'rootmerge'
    const verdict = isOurs ? `  goal ${goal}: ${ratio <= goal ? 'met' : 'MISSED'}` : ''
    const memory = isOurs ? `  ${(anonymous / 1e6).toFixed(0)} MB` : ''
    const perFile = `${((cpu / files) * 1e6).toFixed(1)} µs`
    print(
      `  ${contender.padEnd(22)} ${wall.toFixed(3)} s  ${ratio.toFixed(2)}  CPU ${cpu.toFixed(2)} s, ${perFile} a file${memory}${verdict}`,
    )
    clock.add({ case: `${kind.title}, ${name}`, fileSystem, contender, value: round3(wall), baseline: slowest })
    work.add({
      case: `${kind.title}, ${name}: µs of CPU`,
      fileSystem,
      contender,
      value: round3((cpu / files) * 1e6),
      baseline: slowest,
    })
  }
}

function round3(number: number): number {
  return Math.round(number * 1000) / 1000
}

/** System calls of a fresh merge and of cp -a, by strace -c. */
function countCalls(paths: Paths, { fileSystem, kind, files }: Setting): void {
  const lines: readonly (readonly [string, string])[] = [
    ['rootmerge', `${rootmerge} merge "$image=bench" --root "$root" --quiet --durability none --jobs 1`],
    ['cp -a', 'cp -a "$image/." "$root"'],
  ]
  for (const [contender, line] of lines) {
    const counts = join(paths.root, '../calls')
    const script = `rm -rf "$root"; mkdir "$root"; strace -f -c -o "${counts}" ${line}`
    execFileSync('bash', ['-c', script], { env: { ...process.env, ...paths }, stdio: ['ignore', 'ignore', 'inherit'] })
    const told = fs.readFileSync(counts, 'utf8')
    const calls = Number(/^\s*100\.00\s+\S+\s+(?:\d+\s+)?(\d+)\s/m.exec(told)?.[1])
    print(`  ${contender}: ${(calls / files).toFixed(1)} system calls a file`)
    work.add({
      case: `${kind.title}: system calls`,
      fileSystem,
      contender,
      value: round3(calls / files),
      baseline: 'cp -a',
    })
  }
}

/** How time, memory and the caller's event loop fare as images grow. */
async function measureLinear(files: number, directory: string): Promise<void> {
  const paths = pathsIn(directory)
  makeFiles(paths.image, { files, directory: 100, bytes: 1024 })
  fs.mkdirSync(paths.root)
  const { wall, cpu, anonymous } = await costOf(
    `${rootmerge} merge "$image=bench" --root "$root" --quiet --durability none`,
    paths,
  )
  fs.rmSync(paths.root, { recursive: true })
  fs.mkdirSync(paths.root)
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  await merge({ image: paths.image, root: paths.root, package: 'bench', durability: 'none' })
  delay.disable()
  const each = (seconds: number) => ((seconds / files) * 1e6).toFixed(1)
  const bound = 110e6 + 2 * 9e6 + 300 * files
  print(
    `\n${files} files of 1 KiB, ext4: ${wall.toFixed(2)} s, ${each(wall)} µs a file, CPU ${each(cpu)} µs; ` +
      `${(anonymous / 1e6).toFixed(0)} MB anonymous (bound ${(bound / 1e6).toFixed(0)}); the caller waited ${(delay.max / 1e6).toFixed(0)} ms at most`,
  )
  const add = (what: string, value: number) =>
    work.add({
      case: `${files.toLocaleString('en')} files of 1 KiB: ${what}`,
      fileSystem: 'ext4',
      contender: 'rootmerge',
      value: round3(value),
    })
  add('µs', (wall / files) * 1e6)
  add('µs of CPU', (cpu / files) * 1e6)
  add('bytes of anonymous memory above 110 MB', Math.max(0, anonymous - 110e6) / files)
  add('longest wait of the caller, ms in all', delay.max / 1e6)
}
