// A process of its own that exchanges two names as fast as it can, until it is killed: a directory, and a symlink that
// leads elsewhere, take turns under one name.

import { AT_FDCWD, isSyscallError, linuxKernel, RENAME_EXCHANGE, toName } from '../../src/sys/index.ts'

const kernel = linuxKernel()
const [, , one = '', other = ''] = process.argv.map(toName)

process.send?.('started')
for (;;) {
  try {
    kernel.renameat(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE)
  } catch (error) {
    if (!isSyscallError(error, 'ENOENT')) throw error // the engine has one of them at this moment
  }
}
