// A file system that folds case, by a kernel double: none can be mounted everywhere. What is listed keeps its spelling.

import * as fs from 'node:fs'
import { join } from 'node:path'
import type { Kernel } from '../../src/sys/index.ts'
import { wrapKernel } from './kernelDoubles.ts'

/** Where calls have a directory, with a path after it. */
const directoryArguments: Readonly<Record<string, readonly number[]>> = {
  openat: [0],
  openat2: [0],
  statat: [0],
  findat: [0],
  accessat: [0],
  readlinkat: [0],
  handleAt: [0],
  listXattrsAt: [0],
  mkdirat: [0],
  unlinkat: [0],
  renameat: [0, 2],
  linkat: [0, 2],
  symlinkat: [1],
  mknodat: [0],
  chownat: [0],
  utimensat: [0],
}

/** A kernel to which every name below `top` is any other that differs in the case of its letters alone. */
export function foldingCase(kernel: Kernel, top: string): Kernel {
  return wrapKernel(kernel, (call, args, proceed) => {
    const spelled = [...args]
    for (const at of directoryArguments[call] ?? []) spelled[at + 1] = asListed(top, args[at], args[at + 1])
    return proceed(...spelled)
  })
}

function asListed(top: string, directory: unknown, path: unknown): unknown {
  if (typeof path !== 'string' || path === '' || path.startsWith('/') || (directory as number) < 0) return path
  const base = fs.readlinkSync(`/proc/self/fd/${directory}`, 'latin1')
  if (base !== top && !base.startsWith(`${top}/`)) return path
  const listed: string[] = []
  for (const component of path.split('/')) listed.push(spellingIn(join(base, ...listed), component))
  return listed.join('/')
}

/** Names are the latin1 strings of their bytes, as the engine has them. */
function spellingIn(directory: string, name: string): string {
  const path = Buffer.from(directory, 'latin1')
  const names = fs.existsSync(path) && fs.statSync(path).isDirectory() ? fs.readdirSync(path, 'latin1') : []
  if (names.includes(name)) return name
  return names.find((each) => folded(each) === folded(name)) ?? name
}

function folded(name: string): string {
  return Buffer.from(name, 'latin1').toString('utf8').toLowerCase()
}
