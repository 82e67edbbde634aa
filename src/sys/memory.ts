// Memory for reading and writing.

import { loadKoffi } from './koffi.ts'

const pageSize = 4096

/**
 * A buffer that begins at a page, its bytes undefined.
 *
 * The kernel copies whole cache lines and pages: from a buffer 16 bytes off, where malloc(3) puts large ones, 1 GiB
 * took 285 ms instead of 171 (ext4, Linux 6.18).
 */
export function pageAlignedBuffer(size: number): Buffer {
  const memory = Buffer.allocUnsafeSlow(size + pageSize)
  const excess = Number(loadKoffi().address(memory) % BigInt(pageSize))
  const start = excess === 0 ? 0 : pageSize - excess
  return memory.subarray(start, start + size)
}
