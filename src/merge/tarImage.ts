// Tar archives as images: an archive is unpacked into a hidden tree inside the root, which is then the image.
//
// The hidden tree is locked by whoever fills it, so that the next archive can tell one that was left behind.

import { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { type ExtractEvents, extract, type Header } from 'tar-stream'
import {
  AT_FDCWD,
  baseName,
  type CancelFlag,
  displayName,
  type Fd,
  isSyscallError,
  type Kernel,
  LOCK_EX,
  LOCK_NB,
  type Name,
  O_CREAT,
  O_EXCL,
  O_NOFOLLOW,
  O_RDONLY,
  O_WRONLY,
  parentName,
} from '../sys/index.ts'
import { CorruptImageError, InvalidArgumentError, UnsafeEntryError } from './errors.ts'
import { removeObject } from './removal.ts'
import { type Directory, makeDirectories, Root } from './root.ts'
import { writeWhole } from './state.ts'

const spoolPrefix: Name = '.rootmerge-unpacked-'
const chunkBytes = 256 * 1024
/** A tar archive ends in two blocks of zeros. */
const endBytes = 1024

/** What unpacking works with. */
export interface Unpacking {
  readonly kernel: Kernel
  readonly cancel: CancelFlag
  /** The directory that the hidden tree is made in. */
  readonly spool: { readonly root: Root; readonly name: Name }
  /** Leading components taken off every name. */
  readonly stripComponents: number
  readonly onEntry: (bytes: number) => void
}

/**
 * Unpacks an archive into a hidden tree, gives it to `use` as a path, and removes it again.
 *
 * @throws {CorruptImageError} @throws {UnsafeEntryError} before `use` is called
 */
export async function withUnpacked<T>(
  unpacking: Unpacking,
  archive: Name,
  use: (tree: Name) => T | Promise<T>,
): Promise<T> {
  const { kernel, spool } = unpacking
  const name = `${spoolPrefix}${process.pid}-${process.hrtime.bigint().toString(36)}`
  const parent = () => spool.root.directory(spool.name)
  kernel.mkdirat(parent().fd, name, 0o700)
  const fd = kernel.openat(parent().fd, name, O_RDONLY | O_NOFOLLOW)
  try {
    kernel.flock(fd, LOCK_EX | LOCK_NB)
    const tree = new Root(kernel, `/proc/self/fd/${fd}`)
    try {
      await new TarReader(unpacking, archive, tree).unpack()
    } finally {
      tree.close()
    }
    return await use(`/proc/self/fd/${fd}`)
  } finally {
    removeSpool(kernel, parent(), name)
    kernel.close(fd)
  }
}

/** Removes hidden trees whose maker has died: nobody holds their lock. */
export function removeAbandonedSpools(kernel: Kernel, parent: Directory): void {
  for (const { name } of kernel.readDirectory(parent.fd)) {
    if (!name.startsWith(spoolPrefix)) continue
    const fd = kernel.openat(parent.fd, name, O_RDONLY | O_NOFOLLOW)
    try {
      kernel.flock(fd, LOCK_EX | LOCK_NB)
      removeSpool(kernel, parent, name)
    } catch (error) {
      if (!isSyscallError(error, 'EAGAIN')) throw error
    } finally {
      kernel.close(fd)
    }
  }
}

function removeSpool(kernel: Kernel, parent: Directory, name: Name): void {
  const leftOver = (left: Name, reason: string) => {
    throw new Error(`${displayName(left)}: ${reason}`)
  }
  const stat = kernel.findat(parent.fd, name)
  if (stat !== undefined)
    removeObject({ kernel, committedNs: undefined, linkedInodes: new Set(), leftOver }, parent, name, stat)
}

/** A member's payload as tar-stream gives it. */
type Payload = ExtractEvents['entry'][1]

/** A symlink or a directory's metadata, put in place when every payload is. */
interface Deferred {
  readonly name: Name
  readonly header: Header
}

class TarReader {
  readonly #unpacking: Unpacking
  readonly #kernel: Kernel
  readonly #archive: Name
  readonly #tree: Root
  readonly #symlinks: Deferred[] = []
  readonly #directories: Deferred[] = []
  /** As an ordinary user everything is one's own. */
  readonly #isRoot = process.geteuid?.() === 0

  constructor(unpacking: Unpacking, archive: Name, tree: Root) {
    this.#unpacking = unpacking
    this.#kernel = unpacking.kernel
    this.#archive = archive
    this.#tree = tree
  }

  async unpack(): Promise<void> {
    const fd = this.#open()
    const tar = extract({ filenameEncoding: 'latin1' } as object)
    tar.on('entry', (header, stream, next) => this.#entry(header, stream, next))
    const end = new EndCheck()
    try {
      const source = Readable.from(this.#chunks(fd), { objectMode: false })
      // tar-stream's streams are streamx's: the same to pipeline, not to the compiler.
      await pipeline([source, ...this.#decompressors(fd), end, tar as unknown as NodeJS.WritableStream])
    } catch (error) {
      if (!isCorruption(error)) throw error
      throw new CorruptImageError(this.#archive, error.message, { offset: end.bytes, cause: error })
    } finally {
      this.#kernel.close(fd)
    }
    if (!end.isComplete) throw new CorruptImageError(this.#archive, 'the archive is cut short', { offset: end.bytes })
    this.#finish()
  }

  #open(): Fd {
    try {
      return this.#kernel.openat(AT_FDCWD, this.#archive, O_RDONLY)
    } catch (error) {
      if (!isSyscallError(error, 'ENOENT')) throw error
      throw new InvalidArgumentError(`the image '${displayName(this.#archive)}' does not exist`, { cause: error })
    }
  }

  *#chunks(fd: Fd): Generator<Buffer> {
    for (;;) {
      this.#unpacking.cancel.check()
      const chunk = Buffer.allocUnsafe(chunkBytes)
      const read = this.#kernel.read(fd, chunk)
      if (read === 0) return
      yield chunk.subarray(0, read)
    }
  }

  #decompressors(fd: Fd): Transform[] {
    const magic = Buffer.alloc(2)
    this.#kernel.pread(fd, magic, 0)
    return magic[0] === 0x1f && magic[1] === 0x8b ? [createGunzip({ chunkSize: chunkBytes })] : []
  }

  #entry(header: Header, stream: Payload, next: (error?: Error | null) => void): void {
    stream.on('error', () => {}) // the archive's own error, which the pipeline reports
    try {
      const name = safeName(header.name, this.#unpacking.stripComponents)
      if (name !== '') this.#make(name, header, stream)
    } catch (error) {
      next(error as Error)
      return
    }
    stream.on('end', () => {
      this.#unpacking.onEntry(header.size ?? 0)
      next()
    })
    stream.resume()
  }

  #make(name: Name, header: Header, stream: Payload): void {
    if (header.type === 'directory') {
      makeDirectories(this.#tree, name)
      this.#directories.push({ name, header })
    } else if (header.type === 'file' || header.type === 'contiguous-file') this.#file(name, header, stream)
    else if (header.type === 'link') this.#link(name, header)
    else if (header.type === 'symlink') this.#symlinks.push({ name, header })
    else throw new UnsafeEntryError(name, `entries of type ${header.type ?? 'unknown'} are not read from archives`)
  }

  #file(name: Name, header: Header, stream: Payload): void {
    const parent = makeDirectories(this.#tree, parentName(name))
    this.#removeEarlier(parent.fd, name)
    const fd = this.#kernel.openat(parent.fd, baseName(name), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
    stream.on('data', (chunk) => writeWhole(this.#kernel, fd, chunk as Buffer))
    stream.on('end', () => {
      if (this.#isRoot) this.#kernel.fchown(fd, header.uid ?? 0, header.gid ?? 0)
      this.#kernel.fchmod(fd, (header.mode ?? 0o644) & 0o7777)
      const timeNs = timeOf(header)
      this.#kernel.futimens(fd, timeNs, timeNs)
    })
    stream.on('close', () => this.#kernel.close(fd))
  }

  /** A name that comes twice means its last member. */
  #removeEarlier(directory: Fd, name: Name): void {
    const earlier = this.#kernel.findat(directory, baseName(name))
    if (earlier?.type === 'directory') throw new UnsafeEntryError(name, 'is a directory in the same archive')
    if (earlier !== undefined) this.#kernel.unlinkat(directory, baseName(name))
  }

  #link(name: Name, header: Header): void {
    const first = safeName(header.linkname ?? '', this.#unpacking.stripComponents)
    if (this.#tree.find(first)?.type !== 'file')
      throw new UnsafeEntryError(name, `is a link to '${first}', which is no earlier member`)
    const parent = makeDirectories(this.#tree, parentName(name)).name
    this.#removeEarlier(this.#tree.directory(parent).fd, name)
    const from = this.#tree.directory(parentName(first)).fd
    this.#kernel.linkat(from, baseName(first), this.#tree.directory(parent).fd, baseName(name))
  }

  /** Symlinks come last, so that no member is ever written through one that the archive brought. */
  #finish(): void {
    for (const { name, header } of this.#symlinks) {
      const { fd } = makeDirectories(this.#tree, parentName(name))
      this.#removeEarlier(fd, name)
      this.#kernel.symlinkat(latin1(header.linkname ?? ''), fd, baseName(name))
      if (this.#isRoot) this.#kernel.chownat(fd, baseName(name), header.uid ?? 0, header.gid ?? 0)
      this.#kernel.utimensat(fd, baseName(name), timeOf(header), timeOf(header))
    }
    for (const { name, header } of this.#directories.reverse()) {
      const { fd } = this.#tree.directory(name)
      if (this.#isRoot) this.#kernel.fchown(fd, header.uid ?? 0, header.gid ?? 0)
      this.#kernel.fchmod(fd, (header.mode ?? 0o755) & 0o7777)
      this.#kernel.futimens(fd, timeOf(header), timeOf(header))
    }
  }
}

/** Counts the archive's bytes and remembers whether it ended as archives end: tar-stream accepts a cut between members. */
class EndCheck extends Transform {
  bytes = 0
  #zeros = 0

  get isComplete(): boolean {
    return this.#zeros >= endBytes
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: (error: null, chunk: Buffer) => void): void {
    this.bytes += chunk.length
    let lastByte = chunk.length
    while (lastByte > 0 && chunk.length - lastByte < endBytes && chunk[lastByte - 1] === 0) lastByte--
    this.#zeros = lastByte === 0 ? this.#zeros + chunk.length : chunk.length - lastByte
    done(null, chunk)
  }
}

/**
 * A member's name as one inside the image, '' for the image itself.
 *
 * @throws {UnsafeEntryError} for an absolute name, `..`, or a staging name
 */
function safeName(given: string, stripComponents: number): Name {
  const name = latin1(given)
  if (name.startsWith('/')) throw new UnsafeEntryError(name, 'has an absolute name')
  const components = name.split('/').filter((component) => component !== '' && component !== '.')
  if (components.includes('..')) throw new UnsafeEntryError(name, 'leads upwards')
  return components.slice(stripComponents).join('/')
}

/** pax names come decoded as UTF-8, header names as latin1: both become bytes. */
function latin1(name: string): Name {
  return /[^\0-\xff]/.test(name) ? Buffer.from(name, 'utf8').toString('latin1') : name
}

function timeOf(header: Header): bigint {
  return BigInt(header.mtime?.getTime() ?? 0) * 1_000_000n
}

/** zlib's and tar-stream's own complaints; a system call's error, a cancel and our refusals are not about the bytes. */
function isCorruption(error: unknown): error is Error {
  if (!(error instanceof Error) || isSyscallError(error)) return false
  const { code } = error as { code?: string }
  return code?.startsWith('Z_') || (code === undefined && error.constructor === Error)
}
