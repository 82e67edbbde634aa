// A root, and images of one file: what the tests of configuration protection work with.

import * as fs from 'node:fs'
import { join } from 'node:path'
import { type MergeOptions, type MergeReport, merge, type ProtectionOptions } from '../../../src/merge/index.ts'
import { withDirectory } from '../../support/scratch.ts'

/** Contents of a file: text, or where a symlink points; undefined when there is none. */
export type Contents = string | { readonly link: string } | undefined

/** The file that most tests are about, relative to the root. */
export const file = 'etc/c.conf'

/** What merge() takes beside root, image and package. */
export type More = ProtectionOptions &
  Pick<MergeOptions, 'noConfigMemory' | 'replaces' | 'collisionIgnore' | 'triggers' | 'listChanged'>

/** A root under protection of `/etc`. */
export class ConfigBench {
  readonly root: string
  readonly #directory: string
  #images = 0

  constructor(directory: string) {
    this.#directory = directory
    this.root = join(directory, 'root')
    fs.mkdirSync(this.root)
  }

  /** Merges an image that brings these files. */
  merge(files: Readonly<Record<string, Contents>>, more: More = {}, name = 'p'): Promise<MergeReport> {
    const image = join(this.#directory, `image-${this.#images++}`)
    fs.mkdirSync(image)
    for (const [path, contents] of Object.entries(files)) writeObject(image, path, contents)
    return merge({ root: this.root, image, package: name, protect: ['/etc'], ...more })
  }

  /** Gives a name in the root other contents, or removes it. */
  write(path: string, contents: Contents): void {
    writeObject(this.root, path, contents)
  }

  read(path: string): Contents {
    const full = fullPath(this.root, path)
    const stat = fs.lstatSync(full, { throwIfNoEntry: false })
    if (stat === undefined) return undefined
    if (stat.isSymbolicLink()) return { link: fs.readlinkSync(full, 'latin1') }
    return stat.isDirectory() ? 'a directory' : fs.readFileSync(full, 'latin1')
  }

  /** The names in a directory of the root, sorted; bytes as latin1. */
  names(directory = 'etc'): string[] {
    const full = fullPath(this.root, directory)
    if (!fs.existsSync(full)) return []
    return fs.readdirSync(full, 'latin1').sort()
  }

  /** What is in /etc, by name. */
  etc(): Record<string, Contents> {
    return Object.fromEntries(this.names().map((name) => [name, this.read(`etc/${name}`)]))
  }

  rename(from: string, to: string): void {
    fs.renameSync(fullPath(this.root, from), fullPath(this.root, to))
  }
}

/** Runs `body` with a new root. */
export function withBench(body: (bench: ConfigBench) => Promise<unknown>): () => Promise<unknown> {
  return () => withDirectory((directory) => body(new ConfigBench(directory)))
}

function fullPath(top: string, path: string): Buffer {
  return Buffer.concat([Buffer.from(`${top}/`), Buffer.from(path, 'latin1')])
}

function writeObject(top: string, path: string, contents: Contents): void {
  const full = fullPath(top, path)
  fs.mkdirSync(fullPath(top, path.split('/').slice(0, -1).join('/')), { recursive: true })
  fs.rmSync(full, { force: true, recursive: true })
  if (typeof contents === 'string') fs.writeFileSync(full, Buffer.from(contents, 'latin1'))
  else if (contents !== undefined) fs.symlinkSync(Buffer.from(contents.link, 'latin1'), full)
}
