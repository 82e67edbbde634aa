// The images that bench/merge.ts measures with.

import { execFileSync, spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { measured } from './results.ts'

/** A kind of image, and what to expect of it. */
export interface ImageKind {
  readonly title: string
  /** How large the file system has to be. */
  readonly gibibytes: number
  readonly isManyFiles: boolean
  /** Whether it has nothing but small regular files and directories. */
  readonly isPlain: boolean
  /** The one file that it has, if it is one. */
  readonly file?: string
  /** How often everything is measured: the longer it takes, the less a moment's disturbance counts. */
  readonly rounds: number
  /** Of a fresh merge, as a multiple of cp -a. */
  readonly goal: number
  /** Makes it; returns how many files it has. */
  make(image: string): number
  /** Makes the next version, in which a tenth is another. */
  change(image: string, next: string): void
}

/** The kinds by name. */
export function imageKinds({
  tree,
  largeGib,
}: {
  tree: string
  largeGib: number
}): Readonly<Record<string, ImageKind>> {
  return {
    small: {
      title: `${measured('20,000', '200')} files of 4 KiB`,
      gibibytes: 3,
      isManyFiles: true,
      isPlain: true,
      rounds: measured(3, 1),
      goal: 0.75,
      make: (image) => makeFiles(image, { files: measured(20_000, 200), directory: 100, bytes: 4096 }),
      change: changeTenth,
    },
    tree: {
      title: `${tree} of a Debian`,
      gibibytes: 6,
      isManyFiles: true,
      isPlain: false,
      rounds: 1,
      goal: 0.75,
      make: (image) => copyTree(tree, image),
      change: changeTenth,
    },
    large: {
      title: `one file of ${largeGib} GiB`,
      gibibytes: Math.ceil(3 * largeGib + 1),
      isManyFiles: false,
      isPlain: false,
      file: 'opt/large',
      rounds: 1,
      goal: 1.1,
      make: (image) => makeLarge(join(image, 'opt/large'), largeGib),
      change: () => {},
    },
  }
}

/** So many files of so many bytes, so many in a directory. */
export function makeFiles(image: string, size: { files: number; directory: number; bytes: number }): number {
  const noise = Buffer.alloc(size.bytes)
  for (let index = 0; index < size.bytes; index++) noise[index] = (index * 2654435761) >>> 13
  for (let number = 0; number < size.files; number++) {
    const parent = join(image, `usr/share/d${Math.floor(number / size.directory)}`)
    if (number % size.directory === 0) fs.mkdirSync(parent, { recursive: true })
    noise.write(`${number} `, 0)
    fs.writeFileSync(join(parent, `file-${number}`), noise)
  }
  return size.files
}

function copyTree(tree: string, image: string): number {
  fs.mkdirSync(join(image, 'usr'), { recursive: true })
  execFileSync('cp', ['-a', tree, join(image, 'usr')])
  return Number(execFileSync('sh', ['-c', 'find "$0" ! -type d | wc -l', image], { encoding: 'utf8' }))
}

function makeLarge(path: string, gibibytes: number): number {
  fs.mkdirSync(join(path, '..'), { recursive: true })
  const piece = Buffer.alloc(64 * 1024 * 1024)
  for (let index = 0; index < piece.length; index += 4) piece.writeUInt32LE((index * 2654435761) >>> 0, index)
  const fd = fs.openSync(path, 'w')
  for (let written = 0; written < gibibytes * 1024 ** 3; written += piece.length) fs.writeSync(fd, piece)
  fs.closeSync(fd)
  return 1
}

function changeTenth(image: string, next: string): void {
  execFileSync('cp', ['-a', image, next])
  let number = 0
  for (const entry of fs.readdirSync(next, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || number++ % 10 !== 0) continue
    const path = join(entry.parentPath, entry.name)
    const { atime, mtime } = fs.statSync(path)
    fs.appendFileSync(path, 'the next version')
    fs.utimesSync(path, atime, new Date(mtime.getTime() + 1000))
  }
}

/** Makes a Debian package of an image, not compressed; false where dpkg-deb is not there. */
export function makeDeb(image: string, deb: string): boolean {
  fs.mkdirSync(join(image, 'DEBIAN'))
  const fields = [
    'Package: bench',
    'Version: 1',
    'Architecture: all',
    'Maintainer: bench <bench@localhost>',
    'Description: bench',
  ]
  fs.writeFileSync(join(image, 'DEBIAN/control'), `${fields.join('\n')}\n`)
  const made = spawnSync('dpkg-deb', ['-Znone', '--build', image, deb], { stdio: 'ignore' }).status === 0
  fs.rmSync(join(image, 'DEBIAN'), { recursive: true })
  return made
}
