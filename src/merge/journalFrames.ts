// The form of the journal's records. Each is
//
//   length (4 bytes) | crc32 (4) | version (4) | transaction id (8) | index (4) | length bytes of JSON
//
// little-endian, the checksum over everything behind it.

import { crc32 } from 'node:zlib'
import type { Fd, Kernel } from '../sys/index.ts'

const headerBytes = 24
/** Bytes: two names of a path's length, escaped by JSON, fit many times over; anything longer is not a record. */
export const longestRecord: number = 1024 * 1024

/** What stands before a record. */
export interface FrameFacts {
  readonly version: number
  /** The transaction's. */
  readonly id: bigint
  /** Counted from the transaction's first record, 0. */
  readonly index: number
}

/**
 * What of a record lies behind its header.
 *
 * @throws {RangeError} where it would be longer than a reader takes for a record: the journal would end there
 */
export function payloadOf(record: object): Buffer {
  const payload = Buffer.from(JSON.stringify(record), 'utf8')
  if (payload.length <= longestRecord) return payload
  throw new RangeError(
    `a record of the journal has ${payload.length} bytes, and ${longestRecord} at most can be read back`,
  )
}

/** A record with its header. */
export function frameOf(payload: Buffer, { version, id, index }: FrameFacts): Buffer {
  const frame = Buffer.alloc(headerBytes + payload.length)
  frame.writeUInt32LE(payload.length, 0)
  frame.writeUInt32LE(version, 8)
  frame.writeBigUInt64LE(id, 12)
  frame.writeUInt32LE(index, 20)
  payload.copy(frame, headerBytes)
  frame.writeUInt32LE(crc32(frame.subarray(8)), 4)
  return frame
}

/** A record as it was read. */
export interface Frame extends FrameFacts {
  /** Where the next one begins. */
  readonly end: number
  /** JSON. */
  payload(): string
}

/** A file read from its start as far as it is asked for: most journals have ended, and say so in their first record. */
export class GrowingRead {
  readonly #kernel: Kernel
  readonly #fd: Fd
  #bytes: Buffer = Buffer.alloc(0)

  constructor(kernel: Kernel, fd: Fd) {
    this.#kernel = kernel
    this.#fd = fd
  }

  /** The file's first `length` bytes at least, unless it is shorter. */
  upTo(length: number): Buffer {
    while (this.#bytes.length < length) {
      const more = Buffer.allocUnsafe(Math.max(65536, this.#bytes.length))
      const read = this.#kernel.pread(this.#fd, more, this.#bytes.length)
      if (read === 0) break
      this.#bytes = Buffer.concat([this.#bytes, more.subarray(0, read)])
    }
    return this.#bytes
  }
}

/** The record at an offset; undefined for anything that is not a whole one. */
export function readFrame(file: GrowingRead, offset: number): Frame | undefined {
  const header = file.upTo(offset + headerBytes)
  if (offset + headerBytes > header.length) return undefined
  const length = header.readUInt32LE(offset)
  const end = offset + headerBytes + length
  if (length === 0 || length > longestRecord) return undefined
  const bytes = file.upTo(end)
  if (end > bytes.length) return undefined
  if (crc32(bytes.subarray(offset + 8, end)) !== bytes.readUInt32LE(offset + 4)) return undefined
  return {
    version: bytes.readUInt32LE(offset + 8),
    id: bytes.readBigUInt64LE(offset + 12),
    index: bytes.readUInt32LE(offset + 20),
    end,
    payload: () => bytes.toString('utf8', offset + headerBytes, end),
  }
}
