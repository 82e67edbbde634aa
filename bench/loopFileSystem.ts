// A file system of its own for a measurement: on a loop device in memory, so that no disk and no neighbour's files play
// a part. (On ext4 that has seen many removals, finding a free inode took ten times as long as making the file.)

import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'

const makers: Readonly<Record<string, readonly string[]>> = {
  ext4: ['mkfs.ext4', '-q', '-F'],
  xfs: ['mkfs.xfs', '-q', '-f'],
  btrfs: ['mkfs.btrfs', '-q', '-f'],
}

/** The kinds that can be made. */
export const fileSystemKinds: readonly string[] = Object.keys(makers)

/** Makes a file system of `gibibytes`, gives its mount point to `use`, and takes everything away again. */
export async function onFileSystem(
  kind: string,
  gibibytes: number,
  use: (directory: string) => Promise<void>,
): Promise<void> {
  const work = fs.mkdtempSync('/dev/shm/rootmerge-bench-')
  const [image, mount] = [join(work, 'image'), join(work, 'mount')]
  const [program, ...words] = makers[kind] as readonly [string, ...string[]]
  try {
    fs.mkdirSync(mount)
    fs.writeFileSync(image, '')
    fs.truncateSync(image, gibibytes * 1024 ** 3)
    execFileSync(program, [...words, image])
    // Direct: else everything would be in the page cache twice.
    const loop = execFileSync('losetup', ['--find', '--show', '--direct-io=on', image], { encoding: 'utf8' }).trim()
    try {
      execFileSync('mount', [loop, mount])
      await use(mount).finally(() => execFileSync('umount', [mount]))
    } finally {
      execFileSync('losetup', ['--detach', loop])
    }
  } finally {
    fs.rmSync(work, { recursive: true, force: true })
  }
}
