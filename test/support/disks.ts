// Disks that can be cut off: several file systems as one machine has them, each on an image file that can be cloned.

import { execFileSync, spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { withDirectory } from './scratch.ts'

/** How a disk is formatted. */
export type Format = 'ext4' | 'xfs' | 'btrfs'

/** One disk of a machine. */
export interface Disk {
  readonly format: Format
  /** Where it is mounted inside the root: '' for the root itself, which comes first. */
  readonly at: string
}

/** Where a disk's bytes are. */
export interface Image {
  readonly file: string
  readonly offset?: number
  readonly size?: number
}

const mebibyte = 1024 ** 2

/** The least that mkfs takes, or a little more. */
const sizes: Readonly<Record<Format, number>> = { ext4: 48 * mebibyte, xfs: 300 * mebibyte, btrfs: 128 * mebibyte }

/** Nothing is left for later: ext4 would otherwise go on writing zeros in the background. */
const formatting: Readonly<Record<Format, readonly [string, ...string[]]>> = {
  ext4: ['mkfs.ext4', '-q', '-F', '-E', 'lazy_itable_init=0,lazy_journal_init=0,nodiscard'],
  xfs: ['mkfs.xfs', '-q', '-f', '-K'],
  btrfs: ['mkfs.btrfs', '-q', '-f', '-K'],
}

/** Bytes of a disk. */
export function sizeOf({ format }: Disk): number {
  return sizes[format]
}

/** Makes a file system in an image, whose file is made (or grown) for it. */
export function format(disk: Disk, { file, offset = 0 }: Image): void {
  const own = offset === 0 ? file : `${file}.formatting`
  fs.closeSync(fs.openSync(own, 'a'))
  fs.truncateSync(own, sizeOf(disk))
  run(...formatting[disk.format], own)
  if (own === file) return
  run('dd', `if=${own}`, `of=${file}`, 'bs=1M', `seek=${offset / mebibyte}`, 'conv=notrunc,sparse', 'status=none')
  fs.rmSync(own)
}

/** Mounts disks as one root, and runs `body`; afterwards they are unmounted, whatever happened. */
export async function whileMounted<T>(
  disks: readonly Disk[],
  images: readonly Image[],
  root: string,
  body: () => T | Promise<T>,
): Promise<T> {
  const mounted: string[] = []
  try {
    disks.forEach((disk, index) => {
      const point = join(root, disk.at)
      fs.mkdirSync(point, { recursive: true })
      mountImage(images[index] as Image, point)
      mounted.unshift(point)
    })
    return await body()
  } finally {
    for (const point of mounted) unmount(point)
    for (const { file } of images) waitUntilReleased(file)
  }
}

function mountImage({ file, offset, size }: Image, point: string): void {
  const part = offset === undefined ? '' : `,offset=${offset},sizelimit=${size}`
  run('mount', '-o', `loop${part}`, file, point)
}

/** A process that was just killed may hold a file for a moment longer. */
function unmount(point: string): void {
  for (let attempt = 0; attempt < 40; attempt++) {
    if (spawnSync('umount', [point]).status === 0) return
    sleep(25)
  }
  run('umount', '-l', point)
}

/**
 * Waits until no loop device has a file: a mount namespace that somebody made meanwhile has its mount for as long as it lives.
 * What is mounted of that file next would be what was mounted before (ext4), or be refused for its UUID (XFS).
 */
function waitUntilReleased(file: string): void {
  for (let attempt = 0; attempt < 1200; attempt++) {
    if (!backingFiles().includes(file)) return
    sleep(50)
  }
  throw new Error(`${file} is still mounted somewhere`)
}

/** The files behind the loop devices (Documentation/ABI/stable/sysfs-block). */
function backingFiles(): string[] {
  const devices = fs.readdirSync('/sys/block').filter((name) => name.startsWith('loop'))
  return devices.flatMap((name) => {
    const path = `/sys/block/${name}/loop/backing_file` // absent while the device is free
    try {
      return [fs.readFileSync(path, 'utf8').trimEnd()]
    } catch {
      return []
    }
  })
}

function sleep(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)
}

/** Runs `body` with a directory on a file system that clones files (XFS, on a loop device, in memory where possible). */
export async function withCloningHost<T>(body: (directory: string) => Promise<T>): Promise<T> {
  const parent = fs.existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
  return withDirectory(async (scratch) => {
    const file = join(scratch, 'host')
    const point = join(scratch, 'mounted')
    fs.mkdirSync(point)
    fs.writeFileSync(file, '')
    fs.truncateSync(file, 6 * 1024 * mebibyte)
    run('mkfs.xfs', '-q', '-f', '-K', '-m', 'reflink=1', file)
    mountImage({ file }, point)
    try {
      return await body(point)
    } finally {
      unmount(point)
    }
  }, parent)
}

/** Clones a file as it is at one instant (FICLONE). */
export function clone(source: string, target: string): void {
  fs.copyFileSync(source, target, fs.constants.COPYFILE_FICLONE_FORCE)
}

/** Runs a tool. @throws {Error} with what it says */
export function run(tool: string, ...words: string[]): string {
  try {
    return execFileSync(tool, words, { stdio: ['ignore', 'pipe', 'pipe'] }).toString()
  } catch (error) {
    const { code, stderr } = error as { code?: string; stderr?: Buffer }
    throw new Error(`${tool}: ${code === 'ENOENT' ? 'not installed' : (stderr?.toString().trim() ?? String(error))}`)
  }
}
