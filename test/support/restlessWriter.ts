// A process of its own that writes to a file, punches holes into it and truncates it, until it is killed.

import * as fs from 'node:fs'
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, isSyscallError, linuxKernel } from '../../src/sys/index.ts'

const kernel = linuxKernel()
const fd = fs.openSync(process.argv[2] ?? '', 'r+')
const piece = Buffer.alloc(100_000, 'restless')
const size = 4 * 1024 * 1024
const somewhere = () => Math.floor(Math.random() * size)

process.send?.('started')
for (;;) {
  fs.writeSync(fd, piece, 0, piece.length, somewhere())
  try {
    kernel.fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, somewhere(), 500_000)
  } catch (error) {
    if (!isSyscallError(error, 'EOPNOTSUPP')) throw error
  }
  fs.ftruncateSync(fd, Math.random() < 0.5 ? somewhere() : size)
}
