// A record that is large: roots with few names have no index of owners, and tests of it would make many names.

import * as fs from 'node:fs'
import { join } from 'node:path'
import { recordBytes } from '../../src/merge/record.ts'
import { refreshIndex } from '../../src/merge/refreshIndex.ts'
import { Root } from '../../src/merge/root.ts'
import { State } from '../../src/merge/state.ts'
import { linuxKernel, toName } from '../../src/sys/index.ts'

/** One name with a large record: up to a certain size of all that it does not know, the index stays as it is. */
export function addBallast(root: string): void {
  const directory = join(root, 'var/lib/rootmerge/packages/ballast')
  fs.mkdirSync(directory, { recursive: true })
  const value = Buffer.alloc(200 * 1024)
  const entry = { name: 'ballast', type: 'fifo', uid: 0, gid: 0, mode: 0o600, mtimeNs: 0n, size: 0 } as const
  const record = recordBytes({
    packageName: 'ballast',
    entries: [{ ...entry, xattrs: [{ name: 'user.weight', value }] }],
  })
  fs.writeFileSync(join(directory, 'record.new'), Buffer.concat([...record]))
  fs.renameSync(join(directory, 'record.new'), join(directory, 'record'))
}

/** Runs `body` with the state of a root, by a kernel. */
export function withState<T>(root: string, body: (state: State) => T, kernel = linuxKernel()): T {
  const opened = new Root(kernel, toName(root))
  try {
    return body(new State(opened))
  } finally {
    opened.close()
  }
}

/** Puts every record of a root into its index. */
export function indexAll(root: string): ReturnType<typeof refreshIndex> {
  addBallast(root)
  return withState(root, refreshIndex)
}
