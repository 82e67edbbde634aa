// A member's payload: the bytes where they belong, and holes where there are none.

import type { Hash } from 'node:crypto'
import type { Extent } from '../../filecopy/index.ts'
import type { Fd, Kernel } from '../../sys/index.ts'
import type { Member } from './member.ts'

/** What becomes of a payload, piece by piece in the order of the file. */
export interface PayloadSink {
  bytes(chunk: Buffer, position: number): void
  hole?(length: number): void
}

/** Reads a payload to its end, chunk by chunk as the chunks come. @throws {CorruptImageError} when it ends early */
export function readPayload({ payload, size, extents, path }: Member, sink: PayloadSink): void {
  const pieces: readonly Extent[] = extents ?? (size > 0 ? [{ start: 0, end: size }] : [])
  let position = 0
  for (const { start, end } of pieces) {
    if (start > position) sink.hole?.(start - position)
    for (position = start; position < end; ) {
      const chunk = payload?.chunk(end - position)
      if (chunk === undefined) throw payload?.cutShort() ?? new Error(`${path} has no payload`)
      sink.bytes(chunk, position)
      position += chunk.length
    }
  }
  if (position < size) sink.hole?.(size - position)
}

/** Writes a payload to an empty file. `seen` sees every piece before it is written. */
export function writePayload(kernel: Kernel, fd: Fd, member: Member, seen: PayloadSink): void {
  let hasHoles = false
  readPayload(member, {
    bytes(chunk, position) {
      seen.bytes(chunk, position)
      writeAll(kernel, fd, chunk, position)
    },
    hole(length) {
      hasHoles = true
      seen.hole?.(length)
    },
  })
  if (hasHoles) kernel.ftruncate(fd, member.size) // a hole at the end is there only once the size says so
}

/** Writes all of `chunk` at a position. */
export function writeAll(kernel: Kernel, fd: Fd, chunk: Buffer, position: number): void {
  for (let written = 0; written < chunk.length; )
    written += kernel.pwrite(fd, written === 0 ? chunk : chunk.subarray(written), position + written)
}

const holePieceBytes = 64 * 1024 * 1024

/** A hole piece by piece: digesting its zeros takes time, and who cancels does not wait for all of them. */
export function* piecesOfHole(length: number): Generator<number> {
  for (let left = length; left > 0; left -= holePieceBytes) yield Math.min(left, holePieceBytes)
}

const zeros = Buffer.alloc(64 * 1024)

/** Digests a hole as the zeros that it reads as. */
export function digestHole(hash: Hash, length: number): void {
  for (let left = length; left > 0; left -= zeros.length) hash.update(zeros.subarray(0, left))
}
