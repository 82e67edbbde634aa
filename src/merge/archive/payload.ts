// A member's payload into its file: the bytes where they belong, and holes where there are none.

import type { Extent } from '../../filecopy/index.ts'
import type { Fd, Kernel } from '../../sys/index.ts'
import type { Member } from './member.ts'

/** Something that sees every byte of a file in order, holes as zeros. */
export interface Watcher {
  update(bytes: Uint8Array): void
}

const zeros = Buffer.alloc(64 * 1024)

/**
 * Writes a payload to an empty file at its position 0, chunk by chunk as the chunks come.
 *
 * @param count  told of bytes before they are written, and of the holes
 */
export async function writePayload(
  kernel: Kernel,
  fd: Fd,
  member: Member,
  count: (bytes: number) => void,
  watcher: Watcher | undefined,
): Promise<void> {
  const { payload, size } = member
  const extents: readonly Extent[] = member.extents ?? (size > 0 ? [{ start: 0, end: size }] : [])
  let position = 0
  for (const { start, end } of extents) {
    watchHole(start - position, watcher)
    for (position = start; position < end; ) {
      const chunk = await payload?.chunk(end - position)
      if (chunk === undefined) throw payload?.cutShort() ?? new Error(`${member.path} has no payload`)
      count(chunk.length)
      for (let written = 0; written < chunk.length; )
        written += kernel.pwrite(fd, written === 0 ? chunk : chunk.subarray(written), position + written)
      watcher?.update(chunk)
      position += chunk.length
    }
  }
  if (position === size) return
  watchHole(size - position, watcher)
  kernel.ftruncate(fd, size)
}

function watchHole(length: number, watcher: Watcher | undefined): void {
  if (watcher === undefined) return
  for (let left = length; left > 0; left -= zeros.length) watcher.update(zeros.subarray(0, left))
}
