// Reads tar archives: v7, ustar, pax and GNU, whoever wrote them. What tar-stream decodes is in tarHeader.ts.
//
// A member is its header block and what stands before it: pax records, GNU long names. The payload follows, padded to
// a block. Two blocks of zeros end the archive.

import type { Name } from '../../sys/index.ts'
import { type Accounts, noAccounts } from '../accounts.ts'
import { modeWith } from './aclText.ts'
import type { ByteSource } from './byteSource.ts'
import type { Member } from './member.ts'
import { PaxFacts, type PaxRecords, parsePax } from './pax.ts'
import { paxXattrs } from './paxAttributes.ts'
import { isPossible, readOldSparse, readPaxSparse, type SparseMap } from './sparse.ts'
import {
  blockBytes,
  HeaderDecoder,
  isZero,
  numbersOf,
  paddingOf,
  sizeOf,
  sumOfHeader,
  type TarHeader,
} from './tarHeader.ts'

/** How a tar is read. */
export interface TarReading {
  /** Bytes of extended headers that one member may have. */
  readonly headerBytes: number
  /** Whether another tar that follows the end of the first is read too; it is refused otherwise. */
  readonly concatenated?: boolean
  /** Whether the blocks of zeros at the end may be missing, as between the parts of an Alpine package. */
  readonly endless?: boolean
  /** Who a name in an ACL is; nobody but root by default. */
  readonly accounts?: Accounts
}

/** What a type flag means; the flags that a header has for what follows it are not among them. */
const types: Readonly<Record<string, Member['type']>> = {
  '\0': 'file',
  '0': 'file',
  '1': 'link',
  '2': 'symlink',
  '3': 'character',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
  '7': 'file',
  D: 'directory', // GNU's incremental backups: its payload is a list of names
  S: 'file',
}

/** Reads the members of a tar to its end. @throws {CorruptImageError} with the offset, and the entry where it is known */
export function readTar(source: ByteSource, reading: TarReading): Generator<Member> {
  return new TarReader(source, reading).members()
}

/** What tar(1) makes of nothing: a record of 20 blocks. */
const emptyArchiveBytes = 20 * blockBytes

class TarReader {
  readonly #source: ByteSource
  readonly #reading: TarReading
  readonly #decoder = new HeaderDecoder()
  #global: PaxRecords = []
  #local: PaxRecords = []
  /** Bytes of what has come before the next member's header. */
  #headerBytes = 0
  /** Whether anything but zeros has come. */
  #hasBegun = false

  constructor(source: ByteSource, reading: TarReading) {
    this.#source = source
    this.#reading = reading
  }

  *members(): Generator<Member> {
    for (let block = this.#block(); block !== undefined; block = this.#block()) {
      const type = String.fromCharCode(block[156] as number)
      if (!this.#takeExtension(type, block)) yield* this.#member(type, block)
    }
    this.#source.drain()
  }

  /** The next header block; undefined at the end. */
  #block(): Buffer | undefined {
    const source = this.#source
    if (source.peek(1).length === 0) {
      if (this.#reading.endless === true) return undefined
      throw source.cutShort()
    }
    const block = source.take(blockBytes)
    if (isZero(block)) return this.#blockAfterEnd()
    this.#hasBegun = true
    return block
  }

  /**
   * After the first block of zeros: a second one, and then nothing that looks like an archive. Zeros alone are an empty
   * archive, but more of them than tar(1) writes are what a crash leaves of a file, and would replace a package by nothing.
   */
  #blockAfterEnd(): Buffer | undefined {
    const source = this.#source
    const { endless, concatenated } = this.#reading
    if (source.peek(blockBytes).length < blockBytes && !endless) throw source.cutShort()
    let zeros = blockBytes
    for (let next = source.peek(blockBytes); next.length === blockBytes; next = source.peek(blockBytes)) {
      if (sumOfHeader(next) !== 0) {
        if (concatenated || endless) return source.take(blockBytes)
        throw source.corrupt('another archive follows the end of the first', {})
      }
      if (!isZero(next)) return undefined // anything may follow an archive
      source.skip(blockBytes)
      zeros += blockBytes
      if (zeros > emptyArchiveBytes && !this.#hasBegun)
        throw source.corrupt('there is nothing but zeros', { offset: 0 })
    }
    return undefined
  }

  /** Takes what says more of the next member; false when the block is a member itself. */
  #takeExtension(type: string, block: Buffer): boolean {
    if (!'xXgLKV'.includes(type)) return false
    const start = this.#source.offset - blockBytes
    const size = sizeOf(block)
    this.#headerBytes += size
    if (!(this.#headerBytes <= this.#reading.headerBytes))
      throw this.#source.corrupt(`a header of more than ${this.#reading.headerBytes} bytes`, { offset: start })
    const sum = this.#sumOf(block, start)
    const payload = this.#source.take(size + paddingOf(size)).subarray(0, size)
    if (type === 'L' || type === 'K') this.#decoder.takeLongName(block, sum, payload)
    else if (type !== 'V') this.#takePax(type, payload, start)
    return true
  }

  #takePax(type: string, bytes: Buffer, start: number): void {
    const records = parsePax(bytes)
    if (records === undefined) throw this.#source.corrupt('an extended header that is none', { offset: start })
    if (type !== 'g') this.#local = records
    else this.#global = [...this.#global, ...records]
    if (bytes.length > this.#reading.headerBytes || this.#global.length > 10_000)
      throw this.#source.corrupt('too many global headers', { offset: start })
  }

  *#member(type: string, block: Buffer): Generator<Member> {
    const start = this.#source.offset - blockBytes
    const header = this.#decode(block, start)
    const pax = this.#paxFacts()
    const description = new Description({ header, block, pax, kind: types[type] })
    const fail = (reason: string) => this.#source.corrupt(reason, { offset: start, entry: description.path })
    this.#local = []
    this.#headerBytes = 0
    const { kind } = description
    if (kind === undefined) throw fail(`a member of type '${type}', which no file can be`)
    const problem = description.problem
    if (problem !== undefined) throw fail(`its ${problem} is impossible`)
    const xattrs = paxXattrs(pax, this.#reading.accounts ?? noAccounts)
    if (typeof xattrs === 'string') throw fail(xattrs)
    const stored = description.storedBytes(type)
    const old = type === 'S' ? readOldSparse(block, this.#source, this.#reading.headerBytes) : undefined
    const payload = this.#source.within(stored)
    const map = old ?? readPaxSparse(pax, payload, this.#reading.headerBytes)
    if (map !== undefined && !isPossible(map, stored)) throw fail('its map of holes is impossible')
    yield description.member(xattrs, map, kind === 'file' || stored > 0 ? payload : undefined)
    payload.drain()
    this.#source.skip(paddingOf(stored))
  }

  #paxFacts(): PaxFacts {
    if (this.#global.length > 0) return new PaxFacts([...this.#global, ...this.#local])
    return this.#local.length > 0 ? new PaxFacts(this.#local) : noPax
  }

  #decode(block: Buffer, offset: number): TarHeader {
    const type = String.fromCharCode(block[156] as number)
    // Another type is never asked of tar-stream, which says nothing at all of a type N.
    const decode = (sum?: number) => (types[type] === undefined ? undefined : this.#decoder.decode(block, sum))
    const header = decode() ?? decode(this.#sumOf(block, offset))
    if (header !== undefined) return header
    const [entry = ''] = block.toString('latin1', 0, 100).split('\0', 1)
    throw this.#source.corrupt(`a member of type '${type}', which no file can be`, { offset, entry })
  }

  /** @throws {CorruptImageError} for a block that is no header */
  #sumOf(block: Buffer, offset: number): number {
    const sum = sumOfHeader(block)
    if (sum === 0) throw this.#source.corrupt('no header of a tar archive is here (its checksum is wrong)', { offset })
    return sum
  }
}

/** One member by its header, and the pax records that override it. */
class Description {
  readonly path: Name
  readonly kind: Member['type'] | undefined
  readonly #header: TarHeader
  readonly #block: Buffer
  readonly #pax: PaxFacts
  readonly #numbers: ReturnType<typeof numbersOf>
  readonly #mtimeNs: bigint | null

  constructor(parts: { header: TarHeader; block: Buffer; pax: PaxFacts; kind: Member['type'] | undefined }) {
    const { header, block, pax, kind } = parts
    this.#header = header
    this.#block = block
    this.#pax = pax
    this.path = pax.text('GNU.sparse.name') ?? pax.text('path') ?? header.name
    // Before POSIX a slash at the end was all that told a directory.
    this.kind = kind === 'file' && this.path.endsWith('/') ? 'directory' : kind
    this.#numbers = numbersOf(block)
    const mtimeNs = pax.time('mtime')
    this.#mtimeNs = mtimeNs === undefined ? nanoseconds(this.#numbers.mtime) : mtimeNs
  }

  /** Which part of it cannot be; undefined when all can. */
  get problem(): string | undefined {
    const target = this.#target ?? ''
    if (this.path === '' || this.path.includes('\0')) return 'name'
    if (target.includes('\0') || (this.#isLink && target === '')) return 'target'
    if (!(this.#storedSize >= 0)) return 'size'
    if (!isId(this.#uid)) return 'owner'
    if (!isId(this.#gid)) return 'group'
    if (!(this.#numbers.mode >= 0)) return 'mode'
    if (this.#mtimeNs === null) return 'time'
    return this.#isDevice && !(isId(this.#numbers.major) && isId(this.#numbers.minor)) ? 'device' : undefined
  }

  /**
   * How many bytes of payload follow the header.
   *
   * The size of a directory, a symlink, a fifo or a device says nothing (POSIX), and GNU's tar writes that of a hard link
   * without its bytes; only pax archives may repeat them.
   */
  storedBytes(type: string): number {
    if (type === 'D') return this.#storedSize
    if (this.kind === 'link') return this.#pax.records.length > 0 ? this.#storedSize : 0
    return this.kind === 'file' ? this.#storedSize : 0
  }

  /** The member; what is written out here is made for every one of an archive. */
  member(xattrs: Member['xattrs'], map: SparseMap | undefined, payload: ByteSource | undefined): Member {
    const { mode, major, minor } = this.#numbers
    const member: { -readonly [Field in keyof Member]: Member[Field] } = {
      path: this.path,
      type: this.kind ?? 'file',
      uid: this.#uid,
      gid: this.#gid,
      mode: modeWith(mode & 0o7777, xattrs),
      mtimeNs: this.#mtimeNs ?? 0n,
      size: this.kind === 'file' ? (map?.size ?? this.#storedSize) : 0,
      xattrs,
    }
    const userName = this.#pax.text('uname') ?? this.#header.uname
    const groupName = this.#pax.text('gname') ?? this.#header.gname
    if (userName) member.userName = userName
    if (groupName) member.groupName = groupName
    if (this.#isLink && this.#target !== undefined) member.target = this.#target
    if (this.#isDevice) member.rdev = { major, minor }
    if (map !== undefined) member.extents = map.extents
    if (payload !== undefined) member.payload = payload
    // What Alpine's packages promise of each file.
    const sha1 = this.kind === 'file' ? this.#pax.text('APK-TOOLS.checksum.SHA1') : undefined
    if (sha1 !== undefined) member.digest = { algorithm: 'sha1', value: sha1.toLowerCase() }
    return member
  }

  get #isLink(): boolean {
    return this.kind === 'link' || this.kind === 'symlink'
  }

  get #isDevice(): boolean {
    return this.kind === 'character' || this.kind === 'block'
  }

  get #target(): Name | undefined {
    return this.#pax.text('linkpath') ?? this.#header.linkname ?? undefined
  }

  get #storedSize(): number {
    return this.#pax.number('size') ?? sizeOf(this.#block)
  }

  get #uid(): number {
    return this.#pax.number('uid') ?? this.#numbers.uid
  }

  get #gid(): number {
    return this.#pax.number('gid') ?? this.#numbers.gid
  }
}

const noPax = new PaxFacts([])

function isId(id: number): boolean {
  return Number.isInteger(id) && id >= 0 && id < 0xffffffff
}

/** Whole seconds as nanoseconds; null when they are no number. */
function nanoseconds(seconds: number): bigint | null {
  return Number.isNaN(seconds) ? null : BigInt(seconds) * 1_000_000_000n
}
