// The state directory inside the root: the lock, the journal, the records. Reached only through the root.

import { readFileSync } from 'node:fs'
import { quietly, withDescriptor } from '../movefile/index.ts'
import {
  type Fd,
  isSyscallError,
  joinName,
  type Kernel,
  LOCK_EX,
  LOCK_NB,
  type Name,
  O_CREAT,
  O_RDONLY,
  O_TRUNC,
  O_WRONLY,
  type Stat,
  tryOpenat,
} from '../sys/index.ts'
import { InvalidArgumentError, LockedError, UnknownPackageError } from './errors.ts'
import { checkMark, markRoot } from './mark.ts'
import { decodePackageName, encodePackageName } from './packageName.ts'
import { type PackageRecord, readRecord, readRecordNames } from './record.ts'
import { type Directory, isWithin, makeDirectories, type Root } from './root.ts'
import { ownFile } from './stateFiles.ts'
import { makeParents } from './stateParents.ts'

/** Where the state is unless the caller says otherwise. */
export const defaultState: Name = 'var/lib/rootmerge'

/** The state of one root. */
export class State {
  readonly root: Root
  /** Relative to the root, as the caller named it. */
  readonly name: Name

  constructor(root: Root, name: Name = defaultState) {
    const components = name.split('/')
    if (components.some((c) => c === '' || c === '.' || c === '..')) {
      throw new InvalidArgumentError(`'${name}' cannot be a state directory`, {
        hint: 'It is a name inside the root, such as var/lib/rootmerge.',
      })
    }
    this.root = root
    this.name = name
  }

  /** The state directory, made when it is missing. */
  make(): Directory {
    if (this.find() === undefined) makeParents(this.root, this.name)
    makeDirectories(this.root, joinName(this.name, 'packages'))
    return this.root.directory(this.name)
  }

  /** The state directory; undefined where nothing was ever merged. */
  find(): Directory | undefined {
    return this.root.findDirectory(this.name)
  }

  /** What tells names (resolved, relative to the root) of the state directory, and inside it, as it is now. */
  membership(): (name: Name) => boolean {
    const own = this.find()?.name ?? this.name
    return (name) => isWithin(name, own)
  }

  /** The directory of all packages' records, without symlinks, made when it is missing. */
  recordsDirectory(): Name {
    return makeDirectories(this.root, joinName(this.name, 'packages')).name
  }

  /** The directory that holds a package's record. */
  packageDirectory(packageName: string): Name {
    return joinName(joinName(this.name, 'packages'), encodePackageName(packageName))
  }

  /** The names of all packages, sorted. */
  packageNames(): string[] {
    return [...this.recordStats().keys()].sort()
  }

  /** The file of each package's record, by the package's name: a record is never changed, only replaced. */
  recordStats(): ReadonlyMap<string, Stat> {
    const stats = new Map<string, Stat>()
    const packages = this.root.findDirectory(joinName(this.name, 'packages'))
    if (packages === undefined) return stats
    const { kernel } = this.root
    for (const { name } of kernel.readDirectory(packages.fd)) {
      const stat = kernel.findat(packages.fd, `${name}/record`)
      if (stat !== undefined) stats.set(decodePackageName(name), stat)
    }
    return stats
  }

  /** @throws {CorruptRecordError} */
  findRecord(packageName: string): PackageRecord | undefined {
    return this.#openRecord(packageName, (chunks, path) => readRecord(chunks, path))
  }

  /** As findRecord, of a record that no package has. @throws {CorruptRecordError} */
  findRecordIn(directory: Name): PackageRecord | undefined {
    return this.#openRecordIn(directory, (chunks, path) => readRecord(chunks, path))
  }

  /** Names every entry of a package's record; false when there is none. @throws {CorruptRecordError} */
  eachName(packageName: string, onName: (name: Name) => void): boolean {
    const named = this.#openRecord(packageName, (chunks, path) => {
      readRecordNames(chunks, path, onName)
      return true
    })
    return named ?? false
  }

  #openRecord<T>(packageName: string, read: (chunks: Iterable<Buffer>, path: Name) => T): T | undefined {
    return this.#openRecordIn(this.packageDirectory(packageName), read)
  }

  #openRecordIn<T>(name: Name, read: (chunks: Iterable<Buffer>, path: Name) => T): T | undefined {
    const directory = this.root.findDirectory(name)
    if (directory === undefined) return undefined
    const { kernel } = this.root
    const fd = tryOpenat(kernel, directory.fd, 'record', O_RDONLY | ownFile)
    if (fd === undefined) return undefined
    const path = this.root.pathOf(joinName(name, 'record'))
    return withDescriptor(kernel, fd, () => read(chunksOf(kernel, fd), path))
  }

  /** @throws {UnknownPackageError} @throws {CorruptRecordError} */
  record(packageName: string): PackageRecord {
    const record = this.findRecord(packageName)
    if (record === undefined) throw new UnknownPackageError(packageName, this.root.path)
    return record
  }
}

const chunkBytes = 256 * 1024

/** A file's bytes from its start to its end; each chunk is valid until the next one is asked for. */
export function* chunksOf(kernel: Kernel, fd: Fd): Generator<Buffer> {
  const buffer = Buffer.allocUnsafe(Math.min(chunkBytes, kernel.fstat(fd).size + 1))
  for (let offset = 0; ; ) {
    const read = kernel.pread(fd, buffer, offset)
    if (read === 0) return
    yield buffer.subarray(0, read)
    offset += read
  }
}

/** Reads a file to its end. */
export function readWhole(kernel: Kernel, fd: Fd): Buffer {
  const chunks: Buffer[] = []
  for (let offset = 0; ; ) {
    const chunk = Buffer.allocUnsafe(Math.max(65536, kernel.fstat(fd).size - offset + 1))
    const read = kernel.pread(fd, chunk, offset)
    if (read === 0) return offset > 65536 && chunks[0]?.length === offset ? chunks[0] : Buffer.concat(chunks)
    chunks.push(chunk.subarray(0, read))
    offset += read
  }
}

/** Writes bytes at a descriptor's position, however many calls that takes. */
export function writeWhole(kernel: Kernel, fd: Fd, bytes: Uint8Array): void {
  for (let written = 0; written < bytes.length; ) written += kernel.write(fd, bytes.subarray(written))
}

/** How long to wait for another writer, and who is told meanwhile. */
export interface LockPatience {
  readonly seconds: number
  /** Throws to give up waiting. */
  readonly cancel?: { check(): void }
  /** Called once, with the holder's name. */
  readonly onWait?: (holder: string) => void
}

const millisecondsBetweenAttempts = 50

/**
 * Makes this process the root's only writer, until the root is closed.
 *
 * The lock is on the root directory's own inode, so two spellings of one root, or two names of its state, are one
 * root; it dies with its holder. The holder's name is written down for the message that others get.
 *
 * @throws {LockedError}
 * @throws {StateMissingError} when the root is marked as another state's
 */
export function lockRoot(root: Root, state: State, patience: LockPatience): void {
  const deadline = performance.now() + patience.seconds * 1000
  for (let attempt = 0; !tryLock(root); attempt++) {
    if (performance.now() >= deadline) throw new LockedError(root.path, readHolder(root, state))
    if (attempt === 0) patience.onWait?.(readHolder(root, state))
    patience.cancel?.check()
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, millisecondsBetweenAttempts)
  }
  checkMark(state)
  writeHolder(root, state)
  markRoot(state)
}

function tryLock({ kernel, fd }: Root): boolean {
  try {
    kernel.flock(fd, LOCK_EX | LOCK_NB)
    return true
  } catch (error) {
    if (isSyscallError(error, 'EAGAIN')) return false
    throw error
  }
}

/** Who wrote itself down last as the root's writer; it may have ended since. */
export function readHolder({ kernel }: Root, state: State): string {
  const directory = state.find()
  const fd = directory && tryOpenat(kernel, directory.fd, 'lock', O_RDONLY | ownFile)
  if (fd === undefined) return 'another process'
  return withDescriptor(kernel, fd, () => readWhole(kernel, fd).toString('utf8').trim() || 'another process')
}

function writeHolder({ kernel }: Root, state: State): void {
  const directory = state.make()
  const fd = kernel.openat(directory.fd, 'lock', O_WRONLY | O_CREAT | O_TRUNC | ownFile, 0o644)
  withDescriptor(kernel, fd, () => writeWhole(kernel, fd, Buffer.from(`process ${process.pid} (${programName()})\n`)))
}

/** What a person calls this process by: a merge does not fail because /proc does not say. */
function programName(): string {
  // The whole process's: in a worker thread process.argv has the worker's own file.
  let commandLine = ''
  quietly(() => {
    commandLine = readFileSync('/proc/self/cmdline', 'latin1')
  })
  const [, script = process.execPath] = commandLine.split('\0')
  return script.slice(script.lastIndexOf('/') + 1)
}
