// How long a plan, a merge and an unmerge of very many entries hold up the caller's event loop.
//
//   node build/bench/eventLoop.js DIRECTORY [ENTRIES]
//
// The image is ENTRIES names (1,000,000 by default) of a few inodes, so that making it takes no room: the entries count
// here, not their bytes. A delay is how much later than asked a timer of one millisecond fires; `idle` is the same
// measured while nothing runs but what else the machine does.

import * as fs from 'node:fs'
import { availableParallelism, loadavg, release } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { merge, plan, unmerge } from '../src/merge/index.ts'

const [parent, count = '1000000'] = process.argv.slice(2)
if (parent === undefined) throw new Error('usage: node build/bench/eventLoop.js DIRECTORY [ENTRIES]')
const entries = Number(count)
const namesEach = 10_000
const print = (line: string) => process.stdout.write(`${line}\n`)
const directory = fs.mkdtempSync(join(parent, 'rootmerge-bench-'))
const [root, image] = [join(directory, 'root'), join(directory, 'image')]

async function measured<T>(what: string, action: () => Promise<T>): Promise<T> {
  const delay = monitorEventLoopDelay({ resolution: 1 })
  const start = performance.now()
  delay.enable()
  const result = await action()
  delay.disable()
  const milliseconds = (nanoseconds: number) => (nanoseconds / 1e6).toFixed(1)
  const percentiles = [50, 99.9].map((percent) => milliseconds(delay.percentile(percent)))
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
  await measured('idle', () => new Promise((resolve) => setTimeout(resolve, 10_000)))
  const { steps } = await measured('plan()', () => plan({ root, image, package: 'many' }))
  await measured(`${steps.length} steps read, 1,000 at a time`, async () => {
    let read = 0
    for (const _ of steps) if (++read % 1000 === 0) await new Promise((resolve) => setImmediate(resolve))
  })
  await measured('merge(), with listChanged and approve', () =>
    merge({ root, image, package: 'many', durability: 'none', listChanged: true, approve: () => true }),
  )
  await measured('unmerge()', () => unmerge({ root, packages: ['many'], durability: 'none', listChanged: true }))
} finally {
  fs.rmSync(directory, { recursive: true, force: true })
}
