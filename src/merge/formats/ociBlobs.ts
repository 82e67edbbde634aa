// The files of a container image: in a layout's directory, or inside a tar of one (oci-archive, docker save).

import { handOver, withDescriptor } from '../../movefile/index.ts'
import {
  AT_FDCWD,
  baseName,
  type CancelFlag,
  displayName,
  type Fd,
  joinName,
  type Kernel,
  type Name,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  parentName,
  tryOpenat,
} from '../../sys/index.ts'
import { ByteSource } from '../archive/byteSource.ts'
import type { Limits } from '../archive/limits.ts'
import { readTar } from '../archive/tarReader.ts'
import { InvalidArgumentError } from '../errors.ts'
import { Root } from '../root.ts'

const chunkBytes = 256 * 1024

/** Files by their names; each can be read as often as one likes. */
export interface Blobs {
  /** Bytes that were read so far, of all files. */
  readonly bytesRead: number
  /** A file's bytes, which whoever has read enough of them closes; undefined when there is no such file. */
  find(name: Name): { readonly size: number; readonly source: ByteSource } | undefined
  close(): void
}

/** What files are opened with. */
export interface BlobContext {
  readonly kernel: Kernel
  readonly cancel: CancelFlag
  readonly limits: Limits
}

/**
 * Opens the files of an image: `path` is a layout's directory, or a tar that is not compressed.
 *
 * @throws {InvalidArgumentError} for what can be read once only, or not at all
 */
export function openBlobs(context: BlobContext, path: Name): Blobs {
  const { kernel } = context
  const fd = tryOpenat(kernel, AT_FDCWD, path, O_RDONLY | O_NONBLOCK)
  if (fd === undefined) throw new InvalidArgumentError(`the image '${displayName(path)}' does not exist`)
  const { type, size } = handOver(kernel, fd, () => kernel.fstat(fd))
  if (type === 'file') return handOver(kernel, fd, () => openTar(context, path, { fd, size }))
  kernel.close(fd)
  if (type === 'directory') return openDirectory(context, path)
  throw new InvalidArgumentError(`the image '${displayName(path)}' is read more than once, and a ${type} cannot be`)
}

function openDirectory({ kernel, cancel }: BlobContext, path: Name): Blobs {
  const root = new Root(kernel, path)
  const counter = { bytes: 0 }
  return {
    get bytesRead() {
      return counter.bytes
    },
    find(name) {
      const open = () => {
        const directory = root.findDirectory(parentName(name))
        return directory && tryOpenat(kernel, directory.fd, baseName(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
      }
      const fd = open()
      if (fd === undefined) return undefined
      const stat = withDescriptor(kernel, fd, () => kernel.fstat(fd))
      if (stat.type !== 'file') return undefined
      function* chunks(): Generator<Buffer> {
        const opened = open()
        if (opened === undefined) return
        try {
          yield* rangeOf({ kernel, cancel, fd: opened, counter }, 0, stat.size)
        } finally {
          kernel.close(opened)
        }
      }
      return { size: stat.size, source: new ByteSource(joinName(path, name), chunks()) }
    },
    close: () => root.close(),
  }
}

interface Range {
  readonly kernel: Kernel
  readonly cancel: CancelFlag
  readonly fd: Fd
  readonly counter: { bytes: number }
}

function* rangeOf({ kernel, cancel, fd, counter }: Range, start: number, size: number): Generator<Buffer> {
  for (let offset = start; offset < start + size; ) {
    cancel.check()
    const chunk = Buffer.allocUnsafeSlow(Math.min(chunkBytes, start + size - offset))
    const read = kernel.pread(fd, chunk, offset)
    if (read === 0) return
    offset += read
    counter.bytes += read
    yield chunk.subarray(0, read)
  }
}

interface OpenFile {
  readonly fd: Fd
  readonly size: number
}

/** Finds where each file of a tar lies, which reads it once; links stand for what they lead to, as docker once wrote them. */
function openTar({ kernel, cancel, limits }: BlobContext, path: Name, { fd, size }: OpenFile): Blobs {
  const counter = { bytes: 0 }
  const range = { kernel, cancel, fd, counter }
  const places = new Map<Name, { readonly start: number; readonly size: number } | Name>()
  const source = new ByteSource(path, rangeOf(range, 0, size))
  for (const member of readTar(source, { headerBytes: limits.headerBytes })) {
    const name = normalized(member.path)
    if (places.size > limits.members) throw source.corrupt(`more than the ${limits.members} members that are allowed`)
    const start = member.payload?.offset ?? source.offset
    if (member.type === 'file') places.set(name, { start, size: member.size })
    else if (member.type === 'link') places.set(name, normalized(member.target ?? ''))
    else if (member.type === 'symlink') places.set(name, normalized(joinName(parentName(name), member.target ?? '')))
  }
  counter.bytes = 0
  const placeOf = (name: Name, links = 0): { start: number; size: number } | undefined => {
    const place = places.get(name)
    return typeof place !== 'string' ? place : links < 8 ? placeOf(place, links + 1) : undefined
  }
  return {
    get bytesRead() {
      return counter.bytes
    },
    find(name) {
      const place = placeOf(name)
      if (place === undefined) return undefined
      const source = new ByteSource(joinName(path, name), rangeOf(range, place.start, place.size))
      return { size: place.size, source }
    },
    close: () => kernel.close(fd),
  }
}

/** Without `.` and `..`: nothing is opened by it, so leading upwards only means finding nothing. */
function normalized(path: Name): Name {
  const components: Name[] = []
  for (const component of path.split('/')) {
    if (component === '..') components.pop()
    else if (component !== '' && component !== '.') components.push(component)
  }
  return components.join('/')
}
