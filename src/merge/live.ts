// What is at a name now, compared with what an image brings or a record says.

import { createHash, type Hash, hash as sumOf } from 'node:crypto'
import { type MetadataPolicy, type Place, readAttributes, withDescriptor, xattrsOf } from '../movefile/index.ts'
import {
  type Fd,
  isSyscallError,
  type Kernel,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  type Stat,
} from '../sys/index.ts'
import type { Live } from './decide.ts'
import type { EntryFacts, Xattrs } from './entry.ts'
import { hasTime } from './times.ts'

const windowBytes = 256 * 1024
/** Below this a file comes in one read, with room that shows when it is longer. */
const smallBytes = 64 * 1024

/** How an entry's object and a live one compare, and what was learned of the entry on the way. */
export interface Comparison {
  readonly live: Live
  /** Of the entry's payload; absent when the comparison did not read all of it. */
  readonly sha256?: string
  /** The live object's attributes; absent when the contents already differed. */
  readonly xattrs?: Xattrs
}

/** What of an entry is compared; a stat of its object has all of it, but for a symlink's target. */
export type Comparable = Pick<EntryFacts, 'type' | 'uid' | 'gid' | 'mode' | 'mtimeNs' | 'size' | 'target' | 'rdev'>

/** Compares objects, with two buffers that are used again and again. */
export class Comparer {
  readonly #kernel: Kernel
  readonly #policy: MetadataPolicy
  readonly #check: () => void
  readonly #left = Buffer.alloc(windowBytes)
  readonly #right = Buffer.alloc(windowBytes)

  /** @param check  called between the reads of a large file; throws to end */
  constructor(kernel: Kernel, policy: MetadataPolicy, check: () => void) {
    this.#kernel = kernel
    this.#policy = policy
    this.#check = check
  }

  /** Compares an entry at `source` with the live object at `target`. */
  compare(entry: Comparable, source: Place, target: Place, stat: Stat): Comparison {
    if (entry.type !== stat.type) return { live: 'different' }
    if (entry.type === 'file') return this.#compareFiles(entry, source, target, stat)
    if (!this.#isSameNode(entry, target, stat)) return { live: 'different' }
    const xattrs = this.attributesAt(target)
    const isSame = hasMetadata(entry, stat) && sameXattrs(this.attributesAt(source), xattrs)
    return { live: isSame ? 'same' : 'sameContent', xattrs }
  }

  #isSameNode(entry: Comparable, target: Place, stat: Stat): boolean {
    if (entry.type === 'symlink') return this.#kernel.readlinkat(target.directory, target.name) === entry.target
    if (entry.rdev === undefined) return true
    return stat.rdev.major === entry.rdev.major && stat.rdev.minor === entry.rdev.minor
  }

  /** Each of the two is opened once, for its bytes and its attributes. */
  #compareFiles(entry: Comparable, source: Place, target: Place, stat: Stat): Comparison {
    if (entry.size !== stat.size) return { live: 'different' }
    const kernel = this.#kernel
    return withOpen(kernel, source, readFlags, (left) =>
      withOpen(kernel, target, readFlags, (right) => {
        const contents = this.#compareBytes(left, right, entry.size)
        if (!contents.isSame) return { live: 'different' }
        const xattrs = xattrsOf(kernel, right, 'file', this.#policy)
        const isSame = hasMetadata(entry, stat) && sameXattrs(xattrsOf(kernel, left, 'file', this.#policy), xattrs)
        return { live: isSame ? 'same' : 'sameContent', xattrs, sha256: contents.sha256 }
      }),
    )
  }

  #compareBytes(left: Fd, right: Fd, size: number): { isSame: true; sha256: string } | { isSame: false } {
    if (size < smallBytes) {
      const read = this.#kernel.pread(left, this.#left, 0)
      const isSame = read === size && this.#kernel.pread(right, this.#right, 0) === size
      const bytes = this.#left.subarray(0, size)
      // One that is not as long as it says goes the long way.
      if (isSame)
        return bytes.equals(this.#right.subarray(0, size)) ? { isSame, sha256: sha256Of(bytes) } : { isSame: false }
    }
    const hash = createHash('sha256')
    for (let offset = 0; ; ) {
      this.#check()
      const read = readFully(this.#kernel, left, this.#left, offset)
      const other = readFully(this.#kernel, right, this.#right, offset)
      if (read !== other || !this.#left.subarray(0, read).equals(this.#right.subarray(0, read)))
        return { isSame: false }
      if (read === 0) return { isSame: true, sha256: hash.digest('hex') }
      hash.update(this.#left.subarray(0, read))
      offset += read
    }
  }

  /** The digest of a regular file, in hexadecimal. */
  digest(place: Place, algorithm = 'sha256'): string {
    return withOpen(this.#kernel, place, readFlags, (fd) => this.digestOf(fd, algorithm))
  }

  /** The digest of an open regular file, in hexadecimal. */
  digestOf(fd: Fd, algorithm = 'sha256'): string {
    const hash: Hash = createHash(algorithm)
    for (let offset = 0; ; ) {
      this.#check()
      const read = readFully(this.#kernel, fd, this.#left, offset)
      if (read === 0) return hash.digest('hex')
      hash.update(this.#left.subarray(0, read))
      offset += read
    }
  }

  /**
   * The attributes, of any object, that the policy keeps.
   *
   * Most have none, which one call says, of the name: opening first would make it three. So an object that is swapped away and
   * back within that call counts as one without attributes: nothing is promised of a name that changes while it is compared.
   *
   * Any object may be opened with O_PATH, but is then read through /proc: where that is missing, as in the roots that
   * installers make, files and directories are opened for reading.
   */
  attributesAt(place: Place): Xattrs {
    if (this.#kernel.listXattrsAt(place.directory, place.name)?.length === 0) return []
    try {
      return this.#attributesBy(O_PATH, place)
    } catch (error) {
      if (!isSyscallError(error, 'ENOENT') || !this.#isReadable(place)) throw error
      return this.#attributesBy(O_RDONLY | O_NONBLOCK, place)
    }
  }

  /** Opening a device would do something. */
  #isReadable({ directory, name }: Place): boolean {
    const type = this.#kernel.findat(directory, name)?.type
    return type === 'file' || type === 'directory'
  }

  #attributesBy(flags: number, place: Place): Xattrs {
    const kernel = this.#kernel
    return withOpen(
      kernel,
      place,
      flags | O_NOFOLLOW,
      (fd) => readAttributes(kernel, fd, kernel.fstat(fd), this.#policy).xattrs,
    )
  }
}

function sha256Of(bytes: Buffer): string {
  return sumOf('sha256', bytes, 'hex')
}

/** O_NONBLOCK: the name may have become a fifo since it was looked at. */
const readFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK

function withOpen<T>(kernel: Kernel, place: Place, flags: number, body: (fd: Fd) => T): T {
  return withDescriptor(kernel, kernel.openat(place.directory, place.name, flags), body)
}

/** Fills the buffer unless the file ends first: two files are compared window by window, whatever read(2) returns. */
function readFully(kernel: Kernel, fd: Fd, buffer: Buffer, offset: number): number {
  let length = 0
  while (length < buffer.length) {
    const read = kernel.pread(fd, length === 0 ? buffer : buffer.subarray(length), offset + length)
    if (read === 0) break
    length += read
  }
  return length
}

/** Whether an object has an entry's owner, mode and (but for directories, whose time moves) mtime. */
export function hasMetadata(entry: Comparable, stat: Stat): boolean {
  return (
    stat.uid === entry.uid &&
    stat.gid === entry.gid &&
    (entry.type === 'symlink' || stat.mode === entry.mode) &&
    (entry.type === 'directory' || hasTime(stat, entry.mtimeNs))
  )
}

/** Whether two objects have the same attributes with the same values. */
export function sameXattrs(left: Xattrs, right: Xattrs): boolean {
  if (left.isPartial || right.isPartial || left.length !== right.length) return false
  const values = new Map(right.map(({ name, value }) => [name, value]))
  return left.every(({ name, value }) => values.get(name)?.equals(value) ?? false)
}
