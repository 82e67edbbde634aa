// The journal: what a transaction is about to do, written before it does it.
//
// One file, preallocated and used again and again, so that writing a marker cannot meet a full disk. A transaction's
// records follow each other from the file's start (`journalFrames.ts` has their form); reading ends at the first that
// does not fit: an older transaction's remains, or a write that was cut. The last marker decides what recovery does.

import { quietly, withDescriptor } from '../movefile/index.ts'
import { type Fd, isSyscallError, type Kernel, type Name, O_CREAT, O_RDONLY, O_RDWR } from '../sys/index.ts'
import { RecoveryPendingError } from './errors.ts'
import { frameOf, GrowingRead, payloadOf, readFrame } from './journalFrames.ts'
import { keptMembers, Members, type MembersRecord } from './members.ts'
import { ownFile } from './stateFiles.ts'
import { readStep, type StepRecord } from './stepRecords.ts'
import type { Step } from './steps.ts'
import type { JournaledImage, JournaledTakings, Remainder, Taking } from './takings.ts'

/** Of the framing and of the records' meaning. An unknown one is refused, never guessed. */
export const journalVersion = 1
/** Bytes free behind what a transaction has announced, for its markers. */
const markerRoom = 16384
/** Records that wait to be written, at most. */
const mostPendingBytes = 1024 * 1024

/** Where a transaction stands. */
export type Marker = 'begin' | 'commit' | 'abort' | 'final' | 'end'

/** A directory in which staging names will be made; steps name it by its number. */
export interface JournaledDirectory {
  readonly number: number
  /** Without symlinks, relative to the root. */
  readonly name: Name
  readonly identity: string
  /** Its mtime before the transaction, in nanoseconds, which undo puts back. */
  readonly mtimeNs: string
  /** The mount point that it lies on, '' for the root's own file system; and when the top of what is mounted there was made. */
  readonly mount: Name
  readonly mountBornNs?: string
}

/** What a transaction says of itself when it begins. */
export interface Beginning {
  readonly packages: readonly string[]
  /** When, in nanoseconds: whatever it makes is younger. */
  readonly timeNs: string
  /** Which run of the kernel: what was not flushed is whole only as long as that lasts. */
  readonly bootId: string
  /** Whether everything is flushed before the markers that promise it. */
  readonly isFlushed: boolean
}

/** What stands in the journal, one object each. */
export type JournalRecord =
  | ({ readonly kind: 'begin' } & Beginning)
  | { readonly kind: Exclude<Marker, 'begin'> }
  | ({ readonly kind: 'directory' } & JournaledDirectory)
  | StepRecord
  | MembersRecord
  | ({ readonly kind: 'image' } & JournaledImage)
  | ({ readonly kind: 'taking' } & Taking)
  | ({ readonly kind: 'remainder' } & Remainder)

/** A transaction as the journal tells it. */
export interface JournalState {
  /** Sixteen hexadecimal digits, part of every staging name of this transaction. */
  readonly id: string
  readonly marker: Marker
  readonly beginning: Beginning
  readonly directories: readonly JournaledDirectory[]
  readonly steps: readonly Step[]
  readonly members: Members
  /** What was taken out of images, or is to be removed from them. */
  readonly takings: JournaledTakings
}

/** An open journal. */
export class Journal {
  readonly #kernel: Kernel
  readonly #fd: Fd
  readonly #durable: boolean
  #id = 0n
  #index = 0
  #offset = 0
  /** Bytes that the file owns; learned when it is first needed. */
  #allocated: number | undefined
  #pending: Buffer[] = []
  #pendingBytes = 0
  /** Where the next record goes, when some were written that no flush has made count yet. */
  #ahead: { readonly index: number; readonly offset: number } | undefined

  /** @param durable  false leaves out every flush: the journal then survives a kill, but no power cut */
  constructor(kernel: Kernel, stateDirectory: Fd, durable: boolean) {
    this.#kernel = kernel
    this.#durable = durable
    this.#fd = kernel.openat(stateDirectory, 'journal', O_RDWR | O_CREAT | ownFile, 0o644)
  }

  close(): void {
    quietly(() => this.#kernel.close(this.#fd)) // every marker was flushed by itself
  }

  /**
   * Begins a transaction in place of the last one, which must have ended.
   *
   * @param expectedBytes  of the records to come, so that their room is made while a full disk can still be answered
   */
  begin(id: string, beginning: Beginning, expectedBytes: number): void {
    this.#id = BigInt(`0x${id}`)
    this.#index = 0
    this.#offset = 0
    const isNew = this.#kernel.fstat(this.#fd).size === 0
    this.#allocate(expectedBytes, markerRoom)
    this.append({ kind: 'begin', ...beginning })
    this.flush()
    // The name of a new file, and those of the directories above it, are not durable by its own fsync.
    if (isNew && this.#durable) this.#kernel.syncfs(this.#fd)
  }

  /** Adds a record, on its way to the disk after the next flush or marker; where many wait, they are written before. */
  append(record: JournalRecord): void {
    this.appendPayload(payloadOf(record))
  }

  /** Adds a record that was made elsewhere. */
  appendPayload(payload: Buffer): void {
    this.#pending.push(payload)
    this.#pendingBytes += payload.length
    if (this.#pendingBytes >= mostPendingBytes) this.#ahead = this.#written(markerRoom)
  }

  /**
   * Writes what was added and waits until it is durable.
   *
   * After a failure it counts as never added: what comes next is written over whatever reached the file.
   */
  flush(room: number = markerRoom): void {
    const { index, offset } = this.#written(room)
    if (this.#durable) this.#kernel.fdatasync(this.#fd)
    this.#index = index
    this.#offset = offset
  }

  /** Forgets what was added since the last flush. */
  forgetUnflushed(): void {
    this.#pending = []
    this.#pendingBytes = 0
    this.#ahead = undefined
  }

  /**
   * Writes what was added, and answers where the next record goes. Only a flush makes it count.
   *
   * @param room  bytes that have to be free behind it
   */
  #written(room: number): { readonly index: number; readonly offset: number } {
    const { index, offset } = this.#ahead ?? { index: this.#index, offset: this.#offset }
    const payloads = this.#pending
    this.forgetUnflushed()
    const bytes = Buffer.concat(payloads.map((payload, n) => this.#frame(payload, index + n)))
    this.#allocate(offset + bytes.length, room)
    this.#pwriteAll(bytes, offset)
    return { index: index + payloads.length, offset: offset + bytes.length }
  }

  /**
   * Marks the transaction as over, durably; then once more at the file's start, so that readers need not go through
   * its records. A start that is cut off there says the same: no transaction.
   */
  end(): void {
    this.mark('end')
    const { length } = this.#pwriteAll(this.#frame(Buffer.from('{"kind":"end"}'), 0), 0)
    this.#offset = length
    this.#index = 1
  }

  /** Adds a marker and makes it durable, and with it everything before; it takes the room that was left for it. */
  mark(kind: Exclude<Marker, 'begin'>): void {
    this.append({ kind })
    this.flush(0)
  }

  /** Opens the journal to go on behind the records of the transaction that it tells of. */
  static resume(kernel: Kernel, stateDirectory: Fd, root: Name): Journal {
    const read = Journal.#read(kernel, stateDirectory, root)
    const journal = new Journal(kernel, stateDirectory, true)
    if (read === undefined) return journal
    journal.#id = BigInt(`0x${read.state.id}`)
    journal.#index = read.index
    journal.#offset = read.offset
    return journal
  }

  /** What the journal says, without opening it for writing. */
  static readOnly(kernel: Kernel, stateDirectory: Fd, root: Name): JournalState | undefined {
    return Journal.#read(kernel, stateDirectory, root)?.state
  }

  static #read(kernel: Kernel, stateDirectory: Fd, root: Name): ReadJournal | undefined {
    const fd = kernel.openat(stateDirectory, 'journal', O_RDONLY | ownFile)
    return withDescriptor(kernel, fd, () => readJournal(kernel, fd, root))
  }

  #frame(payload: Buffer, index: number): Buffer {
    return frameOf(payload, { version: journalVersion, id: this.#id, index })
  }

  #pwriteAll(bytes: Buffer, offset: number): Buffer {
    for (let written = 0; written < bytes.length; ) {
      written += this.#kernel.pwrite(this.#fd, bytes.subarray(written), offset + written)
    }
    return bytes
  }

  /** Makes the file large enough, with its blocks, while a full disk can still be answered by giving up. */
  #allocate(bytes: number, room: number): void {
    const allocated = this.#allocated ?? this.#kernel.fstat(this.#fd).size
    if (bytes + room <= allocated) return
    const size = Math.ceil((bytes + 2 * markerRoom) / 65536) * 65536
    try {
      this.#kernel.fallocate(this.#fd, 0, 0, size)
    } catch (error) {
      if (!isSyscallError(error, 'EOPNOTSUPP', 'ENOSYS')) throw error
      this.#writeZeros(allocated, size)
    }
    if (this.#durable) this.#kernel.fsync(this.#fd)
    this.#allocated = size
  }

  /** Where a file system has no fallocate, zeros have to be written to own the blocks. */
  #writeZeros(start: number, end: number): void {
    const zeros = Buffer.alloc(65536)
    for (let offset = start; offset < end; ) {
      offset += this.#kernel.pwrite(this.#fd, zeros.subarray(0, end - offset), offset)
    }
  }
}

interface ReadJournal {
  readonly state: JournalState
  /** Where the next record goes. */
  readonly index: number
  readonly offset: number
}

/**
 * Reads the transaction that a journal tells of; undefined for an empty journal.
 *
 * @param root  its path, for messages
 * @throws {RecoveryPendingError} for a version that this release does not know
 */
function readJournal(kernel: Kernel, fd: Fd, root: Name): ReadJournal | undefined {
  const file = new GrowingRead(kernel, fd)
  const records: JournalRecord[] = []
  let offset = 0
  let id: bigint | undefined
  for (;;) {
    const frame = readFrame(file, offset)
    if (frame === undefined || frame.index !== records.length || (id ?? frame.id) !== frame.id) break
    if (frame.version !== journalVersion) {
      throw new RecoveryPendingError(
        root,
        `its journal has version ${frame.version}, this release knows ${journalVersion}`,
      )
    }
    id = frame.id
    const record = JSON.parse(frame.payload()) as JournalRecord
    records.push(record)
    offset = frame.end
    if (record.kind === 'end') break
  }
  return id === undefined ? undefined : { state: stateOf(id, records), index: records.length, offset }
}

/** Of a journal whose transaction has ended only the end is left. */
const nothingSaid: Beginning = { packages: [], timeNs: '0', bootId: '', isFlushed: true }

function stateOf(id: bigint, records: readonly JournalRecord[]): JournalState {
  let marker: Marker = 'begin'
  let beginning = nothingSaid
  const directories: JournaledDirectory[] = []
  const steps: Step[] = []
  const members = new Members()
  const images: JournaledImage[] = []
  const takings: Taking[] = []
  const remainders: Remainder[] = []
  for (const record of records) {
    if (record.kind === 'directory') directories.push(record)
    else if (record.kind === 'step' || record.kind === 'stepContinued') readStep(steps, record)
    else if (record.kind === 'members') members.add(record, keptMembers(record))
    else if (record.kind === 'image') images.push(record)
    else if (record.kind === 'taking') takings.push(record)
    else if (record.kind === 'remainder') remainders.push(record)
    else {
      marker = record.kind
      if (record.kind === 'begin') beginning = record
    }
  }
  const about = { directories, steps, members, takings: { images, takings, remainders } }
  return { id: id.toString(16).padStart(16, '0'), marker, beginning, ...about }
}
