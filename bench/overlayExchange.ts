// What does exchanging a file of overlayfs's lower layer cost, and is there a cheaper way to keep it for an undo?
// Run as root: node build/bench/overlayExchange.js [MiB]

import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import {
  AT_FDCWD,
  type Fd,
  type Kernel,
  linuxKernel,
  O_DIRECTORY,
  O_RDONLY,
  RENAME_EXCHANGE,
} from '../src/sys/index.ts'
import { Results } from './results.ts'

const mebibytes = Number(process.argv[2] ?? 300)
const question = "What does taking a name from a file of overlayfs's lower layer cost?"
const results = new Results('overlayExchange', question, 'ms', 'less')
const scratch = fs.mkdtempSync('/dev/shm/rootmerge-bench-overlay-')

/** Ways of taking a name from a lower file such that it can get it back. */
const ways: Readonly<Record<string, (kernel: Kernel, directory: Fd) => void>> = {
  'rename over (cannot be undone)': (kernel, fd) => kernel.renameat(fd, 'new', fd, 'old'),
  exchange: (kernel, fd) => kernel.renameat(fd, 'new', fd, 'old', RENAME_EXCHANGE),
  'link aside, rename over': (kernel, fd) => {
    kernel.linkat(fd, 'old', fd, 'aside')
    kernel.renameat(fd, 'new', fd, 'old')
  },
  'rename aside, rename in': (kernel, fd) => {
    kernel.renameat(fd, 'old', fd, 'aside')
    kernel.renameat(fd, 'new', fd, 'old')
  },
}

function makeFileSystem(type: 'ext4' | 'xfs'): string {
  const image = join(scratch, `${type}.img`)
  const mount = join(scratch, type)
  fs.mkdirSync(mount)
  fs.writeFileSync(image, '')
  fs.truncateSync(image, (3 * mebibytes + 400) * 1024 ** 2)
  execFileSync(`mkfs.${type}`, type === 'ext4' ? ['-q', '-F', image] : ['-q', image])
  execFileSync('mount', ['-o', 'loop', image, mount])
  return mount
}

function withOverlay(base: string, options: string, body: (merged: string) => void): void {
  const [lower, upper, work, merged] = ['lower', 'upper', 'work', 'merged'].map((name) => join(base, name)) as [
    string,
    string,
    string,
    string,
  ]
  for (const directory of [lower, upper, work, merged]) fs.mkdirSync(directory)
  fs.writeFileSync(join(lower, 'old'), Buffer.alloc(mebibytes * 1024 ** 2, 'x'))
  execFileSync('mount', [
    '-t',
    'overlay',
    'overlay',
    '-o',
    `lowerdir=${lower},upperdir=${upper},workdir=${work}${options}`,
    merged,
  ])
  try {
    fs.writeFileSync(join(merged, 'new'), 'new')
    body(merged)
  } finally {
    execFileSync('umount', [merged])
    for (const directory of [lower, upper, work, merged]) fs.rmSync(directory, { recursive: true })
  }
}

const kernel = linuxKernel()
try {
  for (const type of ['ext4', 'xfs'] as const) {
    const base = makeFileSystem(type)
    for (const options of ['', ',metacopy=on']) {
      for (const [way, act] of Object.entries(ways)) {
        withOverlay(base, options, (merged) => {
          const fd = kernel.openat(AT_FDCWD, merged, O_RDONLY | O_DIRECTORY)
          kernel.syncfs(fd) // what was just written must not be flushed on the exchange's bill
          execFileSync('sync', ['-f', base])
          const before = fs.statfsSync(base)
          const start = performance.now()
          act(kernel, fd)
          const took = performance.now() - start
          kernel.syncfs(fd)
          const after = fs.statfsSync(base)
          kernel.close(fd)
          results.add({
            case: `${mebibytes} MiB`,
            fileSystem: `${type}${options}`,
            contender: way,
            value: Math.round(took * 10) / 10,
          })
          const grown = ((before.bfree - after.bfree) * before.bsize) / 1024 ** 2
          process.stdout.write(
            `${type}${options}  ${way}: ${took.toFixed(1)} ms, ${grown.toFixed(0)} MiB of the upper layer\n`,
          )
        })
      }
    }
    execFileSync('umount', [base])
  }
  results.write()
} finally {
  fs.rmSync(scratch, { recursive: true, force: true })
}
