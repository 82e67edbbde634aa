// The owners index: which packages' records have a name, without reading the records. lmdb keeps it.
//
// It is a cache. Its seal (ownersSeal.ts) says which records it was made from and what its bytes sum up to, and it is
// asked only while both are so: a stale, half-written or damaged index is never opened, only made anew. (lmdb has no
// checksums of its own, and a damaged page can take the process with it: it works in mapped memory.)
//
// A name is a row of twenty bytes: sixteen of its hash, four of the package's number. Rows lie in buckets by the first
// bits of the hash, one key of lmdb a bucket: a million names are then some ten thousand keys, made in a second.
// A file is never changed once it is sealed: what is new is added to a copy. A package that was replaced or removed
// only loses its number, and its rows mean nothing from then on, until there are too many of them.

import { hash } from 'node:crypto'
import { createRequire } from 'node:module'
import { type Place, quietly } from '../movefile/index.ts'
import type { Name } from '../sys/index.ts'

/** Bytes of a row: the hash's, then the number's. */
const rowBytes = 20
const hashBytes = 16

/** What of lmdb is used. */
interface Store {
  getBinary(key: Uint8Array): Buffer | undefined
  putSync(key: Uint8Array, value: Uint8Array): void
  transactionSync(work: () => void): void
  close(): unknown
}

// Loaded when it is first needed: it takes longer to load than all that an index is asked for one package.
const require: NodeJS.Require = createRequire(import.meta.url)

function openStore(place: Place, options: { readonly readOnly?: boolean; readonly mapSize?: number }): Store {
  const { open } = require('lmdb') as { open(path: string, options: object): Store }
  // Flushed by nobody: what a power cut leaves does not fit the seal.
  const plain = { keyEncoding: 'binary', encoding: 'binary', cache: false, noSync: true, overlappingSync: false }
  return open(pathOf(place), { ...plain, maxReaders: 126, ...options })
}

/** Rows that wait to be put into an index. */
export class Rows {
  #bytes: Buffer = Buffer.allocUnsafe(1 << 16)
  count = 0

  get bytes(): number {
    return this.count * rowBytes
  }

  /** Adds a row: a package, by its number, owns a name. */
  add(name: Name, owner: number): void {
    const at = this.count * rowBytes
    if (at + rowBytes > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(this.#bytes.length * 2)
      this.#bytes.copy(grown)
      this.#bytes = grown
    }
    this.#bytes.write(hashOf(name), at, hashBytes, 'latin1')
    this.#bytes.writeUInt32LE(owner, at + hashBytes)
    this.count++
  }

  /** The rows of each bucket that has any, in the order of the buckets. */
  *buckets(bits: number): Generator<[number: number, rows: Buffer]> {
    const ends = new Uint32Array((1 << bits) + 1)
    const bucketAt = (row: number) => bucketOf(this.#bytes.readUInt32BE(row * rowBytes), bits)
    for (let row = 0; row < this.count; row++) ends[bucketAt(row)] = (ends[bucketAt(row)] ?? 0) + 1
    let sum = 0
    for (let bucket = 0; bucket < ends.length; bucket++) {
      const size = ends[bucket] ?? 0
      ends[bucket] = sum // for now where the bucket starts; each row moves it on
      sum += size
    }
    const sorted = Buffer.allocUnsafe(this.count * rowBytes)
    for (let row = 0; row < this.count; row++) {
      const bucket = bucketAt(row)
      const place = ends[bucket] ?? 0
      this.#bytes.copy(sorted, place * rowBytes, row * rowBytes, (row + 1) * rowBytes)
      ends[bucket] = place + 1
    }
    for (let bucket = 0, start = 0; bucket < 1 << bits; bucket++) {
      const end = (ends[bucket] ?? 0) * rowBytes
      if (end > start) yield [bucket, sorted.subarray(start, end)]
      start = end
    }
  }
}

/** The hash as text of one byte per character: long names need no long keys, and nobody finds two names for one. */
function hashOf(name: Name): string {
  return hash('sha256', name, 'binary')
}

function bucketOf(start: number, bits: number): number {
  return bits === 0 ? 0 : start >>> (32 - bits)
}

function keyOf(bucket: number): Buffer {
  const key = Buffer.allocUnsafe(4)
  key.writeUInt32BE(bucket)
  return key
}

/** lmdb opens by path: this one leads through the open directory, wherever its own names lead by now. */
function pathOf({ directory, name }: Place): Name {
  return `/proc/self/fd/${directory}/${name}`
}

/**
 * Adds rows to an index in a file that nobody else has open, which is made when it is missing.
 *
 * @param bytes  of the file as it is
 */
export function addRows(place: Place, rows: Rows, bits: number, bytes: number): void {
  const mapSize = 2 * bytes + 8 * rows.count * rowBytes + (64 << 20) // of address space, not of memory
  const store = openStore(place, { mapSize })
  try {
    store.transactionSync(() => {
      for (const [bucket, added] of rows.buckets(bits)) {
        const key = keyOf(bucket)
        const before = bytes === 0 ? undefined : store.getBinary(key)
        store.putSync(key, before === undefined ? added : Buffer.concat([before, added]))
      }
    })
  } finally {
    quietly(() => void store.close())
  }
}

/** An index that is open for questions. */
export class OwnersIndex {
  readonly #store: Store
  readonly #bits: number
  /** Used again for each question. */
  readonly #wanted: Buffer = Buffer.alloc(hashBytes)
  readonly #key: Buffer = Buffer.alloc(4)

  /** @param place  of a file whose seal was checked */
  constructor(place: Place, bits: number) {
    this.#store = openStore(place, { readOnly: true })
    this.#bits = bits
  }

  /** The numbers of a name's owners, those of packages that are gone among them. */
  numbersOf(name: Name): number[] {
    const wanted = this.#wanted
    wanted.write(hashOf(name), 0, hashBytes, 'latin1')
    this.#key.writeUInt32BE(bucketOf(wanted.readUInt32BE(0), this.#bits))
    const rows = this.#store.getBinary(this.#key)
    const numbers: number[] = []
    if (rows === undefined) return numbers
    for (let at = rows.indexOf(wanted); at >= 0; at = rows.indexOf(wanted, at + 1)) {
      if (at % rowBytes === 0) numbers.push(rows.readUInt32LE(at + hashBytes))
    }
    return numbers
  }

  close(): void {
    quietly(() => void this.#store.close())
  }
}
