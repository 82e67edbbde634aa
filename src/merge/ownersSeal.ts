// The seal of the owners index: which file it is, what its bytes sum up to, and which records it was made from.

import { crc32 } from 'node:zlib'
import { withDescriptor } from '../movefile/index.ts'
import {
  type Fd,
  joinName,
  type Kernel,
  type Name,
  nameBytes,
  O_CREAT,
  O_NOFOLLOW,
  O_RDONLY,
  O_TRUNC,
  O_WRONLY,
  type Stat,
  tryOpenat,
} from '../sys/index.ts'
import { chunksOf, readWhole, type State, writeWhole } from './state.ts'

/** Of the seal's own text and of the index's file; another one is not read. */
const sealVersion = 1

/** A package in the index; its number is its place in the seal. */
export interface SealedPackage {
  readonly name: string
  /** Of the record that its rows were made from. */
  readonly stamp: string
  readonly rows: number
}

/** What a seal says. */
export interface Seal {
  /** The index's file, beside the seal. */
  readonly file: string
  /** crc32 of all its bytes, and how many they are. */
  readonly sum: number
  readonly bytes: number
  /** How many bits of a hash choose the bucket. */
  readonly bits: number
  /** Rows in the file, those of packages that are gone among them. */
  readonly rows: number
  /** By number; null where the package is gone. */
  readonly packages: readonly (SealedPackage | null)[]
}

/**
 * What tells a record from every other that stood in its place.
 *
 * A record is staged beside the one that it replaces, so their inodes differ; one that was restored by hand differs in
 * its time. This says more than a transaction's number, and stays true when a transaction is undone.
 */
export function stampOf({ ino, mtimeNs, size }: Stat): string {
  return `${ino}:${mtimeNs}:${size}`
}

/** The seal in a directory; undefined when there is none that is whole. */
export function readSeal(kernel: Kernel, directory: Fd): Seal | undefined {
  const fd = tryOpenat(kernel, directory, 'seal', O_RDONLY | O_NOFOLLOW)
  if (fd === undefined) return undefined
  const text = withDescriptor(kernel, fd, () => readWhole(kernel, fd)).toString('latin1')
  const end = text.indexOf('\n')
  const body = text.slice(end + 1)
  return end >= 0 && text.slice(0, end) === headOf(body) ? (JSON.parse(body) as Seal) : undefined
}

/** Seals a directory's index in place of the seal before it. */
export function writeSeal(kernel: Kernel, directory: Fd, seal: Seal): void {
  const body = JSON.stringify(seal)
  const fd = kernel.openat(directory, 'seal.new', O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0o644)
  withDescriptor(kernel, fd, () => {
    kernel.fchmod(fd, 0o644)
    writeWhole(kernel, fd, nameBytes(`${headOf(body)}\n${body}`))
  })
  kernel.renameat(directory, 'seal.new', directory, 'seal')
}

function headOf(body: string): string {
  return `rootmerge owners ${sealVersion} ${crc32(nameBytes(body)).toString(16)}`
}

/**
 * Sums up an index's file; undefined when it is missing.
 *
 * @param onChunk  is given each chunk of its bytes
 */
export function sumUp(
  kernel: Kernel,
  directory: Fd,
  file: string,
  onChunk: (chunk: Buffer) => void = () => {},
): Pick<Seal, 'sum' | 'bytes'> | undefined {
  const fd = tryOpenat(kernel, directory, file, O_RDONLY | O_NOFOLLOW)
  if (fd === undefined) return undefined
  return withDescriptor(kernel, fd, () => {
    let [sum, bytes] = [0, 0]
    for (const chunk of chunksOf(kernel, fd)) {
      sum = crc32(chunk, sum)
      bytes += chunk.length
      onChunk(chunk)
    }
    return { sum, bytes }
  })
}

/** Whether a seal fits the bytes that it seals. */
export function fits(seal: Seal, found: Pick<Seal, 'sum' | 'bytes'> | undefined): boolean {
  return found !== undefined && found.sum === seal.sum && found.bytes === seal.bytes
}

/** Where a root's index is, relative to the root. */
export function indexDirectory(state: State): Name {
  return joinName(state.name, 'index')
}

/** Whether an index was made from the very records that are there now. */
export function isCurrent({ packages }: Seal, state: State): boolean {
  const stats = state.recordStats()
  const sealed = packages.filter((each) => each !== null)
  return (
    sealed.length === stats.size &&
    sealed.every(({ name, stamp }) => {
      const stat = stats.get(name)
      return stat !== undefined && stampOf(stat) === stamp
    })
  )
}
