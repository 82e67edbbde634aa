// Which entries of a tree image are merged: glob patterns over its names, by fast-glob on the engine's own kernel.
//
// Names and patterns are latin1 strings of their bytes, so that no name is lost; `?` and `[…]` match a byte.

import { createRequire } from 'node:module'
import type { FileSystemAdapter } from 'fast-glob'
import { baseName, type FileType, joinName, type Kernel, type Name, parentName } from '../sys/index.ts'
import { withLineEnds, withoutLineEnds } from './lineEnds.ts'
import { compileMask } from './mask.ts'
import { globOf, nameMatcher } from './ownership.ts'
import type { Root } from './root.ts'

/** Glob patterns as fast-glob has them: `*`, `**`, `?`, classes, braces; names that begin with a dot match too. */
export interface SelectionOptions {
  /** Entries that are merged, with the directories above them; all by default. */
  readonly include?: readonly string[]
  /** Entries that are not, with everything below them. */
  readonly exclude?: readonly string[]
  /** Portage's install masks, one pattern each: names that are left out, and remembered as left out. */
  readonly installMask?: readonly (string | Uint8Array)[]
}

// Loaded when there are patterns: it takes longer than a small merge.
const require: NodeJS.Require = createRequire(import.meta.url)

/** The names of a tree that are selected, with the directories above them; undefined when all are. */
export function selectNames(tree: Root, { include, exclude }: SelectionOptions): ReadonlySet<Name> | undefined {
  if (include === undefined && exclude === undefined) return undefined
  const { sync } = require('fast-glob') as typeof import('fast-glob')
  const found = sync((include ?? ['**']).map(globOf), {
    cwd: top,
    ignore: (exclude ?? []).map(globOf).flatMap(withBelow),
    fs: adapterOf(tree),
    dot: true,
    onlyFiles: false,
    followSymbolicLinks: false,
  })
  const selected = new Set<Name>()
  for (const name of found) for (let at = withLineEnds(name); at !== ''; at = parentName(at)) selected.add(at)
  return selected
}

/** Whether single names are selected, and not masked: of what an image has no object of. */
export function nameSelector({ include, exclude, installMask }: SelectionOptions): (name: Name) => boolean {
  const includes = include === undefined ? () => true : nameMatcher(include)
  const excludes = nameMatcher(exclude ?? [])
  const mask = installMask?.length ? compileMask(installMask) : undefined
  return (name) => {
    for (let at = name; at !== ''; at = parentName(at)) if (excludes(at)) return false
    return includes(name) && mask?.leavesOut(name, false) !== true
  }
}

/** fast-glob leaves out what is below a directory only where the pattern has no wildcard, or says so. */
function withBelow(pattern: string): string[] {
  return [pattern, `${pattern.replace(/\/+$/, '')}/**`]
}

/** What fast-glob takes for the image's path: it only ever comes back to the adapter. */
const top = '/'

/** fast-glob's view of an open tree. It asks with paths that begin with `top`. */
function adapterOf(tree: Root): Partial<FileSystemAdapter> {
  const { kernel } = tree
  const lstatSync = (path: string) => kindOf(tree.find(nameOf(path))?.type)
  const readdirSync = (path: string) =>
    kernel.readDirectory(tree.directory(nameOf(path)).fd).map(({ name, type }) => ({
      name: withoutLineEnds(name),
      ...kindOf(type ?? typeOf(kernel, tree, joinName(nameOf(path), name))),
    }))
  const adapter = { lstatSync, statSync: lstatSync, readdirSync }
  return adapter as unknown as Partial<FileSystemAdapter> // of Dirent and Stats it looks only at these questions
}

function nameOf(path: string): Name {
  return withLineEnds(path.replace(/^\/+/, ''))
}

function typeOf(kernel: Kernel, tree: Root, name: Name): FileType {
  return kernel.statat(tree.directory(parentName(name)).fd, baseName(name)).type
}

/** The questions that fast-glob asks of an object. */
function kindOf(type: FileType | undefined) {
  const is = (asked: FileType) => () => type === asked
  return {
    isFile: is('file'),
    isDirectory: is('directory'),
    isSymbolicLink: is('symlink'),
    isFIFO: is('fifo'),
    isSocket: is('socket'),
    isCharacterDevice: is('character'),
    isBlockDevice: is('block'),
  }
}
