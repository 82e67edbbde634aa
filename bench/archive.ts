// How long an archive of 1 GB with 50,000 entries takes into an empty root, beside tar, bsdtar and dpkg, and how much memory.
//
//   node build/bench/archive.js DIRECTORY [ROUNDS [CASE...]]
//
// DIRECTORY should be on tmpfs, with room for 6 GiB: archives and a file system in a file (ext4, made anew for every run) are
// put there. Whole commands are timed, Node's start included. Needs root. tar and bsdtar flush nothing, and neither does
// `rootmerge, durability none`; dpkg is run with its real default and with --force-unsafe-io, and without its triggers.

import { execFileSync, spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { command } from './command.ts'
import { measured, Results } from './results.ts'

const entries = measured(50_000, 600)
const [parent = '/dev/shm', roundsText = measured('3', '1'), ...chosen] = process.argv.slice(2)
const rounds = Number(roundsText)
const results = new Results('archive', 'How long does an archive take into an empty root?', 'ms', 'less')
const directory = fs.mkdtempSync(join(parent, 'rootmerge-bench-'))
const mount = join(directory, 'mount')

/** Something that puts an archive into `root`. */
interface Peer {
  readonly name: string
  readonly baseline?: string
  readonly note?: string
  words(archive: string, root: string): string[]
}

const ours: readonly Peer[] = [
  { name: 'rootmerge', note: 'flushed to the disk', words: (archive, root) => rootmerge(archive, root) },
  {
    name: 'rootmerge, durability none',
    words: (archive, root) => [...rootmerge(archive, root), '--durability', 'none'],
  },
]
const tars: readonly Peer[] = [
  { name: 'tar -xp', words: (archive, root) => ['tar', '-xpf', archive, '-C', root] },
  { name: 'bsdtar -xp', words: (archive, root) => ['bsdtar', '-xpf', archive, '-C', root] },
]
const bareCalls = (root: string) => [
  process.execPath,
  fileURLToPath(new URL('./bareArchive.js', import.meta.url)),
  join(directory, 'a.tar'),
  root,
]
const bare: Peer = { name: 'bare calls', words: (_, root) => bareCalls(root) }
/** As if what is decompressed came by itself to where it is needed. */
const bareWithZstd: Peer = {
  name: 'bare calls beside zstd',
  words: (archive, root) => ['sh', '-c', 'zstd -dcq "$0" > /dev/null & "$@" && wait $!', archive, ...bareCalls(root)],
}
const bareFlushed: Peer = {
  name: 'bare calls, flushed',
  words: (_, root) => ['sh', '-c', '"$@" && sync -f "$0"', root, ...bareCalls(root)],
}
const dpkgs: readonly Peer[] = ['--no-force-unsafe-io', '--force-unsafe-io'].map((flag) => ({
  name: `dpkg --unpack ${flag}`,
  words: (archive, root) => [
    'dpkg',
    '--force-all',
    flag,
    '--no-triggers',
    `--root=${root}`,
    '--log=/dev/null',
    '--unpack',
    archive,
  ],
}))

function rootmerge(archive: string, root: string): string[] {
  return [process.execPath, command, 'merge', `${archive}=bench`, '--root', root, '--quiet']
}

interface Case {
  readonly name: string
  readonly file: string
  readonly baseline: string
  readonly peers: readonly Peer[]
  make(source: string, file: string): void
}

const shell = (line: string, ...words: string[]) => execFileSync('sh', ['-c', line, ...words], { stdio: 'inherit' })
const cases: readonly Case[] = [
  {
    name: 'tar',
    file: 'a.tar',
    baseline: 'tar -xp',
    peers: [...ours, ...tars, bare],
    make: (source, file) => shell('tar -C "$0" -cf "$1" .', source, file),
  },
  {
    name: 'tar.gz',
    file: 'a.tar.gz',
    baseline: 'tar -xp',
    peers: [...ours, ...tars],
    make: (_, file) => shell('gzip -1 -c "$0" > "$1"', join(directory, 'a.tar'), file),
  },
  {
    name: 'tar.zst',
    file: 'a.tar.zst',
    baseline: 'tar -xp',
    peers: [...ours, ...tars, bareWithZstd],
    make: (_, file) => shell('zstd -q -T0 -3 "$0" -o "$1"', join(directory, 'a.tar'), file),
  },
  {
    name: 'tar.xz',
    file: 'a.tar.xz',
    baseline: 'tar -xp',
    peers: [...ours, ...tars],
    make: (_, file) => shell('xz -T0 -0 -c "$0" > "$1"', join(directory, 'a.tar'), file),
  },
  {
    name: '.deb, not compressed',
    file: 'a.deb',
    baseline: 'dpkg --unpack --no-force-unsafe-io',
    peers: [...ours, ...dpkgs, bareFlushed],
    make: (source, file) => makeDeb(source, file),
  },
]

/** Python's os.wait4 is the one way to a child's greatest memory without another package. */
const wrapper = `import os, sys, time
start = time.monotonic()
pid = os.spawnvp(os.P_NOWAIT, sys.argv[1], sys.argv[1:])
_, status, usage = os.wait4(pid, 0)
print((time.monotonic() - start) * 1000, usage.ru_maxrss, os.waitstatus_to_exitcode(status))`

try {
  fs.mkdirSync(mount)
  const source = join(directory, 'source')
  makeTree(source)
  for (const each of cases) {
    each.make(source, join(directory, each.file))
    if (chosen.length === 0 || chosen.includes(each.name)) bench(each)
  }
  results.version('tar -xp', ['tar', '--version'])
  results.version('bsdtar -xp', ['bsdtar', '--version'])
  results.version('dpkg', ['dpkg', '--version'])
  if (chosen.length === 0) results.write()
} finally {
  fs.rmSync(directory, { recursive: true, force: true })
}

/** 1 GB in 50,000 entries, sized as in a real system: most files of a few KiB, a few of megabytes, all compressible in part. */
function makeTree(source: string): void {
  const pool = Buffer.concat([
    fs.readFileSync(process.execPath).subarray(0, 48 * 1024 * 1024),
    Buffer.alloc(16 * 1024 * 1024, 'text that repeats '),
  ])
  let state = 20261121
  const random = () => {
    state = (state * 48271) % 0x7fffffff
    return state / 0x7fffffff
  }
  for (let index = 0; index < entries; index++) {
    const folder = join(source, `usr/share/d${index % 500}`)
    if (index < 500) fs.mkdirSync(folder, { recursive: true })
    const size = Math.min(32 * 1024 * 1024, Math.floor(3250 * (1 - random() * 0.9999) ** -0.9))
    const start = Math.floor(random() * (pool.length - size))
    fs.writeFileSync(join(folder, `f${index}`), pool.subarray(start, start + size))
  }
}

function makeDeb(source: string, file: string): void {
  fs.mkdirSync(join(source, 'DEBIAN'))
  fs.writeFileSync(
    join(source, 'DEBIAN/control'),
    'Package: bench\nVersion: 1\nArchitecture: all\nMaintainer: Nobody <n@example.org>\nDescription: bench\n',
  )
  execFileSync('dpkg-deb', ['--root-owner-group', '-Znone', '-b', source, file], { stdio: 'ignore' })
}

/** Rounds in turn, so that a busy moment falls on all; of each peer the median. */
function bench({ name, file, baseline, peers }: Case): void {
  const runs = new Map<string, Cost[]>(peers.map((peer) => [peer.name, []]))
  for (let round = 0; round < rounds; round++)
    for (const peer of peers)
      runs.get(peer.name)?.push(onNewFileSystem((root) => costOf(peer.words(join(directory, file), root))))
  const medianOf = (peer: string) => median((runs.get(peer) ?? []).map(({ ms }) => ms))
  process.stdout.write(`\n${name}, ${Math.round(fs.statSync(join(directory, file)).size / 1e6)} MB\n`)
  for (const peer of peers) {
    const ms = medianOf(peer.name)
    const memory = Math.round(Math.max(...(runs.get(peer.name) ?? []).map(({ mebibytes }) => mebibytes)))
    process.stdout.write(
      `${peer.name.padEnd(40)} ${String(ms).padStart(7)} ms  ${(ms / medianOf(baseline)).toFixed(2)}  ${memory} MiB\n`,
    )
    const note = [peer.note, `${memory} MiB at most`].filter(Boolean).join(', ')
    results.add({ case: name, fileSystem: 'ext4', contender: peer.name, value: ms, note, baseline })
  }
}

/** What a command took; the memory is that of its largest process. */
interface Cost {
  readonly ms: number
  readonly mebibytes: number
}

function costOf(words: readonly string[]): Cost {
  const { stdout, stderr } = spawnSync('python3', ['-c', wrapper, ...words], { encoding: 'utf8', maxBuffer: 2 ** 28 })
  const [ms = 0, kibibytes = 0, status = 1] = (stdout.trim().split('\n').at(-1) ?? '').split(' ').map(Number)
  if (status !== 0) throw new Error(`${words.join(' ')}: ${stderr.slice(-2000)}`)
  return { ms: Math.round(ms), mebibytes: kibibytes / 1024 }
}

/** A deleted inode that is used again costs ext4 extra, so no run finds any. */
function onNewFileSystem<T>(run: (root: string) => T): T {
  const image = join(directory, 'image')
  fs.writeFileSync(image, '')
  fs.truncateSync(image, 3 * 2 ** 30)
  execFileSync('mkfs.ext4', ['-q', '-F', '-E', 'lazy_itable_init=0,lazy_journal_init=0', image])
  execFileSync('mount', ['-o', 'loop', image, mount])
  try {
    const root = join(mount, 'root')
    fs.mkdirSync(join(root, 'var/lib/dpkg/info'), { recursive: true })
    fs.mkdirSync(join(root, 'var/lib/dpkg/updates'))
    for (const name of ['status', 'available']) fs.writeFileSync(join(root, 'var/lib/dpkg', name), '')
    execFileSync('sync', ['-f', mount])
    return run(root)
  } finally {
    execFileSync('umount', [mount])
    fs.rmSync(image)
  }
}

function median(values: readonly number[]): number {
  return [...values].sort((one, other) => one - other)[values.length >> 1] ?? 0
}
