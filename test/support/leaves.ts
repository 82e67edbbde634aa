// What is at a path of a scratch tree, for tests that write into trees whose shape changes.

import * as fs from 'node:fs'
import { join } from 'node:path'

/** Whether something that is no directory lies on the way to a path below a directory. */
export function isBelowLeaf(directory: string, path: string): boolean {
  const components = path.split('/')
  return components.some((_, n) => n > 0 && isLeaf(join(directory, ...components.slice(0, n))))
}

/** Whether anything but a directory is at a path. */
export function isLeaf(path: string): boolean {
  const stat = lookAt(path)
  return stat !== undefined && !stat.isDirectory()
}

/** What is at a path; undefined also below a file. */
export function lookAt(path: string): fs.Stats | undefined {
  try {
    return fs.lstatSync(path, { throwIfNoEntry: false })
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOTDIR') return undefined
    throw error
  }
}
