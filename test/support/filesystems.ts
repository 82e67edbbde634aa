// Real file systems for tests: on loop files, made at the first use, gone with the process.
//
// As root all of them; else, or with ROOTMERGE_TEST_FILESYSTEMS=quick, the directory for temporary files and /dev/shm.
// What cannot be made is skipped with the reason in plain sight (and a skip is a failure on CI, see closingLine.ts).

import { execFileSync, spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { withDirectory } from './scratch.ts'

/** A file system, or a part of one that the kernel treats as another. */
export interface FileSystem {
  readonly name: string
  /** What is mounted; two of one kind can share extents if `clones`. */
  readonly superblock: string
  readonly clones: boolean
  /** A directory on it. Makes and mounts it the first time. @throws {Error} with the reason why it cannot */
  directory(): string
}

const prefix = 'rootmerge-filesystems-'
/** Benchmarks need more room than tests. */
const imageSize = Number(process.env.ROOTMERGE_TEST_IMAGE_GIB ?? 1) * 1024 ** 3

/** The file systems that tests run on here. */
export function fileSystems(): readonly FileSystem[] {
  const quick = process.getuid?.() !== 0 || process.env.ROOTMERGE_TEST_FILESYSTEMS === 'quick'
  return quick ? quickSet : fullSet
}

/** Whether one can share extents with the other. */
export function canShare(source: FileSystem, target: FileSystem): boolean {
  return source.clones && target.clones && source.superblock === target.superblock
}

/** Defines a test for each file system, with a directory on it that is new and empty. */
export function itOnEach(title: string, body: (directory: string, fileSystem: FileSystem) => unknown): void {
  for (const fileSystem of fileSystems()) {
    it(`${title} [${fileSystem.name}]`, function () {
      const parent = directoryOrSkip(this, fileSystem)
      return withDirectory((directory) => body(directory, fileSystem), parent)
    })
  }
}

/** A place for the source of a copy, and one for its target. */
export interface Pair {
  readonly source: FileSystem
  readonly target: FileSystem
  readonly sourceDirectory: string
  readonly targetDirectory: string
}

/** Defines a test for each pair of file systems, each with itself included. */
export function itOnEachPair(title: string, body: (pair: Pair) => void): void {
  for (const source of fileSystems()) {
    for (const target of fileSystems()) {
      it(`${title} [${source.name} to ${target.name}]`, function () {
        const parents = [directoryOrSkip(this, source), directoryOrSkip(this, target)] as const
        withDirectory((sourceDirectory) => {
          withDirectory((targetDirectory) => body({ source, target, sourceDirectory, targetDirectory }), parents[1])
        }, parents[0])
      })
    }
  }
}

function directoryOrSkip(context: Mocha.Context, fileSystem: FileSystem): string {
  try {
    return fileSystem.directory()
  } catch (error) {
    fs.writeSync(2, `skipped: no ${fileSystem.name}: ${(error as Error).message}\n`)
    return context.skip()
  }
}

/** Remembers what `make` returned or threw: a file system is tried once. */
function once<T>(make: () => T): () => T {
  let outcome: { value: T } | { error: unknown } | undefined
  return () => {
    if (outcome === undefined) {
      try {
        outcome = { value: make() }
      } catch (error) {
        outcome = { error }
      }
    }
    if ('error' in outcome) throw outcome.error
    return outcome.value
  }
}

const mounts: string[] = []

/** Where images and mount points are: in memory if there is room. The first use clears up what killed runs left. */
const base = once(() => {
  const parent = hasRoom('/dev/shm') ? '/dev/shm' : tmpdir()
  for (const candidate of ['/dev/shm', tmpdir()]) removeLeftovers(candidate)
  const directory = join(parent, `${prefix}${process.pid}`)
  fs.mkdirSync(directory)
  process.once('exit', () => {
    for (const mount of mounts.reverse()) spawnSync('umount', ['-l', mount])
    fs.rmSync(directory, { recursive: true, force: true })
  })
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1))
  return directory
})

function hasRoom(directory: string): boolean {
  if (!fs.existsSync(directory)) return false
  const { bavail, bsize } = fs.statfsSync(directory)
  return bavail * bsize > 3 * imageSize
}

function removeLeftovers(parent: string): void {
  if (!fs.existsSync(parent)) return
  for (const name of fs.readdirSync(parent).filter((each) => each.startsWith(prefix))) {
    if (fs.existsSync(`/proc/${name.slice(prefix.length)}`)) continue
    const directory = join(parent, name)
    const mounted = fs.readFileSync('/proc/self/mounts', 'utf8').split('\n')
    const points = mounted.map((line) => line.split(' ')[1] ?? '').filter((point) => point.startsWith(`${directory}/`))
    for (const point of points.reverse()) spawnSync('umount', ['-l', point])
    fs.rmSync(directory, { recursive: true, force: true })
  }
}

function run(command: string, ...args: string[]): void {
  try {
    execFileSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  } catch (error) {
    const { code, stderr } = error as { code?: string; stderr?: Buffer }
    const reason = code === 'ENOENT' ? 'not installed' : (stderr?.toString().trim() ?? String(error))
    throw new Error(`${command}: ${reason}`)
  }
}

function mount(name: string, ...args: string[]): string {
  const point = join(base(), name)
  fs.mkdirSync(point)
  run('mount', ...args, point)
  mounts.push(point)
  return point
}

/** Makes an image, formats it, mounts it. */
function image(name: string, ...format: readonly [string, ...string[]]): () => string {
  return once(() => {
    const file = join(base(), `${name}.image`)
    fs.writeFileSync(file, '')
    fs.truncateSync(file, imageSize)
    run(...format, file)
    return mount(name, '-o', 'loop', file)
  })
}

function overlay(name: string, on: () => string): () => string {
  return once(() => {
    const [lower, upper, work] = ['lower', 'upper', 'work'].map((part) => join(on(), `${name}-${part}`)) as string[]
    for (const directory of [lower, upper, work]) fs.mkdirSync(directory as string)
    return mount(name, '-t', 'overlay', 'overlay', '-o', `lowerdir=${lower},upperdir=${upper},workdir=${work}`)
  })
}

function subvolume(name: string, on: () => string): () => string {
  return once(() => {
    const path = join(on(), name)
    run('btrfs', 'subvolume', 'create', path)
    return path
  })
}

function fileSystem(name: string, superblock: string, clones: boolean, directory: () => string): FileSystem {
  return { name, superblock, clones, directory }
}

const ext4 = image('ext4', 'mkfs.ext4', '-q', '-F')
const xfs = image('xfs', 'mkfs.xfs', '-q', '-f', '-m', 'reflink=1')
const plainXfs = image('xfs-without-reflink', 'mkfs.xfs', '-q', '-f', '-m', 'reflink=0')
const btrfs = image('btrfs', 'mkfs.btrfs', '-q', '-f')
const tmpfs = once(() => mount('tmpfs', '-t', 'tmpfs', '-o', `size=${imageSize}`, 'tmpfs'))

const fullSet: readonly FileSystem[] = [
  fileSystem('ext4', 'ext4', false, ext4),
  fileSystem('xfs', 'xfs', true, xfs),
  fileSystem('xfs without reflink', 'xfs without reflink', false, plainXfs),
  fileSystem('btrfs subvolume one', 'btrfs', true, subvolume('one', btrfs)),
  fileSystem('btrfs subvolume two', 'btrfs', true, subvolume('two', btrfs)),
  fileSystem('tmpfs', 'tmpfs', false, tmpfs),
  fileSystem('overlay on ext4', 'overlay on ext4', false, overlay('overlay-on-ext4', ext4)),
  fileSystem('overlay on xfs', 'overlay on xfs', true, overlay('overlay-on-xfs', xfs)),
]

const quickSet: readonly FileSystem[] = [
  fileSystem('temporary files', 'temporary files', false, () => tmpdir()),
  fileSystem('shared memory', 'shared memory', false, () => {
    fs.accessSync('/dev/shm', fs.constants.W_OK)
    return '/dev/shm'
  }),
]
