// What a root with 1,000 packages and 1,000,000 paths costs: owners, rebuilding their index, verifying.
//
//   node build/bench/registry.js [DIRECTORY]
//
// Names are as long as a distribution's (76 bytes on average). Verifying runs beside sha256sum on as many cores, and
// beside dpkg --verify and rpm -V where they are and have packages.

import { execFileSync, spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { availableParallelism, release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { merge, verify } from '../src/merge/index.ts'
import { withOwners } from '../src/merge/owners.ts'
import { recordBytes } from '../src/merge/record.ts'
import { refreshIndex } from '../src/merge/refreshIndex.ts'
import { Root } from '../src/merge/root.ts'
import { State } from '../src/merge/state.ts'
import { openKernel, retryInterrupted } from '../src/sys/index.ts'
import { measured, Results } from './results.ts'

const packages = measured(1000, 20)
const namesEach = measured(1000, 200)
const asked = measured(5000, 50)
const rounds = measured(5, 1)
const results = new Results('registry', 'What does a root with a million paths cost?', 'ms', 'less')

const print = (line: string) => process.stdout.write(`${line}\n`)
const parent = process.argv[2] ?? tmpdir()
const directory = fs.mkdtempSync(join(parent, 'rootmerge-bench-'))
const kernel = retryInterrupted(await openKernel())
print(`Linux ${release()}, ${availableParallelism()} cores, Node ${process.version}, ${new Date().toISOString()}`)
try {
  benchOwners(join(directory, 'many'))
  await benchVerify(join(directory, 'large'))
  results.write()
} finally {
  fs.rmSync(directory, { recursive: true, force: true })
}

function benchOwners(path: string): void {
  fs.mkdirSync(path)
  const root = new Root(kernel, path)
  const state = new State(root)
  state.make()
  for (let number = 0; number < packages; number++) writeRecord(path, number)
  const index = join(path, 'var/lib/rootmerge/owners')
  const names = Array.from({ length: asked }, (_, n) => (n % 2 === 0 ? nameOf(7, n % namesEach) : `usr/share/new/${n}`))
  const ask = () => withOwners(state, 'reading', (owners) => names.filter((name) => owners.of(name).length > 0).length)
  print(`\n${packages} packages, ${packages * namesEach} paths`)
  row(`by the records: ${asked} names`, ask)
  row(
    'rebuild of the index',
    () => refreshIndex(state),
    () => fs.rmSync(index, { force: true }),
  )
  const { size } = fs.statSync(index)
  print(`${'size of the index'.padEnd(44)} ${(size / 2 ** 20).toFixed(1).padStart(8)} MiB`)
  row(`by the index: ${asked} names, opening included`, ask)
  row('by the index: one name, opening included', () =>
    withOwners(state, 'reading', (owners) => owners.of(nameOf(9, 9))),
  )
  tell(`the same ${asked} in a fresh process`, fresh(path, names))
  for (const [title, replaced] of [
    ['one package replaced: it stays outside', 1],
    ['five packages replaced: the index grows', 5],
  ] as const) {
    const replace = () => {
      for (let number = 0; number < replaced; number++) writeRecord(path, number)
    }
    row(title, () => refreshIndex(state), replace)
    refreshIndex(state)
  }
  root.close()
}

/** Milliseconds from the root's opening to the last answer, where nothing was loaded or made fast before. */
function fresh(path: string, names: readonly string[]): number {
  const at = (module: string) => JSON.stringify(new URL(module, import.meta.url).href)
  const script = `
    const { withOwners } = await import(${at('../src/merge/owners.js')})
    const { Root } = await import(${at('../src/merge/root.js')})
    const { State } = await import(${at('../src/merge/state.js')})
    const { openKernel } = await import(${at('../src/sys/index.js')})
    const kernel = await openKernel()
    const names = JSON.parse((await import('node:fs')).readFileSync(0, 'utf8'))
    const start = performance.now()
    const root = new Root(kernel, process.argv[1])
    withOwners(new State(root), 'reading', (owners) => names.map((name) => owners.of(name)))
    process.stdout.write((performance.now() - start).toFixed(1))`
  const run = () => {
    const args = ['--input-type=module', '-e', script, path]
    return Number(execFileSync(process.execPath, args, { input: JSON.stringify(names), encoding: 'utf8' }))
  }
  return median(Array.from({ length: rounds }, run))
}

function nameOf(owner: number, number: number): string {
  const folder = `usr/share/package-${owner}/a-directory-of-it-${number % 17}`
  return number === 0 ? 'usr' : number === 1 ? 'usr/share' : `${folder}/and-a-file-name-of-some-length-${number}.dat`
}

function writeRecord(path: string, owner: number): void {
  const target = join(path, `var/lib/rootmerge/packages/package-${owner}`)
  fs.mkdirSync(target, { recursive: true })
  const entries = Array.from({ length: namesEach }, (_, number) => ({
    name: nameOf(owner, number),
    type: number < 2 ? ('directory' as const) : ('file' as const),
    uid: 0,
    gid: 0,
    mode: 0o644,
    mtimeNs: 1_600_000_000_123_456_789n,
    size: 4096,
    xattrs: [],
    ...(number < 2 ? {} : { sha256: '0'.repeat(64) }),
  }))
  fs.writeFileSync(
    join(target, 'record.new'),
    Buffer.concat([...recordBytes({ packageName: `package-${owner}`, entries })]),
  )
  fs.renameSync(join(target, 'record.new'), join(target, 'record'))
}

/** 512 MiB in files of three sizes, as a distribution has them, but for the many small ones. */
async function benchVerify(path: string): Promise<void> {
  const [root, image] = [join(path, 'root'), join(path, 'image')]
  fs.mkdirSync(root, { recursive: true })
  fs.mkdirSync(image)
  let bytes = 0
  const write = (folder: string, count: number, size: number) => {
    fs.mkdirSync(join(image, folder))
    for (let number = 0; number < count; number++) {
      fs.writeFileSync(join(image, folder, `file-${number}`), Buffer.alloc(size, `content ${number} `))
    }
    bytes += count * size
  }
  const counts = measured({ small: 4000, middle: 192, large: 4 }, { small: 40, middle: 2, large: 1 })
  write('small', counts.small, 16 << 10)
  write('middle', counts.middle, 1 << 20)
  write('large', counts.large, 64 << 20)
  await merge({ root, image, package: 'large', durability: 'none' })
  fs.rmSync(image, { recursive: true })
  const cores = Math.min(4, availableParallelism())
  const title = `${(bytes / 2 ** 20).toFixed(0)} MiB, read from memory by ${cores} threads`
  print(`\n${title}`)
  const times: Record<string, number[]> = {}
  const script = `cd "$0" && find small middle large -type f -print0 | xargs -0 -P ${cores} -n 16 sha256sum > /dev/null`
  const openssl = script.replace('sha256sum', 'openssl dgst -sha256')
  const peers: Record<string, () => unknown> = {
    'rootmerge verify': () => verify({ root }),
    'rootmerge verify --fast': () => verify({ root, digests: false }),
    [`sha256sum, xargs -P ${cores}`]: () => execFileSync('sh', ['-c', script, root]),
    [`openssl dgst -sha256, xargs -P ${cores}`]: () => execFileSync('sh', ['-c', openssl, root]),
  }
  for (let round = 0; round < rounds; round++) {
    for (const [name, run] of Object.entries(peers)) {
      const start = performance.now()
      await run()
      times[name] = [...(times[name] ?? []), performance.now() - start]
    }
  }
  for (const [name, all] of Object.entries(times)) {
    const ms = median(all)
    results.add({
      case: title,
      contender: name,
      value: Math.round(ms),
      baseline: `openssl dgst -sha256, xargs -P ${cores}`,
    })
    print(
      `${name.padEnd(44)} ${ms.toFixed(0).padStart(8)} ms ${(bytes / 1e6 / (ms / 1000)).toFixed(0).padStart(6)} MB/s`,
    )
  }
  const others = measured(
    [
      ['dpkg', '--verify'],
      ['rpm', '-Va'],
    ],
    [],
  )
  for (const command of others) timeSystem(command)
}

/** Other installers verify what they installed; how much that is, they say themselves. */
function timeSystem([program = '', ...args]: readonly string[]): void {
  const name = [program, ...args].join(' ')
  if (spawnSync(program, ['--version']).status !== 0) {
    print(`${name.padEnd(44)}   is not here`)
    return
  }
  const start = performance.now()
  spawnSync(program, args)
  const ms = performance.now() - start
  const lists =
    'cat /var/lib/dpkg/info/*.md5sums | sed "s,^[^ ]*  ,/," | tr "\\\\n" "\\\\0" | du -bc --files0-from=- 2>/dev/null | tail -1'
  const bytes =
    program === 'dpkg'
      ? Number.parseInt(execFileSync('sh', ['-c', lists], { encoding: 'utf8', maxBuffer: 1e9 }), 10)
      : 0
  const rate = bytes > 0 ? `${(bytes / 1e6 / (ms / 1000)).toFixed(0).padStart(6)} MB/s (md5, its own packages)` : ''
  print(`${name.padEnd(44)} ${ms.toFixed(0).padStart(8)} ms ${rate}`)
}

function row(name: string, run: () => unknown, prepare: () => unknown = () => {}): void {
  const times: number[] = []
  for (let round = 0; round < rounds; round++) {
    prepare()
    const start = performance.now()
    run()
    times.push(performance.now() - start)
  }
  tell(name, median(times), `(first ${(times[0] ?? 0).toFixed(1)}, best ${Math.min(...times).toFixed(1)})`)
}

function tell(name: string, milliseconds: number, more = ''): void {
  print(`${name.padEnd(44)} ${milliseconds.toFixed(1).padStart(8)} ms ${more}`)
  results.add({ case: name, contender: 'rootmerge', value: Math.round(milliseconds * 10) / 10 })
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}
