// Files of data, zeros, holes and preallocated space, and what they must read as.

import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { FALLOC_FL_KEEP_SIZE, type Kernel } from '../../src/sys/index.ts'

/** A part of a file. `unwritten` is allocated but never written; `data` has no zero byte. */
export interface Segment {
  readonly kind: 'data' | 'zeros' | 'hole' | 'unwritten'
  readonly length: number
}

/** Makes the file, segment after segment, and returns what it reads as. */
export function writeLayout(kernel: Kernel, path: string, segments: readonly Segment[]): Buffer {
  const size = segments.reduce((sum, segment) => sum + segment.length, 0)
  const expected = Buffer.alloc(size)
  const fd = fs.openSync(path, 'w')
  fs.ftruncateSync(fd, size)
  let position = 0
  for (const { kind, length } of segments) {
    const piece = expected.subarray(position, position + length)
    if (kind === 'data') fillWithData(piece, position)
    if (kind === 'data' || kind === 'zeros') fs.writeSync(fd, piece, 0, length, position)
    if (kind === 'unwritten' && length > 0) kernel.fallocate(fd, FALLOC_FL_KEEP_SIZE, position, length)
    position += length
  }
  fs.closeSync(fd)
  return expected
}

/** Bytes that depend on their offset, so that what lands at a wrong one is seen; none is zero. */
export function fillWithData(piece: Buffer, offset: number): void {
  for (let index = 0; index < piece.length; index++) {
    const at = offset + index
    piece[index] = 1 + ((at ^ (at >>> 8) ^ (at >>> 16) ^ 0x5a) % 255)
  }
}

/** Dense data of that size. */
export function dataOf(size: number): Buffer {
  const bytes = Buffer.alloc(size)
  fillWithData(bytes, 0)
  return bytes
}

/** Fails with the first differing offset, not with megabytes of both. */
export function assertSameBytes(actual: Buffer, expected: Buffer): void {
  if (actual.equals(expected)) return
  assert.equal(actual.length, expected.length, 'the lengths differ')
  const offset = actual.findIndex((byte, index) => byte !== expected[index])
  assert.fail(`byte ${offset} is ${actual[offset]}, not ${expected[offset]}`)
}

/** Allocated KiB of a file, data that is not yet on disk included. */
export function allocated(path: string): number {
  return fs.statSync(path).blocks / 2
}

/** Calls `body` with descriptors of a file to read and of one to write, and closes both. */
export function withDescriptors<T>(
  source: string,
  target: string,
  body: (source: number, target: number) => T,
  flags: string | number = 'w',
): T {
  const from = fs.openSync(source, 'r')
  const to = fs.openSync(target, flags)
  try {
    return body(from, to)
  } finally {
    fs.closeSync(from)
    fs.closeSync(to)
  }
}
