// How long a plan, a merge and an unmerge of very many entries hold up the caller's event loop.
//
//   node build/bench/eventLoop.js [DIRECTORY [ENTRIES]]
//
// The image is ENTRIES names (1,000,000 by default) of a few inodes, so that making it takes no room: the entries count
// here, not their bytes. A delay is how much later than asked a timer of one millisecond fires; `idle` is the same
// measured while nothing runs but what else the machine does.

import * as fs from 'node:fs'
import { availableParallelism, loadavg, release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { merge, plan, unmerge } from '../src/merge/index.ts'
import { measured, Results } from './results.ts'

const [parent = tmpdir(), count = measured('1000000', '2000')] = process.argv.slice(2)
const results = new Results('eventLoop', "How long does the caller's event loop wait?", 'ms', 'less')
const entries = Number(count)
const namesEach = 10_000
const print = (line: string) => process.stdout.write(`${line}\n`)
const directory = fs.mkdtempSync(join(parent, 'rootmerge-bench-'))
const [root, image] = [join(directory, 'root'), join(directory, 'image')]

async function watched<T>(what: string, action: () => Promise<T>): Promise<T> {
  const delay = monitorEventLoopDelay({ resolution: 1 })
  const start = performance.now()
  delay.enable()
  const result = await action()
  delay.disable()
  const milliseconds = (nanoseconds: number) => (nanoseconds / 1e6).toFixed(1)
  const percentiles = [50, 99.9].map((percent) => milliseconds(delay.percentile(percent)))
  const add = (contender: string, nanoseconds: number) =>
    results.add({ case: what, contender, value: Math.round(nanoseconds / 1e4) / 100 })
  add('half of the time, at most', delay.percentile(50))
  add('99.9 % of the time', delay.percentile(99.9))
  add('longest', delay.max)
  const seconds = ((performance.now() - start) / 1000).toFixed(1)
  print(`| ${what} | ${seconds} | ${percentiles.join(' | ')} | ${milliseconds(delay.max)} |`)
  return result
}

/** One file a directory, and links to it: an inode has 65,000 names at most on ext4. */
function makeImage(): void {
  fs.mkdirSync(image)
  for (let made = 0; made < entries; ) {
    const folder = join(image, `d${made}`)
    fs.mkdirSync(folder)
    const first = join(folder, 'a-file-with-a-name-of-usual-length')
    fs.writeFileSync(first, 'bytes')
    const names = Math.min(namesEach, entries - made)
    for (let n = 1; n < names; n++) fs.linkSync(first, `${first}-${n}`)
    made += names
  }
}

try {
  fs.mkdirSync(root)
  makeImage()
  print(
    `${entries} entries; Linux ${release()}, Node ${process.version}, ${availableParallelism()} cores, load ${loadavg()[0]?.toFixed(1)}`,
  )
  print('| | s | median ms | 99.9 % | longest ms |\n|---|---|---|---|---|')
  await watched('idle', () => new Promise((resolve) => setTimeout(resolve, measured(10_000, 100))))
  const { steps } = await watched('plan()', () => plan({ root, image, package: 'many' }))
  await watched(`${steps.length} steps read, 1,000 at a time`, async () => {
    let read = 0
    for (const _ of steps) if (++read % 1000 === 0) await new Promise((resolve) => setImmediate(resolve))
  })
  await watched('merge(), with listChanged and approve', () =>
    merge({ root, image, package: 'many', durability: 'none', listChanged: true, approve: () => true }),
  )
  await watched('unmerge()', () => unmerge({ root, packages: ['many'], durability: 'none', listChanged: true }))
  results.write()
} finally {
  fs.rmSync(directory, { recursive: true, force: true })
}
