// An overlay whose files are all in the lower layer, as in a container: the first change copies a file up, and gives one
// that has several names another inode number.

import * as fs from 'node:fs'
import { join } from 'node:path'
import { run } from './disks.ts'
import { fileSystems } from './filesystems.ts'
import { withDirectory } from './scratch.ts'
import { writeTree } from './tree.ts'

/** Runs `body` with an overlay on the first of the file systems, which holds `tree`. Needs root. */
export function withOverlay<T>(tree: string, body: (merged: string) => Promise<T>): Promise<T> {
  return withDirectory(async (scratch) => {
    const [lower, upper, work, merged] = ['lower', 'upper', 'work', 'merged'].map((part) => join(scratch, part)) as [
      ...[string, string, string, string],
    ]
    for (const directory of [lower, upper, work, merged]) fs.mkdirSync(directory)
    writeTree(lower, tree)
    const layers = `lowerdir=${lower},upperdir=${upper},workdir=${work}`
    run('mount', '-t', 'overlay', 'overlay', '-o', `${layers},index=off,xino=off`, merged)
    try {
      return await body(merged)
    } finally {
      run('umount', merged)
    }
  }, fileSystems()[0]?.directory())
}
