// Sparse files in tar: four ways to write down where the data of a file belong.

import type { Extent } from '../../filecopy/index.ts'
import type { ByteSource } from './byteSource.ts'
import type { PaxFacts } from './pax.ts'
import { readNumber } from './tarHeader.ts'

/** A file with holes: its whole size, and where its stored bytes belong. */
export interface SparseMap {
  readonly size: number
  readonly extents: readonly Extent[]
  /** Bytes of the payload that the map itself took (format 1.0). */
  readonly mapBytes: number
}

/** A number of each piece, offset and length by turns. */
type Numbers = readonly number[]

const blockBytes = 512

/** GNU's old form: four pieces in the header (type S), the others in blocks of 21 behind it. */
export function readOldSparse(block: Buffer, source: ByteSource, mostBytes: number): SparseMap {
  const numbers = pieces(block, 386, 4)
  let isExtended = block[482] !== 0
  for (let read = 0; isExtended; ) {
    read += blockBytes
    if (read > mostBytes) throw source.corrupt('the map of holes is too long')
    const extension = source.take(blockBytes)
    for (const number of pieces(extension, 0, 21)) numbers.push(number)
    isExtended = extension[504] !== 0
  }
  return { size: readNumber(block, 483, 12), extents: extentsOf(numbers), mapBytes: 0 }
}

function pieces(block: Buffer, start: number, count: number): number[] {
  const numbers: number[] = []
  for (let piece = 0; piece < count; piece++) {
    const at = start + piece * 24
    if (block[at] === 0 || block[at] === 0x20) break // an unused piece is empty
    numbers.push(readNumber(block, at, 12), readNumber(block, at + 12, 12))
  }
  return numbers
}

/**
 * The map of a sparse file in pax: format 1.0 begins the payload with it, 0.1 has it in one record, 0.0 in many.
 *
 * @returns undefined for a file that is not sparse
 */
export function readPaxSparse(pax: PaxFacts, payload: ByteSource, mostBytes: number): SparseMap | undefined {
  const size = pax.number('GNU.sparse.realsize') ?? pax.number('GNU.sparse.size')
  if (size === undefined) return undefined
  const map = pax.text('GNU.sparse.map')
  if (map !== undefined) return { size, extents: extentsOf(map.split(',').map(wholeNumber)), mapBytes: 0 }
  if (pax.text('GNU.sparse.major') !== undefined) return readMap(payload, size, mostBytes)
  const numbers = pax.records
    .filter(([key]) => key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes')
    .map(([, value]) => wholeNumber(value.toString('latin1')))
  return { size, extents: extentsOf(numbers), mapBytes: 0 }
}

/** Lines of decimal numbers: how many pieces, then each one's offset and length; padded to a block. */
function readMap(payload: ByteSource, size: number, mostBytes: number): SparseMap {
  const numbers: number[] = []
  let text = ''
  let mapBytes = 0
  let wanted = Number.POSITIVE_INFINITY
  while (numbers.length < wanted) {
    mapBytes += blockBytes
    if (mapBytes > mostBytes) throw payload.corrupt('the map of holes is too long')
    const lines = (text + payload.take(blockBytes).toString('latin1')).split('\n')
    text = lines.pop() ?? ''
    for (const line of lines) numbers.push(wholeNumber(line))
    if (numbers.length > 0) wanted = 1 + 2 * (numbers[0] as number)
    if (Number.isNaN(wanted)) break
  }
  return { size, extents: extentsOf(numbers.slice(1, wanted)), mapBytes }
}

function wholeNumber(text: string): number {
  return /^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN
}

/** Pieces as extents; empty ones, which only say where the file ends, are left out. */
function extentsOf(numbers: Numbers): Extent[] {
  const extents: Extent[] = []
  for (let index = 0; index < numbers.length; index += 2) {
    const start = numbers[index] as number
    const end = start + (numbers[index + 1] ?? Number.NaN)
    if (start !== end) extents.push({ start, end })
  }
  return extents
}

/** Whether a map can be: its extents in order, without overlap, inside the size, and as many bytes as are stored. */
export function isPossible({ size, extents, mapBytes }: SparseMap, storedBytes: number): boolean {
  let position = 0
  let bytes = mapBytes
  for (const { start, end } of extents) {
    if (!(start >= position && end > start && Number.isSafeInteger(end))) return false
    bytes += end - start
    position = end
  }
  return Number.isSafeInteger(size) && position <= size && bytes === storedBytes
}
