// A process of its own that clones a file at random instants, under names that begin as its second argument, until it
// is killed.

import { renameSync } from 'node:fs'
import { clone } from './disks.ts'

const [, , file = '', prefix = ''] = process.argv
const sleeper = new Int32Array(new SharedArrayBuffer(4))

process.send?.('started')
for (let count = 0; ; count++) {
  const name = `${prefix}-${count}`
  clone(file, `${name}.part`)
  renameSync(`${name}.part`, name) // what the end of this process cuts off is no clone
  Atomics.wait(sleeper, 0, 0, Math.random() * 40)
}
