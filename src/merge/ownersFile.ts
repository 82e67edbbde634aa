// The file of the owners index: one line that seals the others, one that names the packages, then the rows.
//
// Nobody flushes it: what a power cut leaves does not fit the seal. A file is never changed once it has its name, so a
// kill at any moment leaves an index that fits, or the one before it.

import { crc32 } from 'node:zlib'
import { quietly, withDescriptor } from '../movefile/index.ts'
import {
  type Fd,
  type Kernel,
  type Name,
  nameBytes,
  O_CREAT,
  O_RDONLY,
  O_TRUNC,
  O_WRONLY,
  tryOpenat,
} from '../sys/index.ts'
import type { IndexedPackage, OwnersIndex } from './ownersIndex.ts'
import { readWhole, writeWhole } from './state.ts'
import { ownFile } from './stateFiles.ts'

/** Of the file's layout, byte order included; another one is not read. */
const version = 1
const wordBytes = Uint32Array.BYTES_PER_ELEMENT

/** In the state directory. */
export const indexFile: Name = 'owners'

/** The index in a directory; undefined when there is none that is whole. */
export function readIndex(kernel: Kernel, directory: Fd): OwnersIndex | undefined {
  const fd = tryOpenat(kernel, directory, indexFile, O_RDONLY | ownFile)
  if (fd === undefined) return undefined
  const bytes = withDescriptor(kernel, fd, () => readWhole(kernel, fd))
  const body = bytes.subarray(sealBytes)
  if (bytes.toString('latin1', 0, sealBytes) !== sealOf(body)) return undefined
  const rowsAt = body.indexOf('\n') + 1
  const packages = JSON.parse(body.toString('latin1', 0, rowsAt)) as IndexedPackage[]
  return { packages, rows: wordsOf(body.subarray(rowsAt)) }
}

/** Bytes as words, copied only where they do not lie as words have to. */
function wordsOf(bytes: Buffer): Uint32Array {
  const { buffer, byteOffset } = bytes.byteOffset % wordBytes === 0 ? bytes : Uint8Array.from(bytes)
  return new Uint32Array(buffer, byteOffset, bytes.length / wordBytes)
}

/** Writes an index in place of the one before it; whatever fails leaves that. */
export function writeIndex(kernel: Kernel, directory: Fd, { packages, rows }: OwnersIndex): void {
  const text = JSON.stringify(packages)
  // The rows then begin at a whole word, and are read where they lie.
  const line = nameBytes(`${text.padEnd(text.length + wordBytes - 1 - (text.length % wordBytes))}\n`)
  const body = [line, new Uint8Array(rows.buffer, rows.byteOffset, rows.byteLength)]
  const staged = `${indexFile}.new`
  const fd = kernel.openat(directory, staged, O_WRONLY | O_CREAT | O_TRUNC | ownFile, 0o644)
  try {
    withDescriptor(kernel, fd, () => {
      kernel.fchmod(fd, 0o644)
      for (const bytes of [nameBytes(sealOf(...body)), ...body]) writeWhole(kernel, fd, bytes)
    })
    kernel.renameat(directory, staged, directory, indexFile)
  } catch (error) {
    quietly(() => kernel.unlinkat(directory, staged)) // on a full disk its room is missed
    throw error
  }
}

/** Its length is a whole number of words. */
function sealOf(...body: readonly Uint8Array[]): string {
  const sum = body.reduce((before, bytes) => crc32(bytes, before), 0)
  return `rootmerge owners ${version} ${sum.toString(16).padStart(8, '0')}\n`
}

const sealBytes = sealOf().length
