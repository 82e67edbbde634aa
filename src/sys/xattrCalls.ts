// Extended attributes: of an open file or directory by the kernel's calls on descriptors, of anything else by path.
//
// An O_PATH descriptor (symlinks, fifos, sockets, devices) has no such calls (EBADF), but a path that reaches the object
// itself, /proc/self/fd/N. Paths are what fs-xattr takes, so values go through it there, where it is built: it has no
// prebuilt binary and npm 12 does not build it. It decodes names as UTF-8, so those that are not ASCII go round it.
// Open files went through it too: three to five calls by that path for each value, where the kernel needs one.

import { readlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { toName } from './bytes.ts'
import { AT_SYMLINK_NOFOLLOW, XATTR_SIZE_MAX } from './constants.ts'
import { type Door, fdOf } from './door.ts'
import { errnoName } from './errno.ts'
import { SyscallError } from './errors.ts'
import type { Fd, Kernel, Name } from './kernel.ts'
import type { CallName } from './platform.ts'

/** The part of Kernel that is about extended attributes. */
export type XattrCalls = Pick<Kernel, 'listXattrs' | 'getXattr' | 'setXattr' | 'removeXattr'>

/** The functions of fs-xattr that are used; declared here, since its own declarations may be as absent as itself. */
export interface FsXattr {
  getAttributeSync(path: string, attribute: string): Buffer
  setAttributeSync(path: string, attribute: string, value: Buffer): void
  removeAttributeSync(path: string, attribute: string): void
}

const require: NodeJS.Require = createRequire(import.meta.url)
const fsXattrPackage: string = 'fs-xattr'

/** Loads fs-xattr, or nothing where it was not built. */
export function loadFsXattr(): FsXattr | undefined {
  try {
    return require(fsXattrPackage) as FsXattr
  } catch {
    return undefined
  }
}

/** Attribute calls over the door; by path through fs-xattr where that is given, loaded for the first value. */
export function xattrCalls(door: Door, load?: () => FsXattr | undefined): XattrCalls {
  const { calls, invoke4 } = door
  const objectOf = (fd: Fd) => door.path(pathOf(fd))
  const sizeOf = (fd: Fd, name: Name) => invoke4(calls.getxattr, objectOf(fd), door.attribute(name), 0, 0)
  const direct = callsBy(door, pathCalls, objectOf)
  return callsBy(door, descriptorCalls, fdOf, load === undefined ? direct : throughFsXattr(load, direct, sizeOf))
}

/** What the kernel calls its calls for one way to an object. */
type Way = Readonly<Record<'list' | 'get' | 'set' | 'remove', CallName>>
const descriptorCalls: Way = { list: 'flistxattr', get: 'fgetxattr', set: 'fsetxattr', remove: 'fremovexattr' }
const pathCalls: Way = { list: 'listxattr', get: 'getxattr', set: 'setxattr', remove: 'removexattr' }

/** A small buffer first: the kernel allocates what it is offered (187 ns with 4 KiB, 648 with 64 KiB). */
function fitting(door: Door, call: (size: number) => number): number {
  const length = call(4096)
  return length < 0 && door.errno() === 'ERANGE' ? call(XATTR_SIZE_MAX) : length
}

function namesIn(values: Buffer, length: number): Name[] {
  return length === 0 ? [] : values.toString('latin1', 0, length - 1).split('\0')
}

/** The call that looks at a name: one instead of opening, looking and closing. */
export function listingCalls(door: Door): Pick<Kernel, 'listXattrsAt'> {
  const { calls, invoke3, invoke5, address, values } = door
  let isKnown = true
  // The kernel has no call that lists what an O_PATH descriptor has: listxattrat(2) with AT_EMPTY_PATH says EBADF.
  const ofDescriptor = (fd: Fd) => {
    const object = door.path(pathOf(fd))
    const length = fitting(door, (size) => invoke3(calls.listxattr, object, address.values, size))
    if (length >= 0) return namesIn(values, length)
    const code = door.errno()
    if (code === 'EOPNOTSUPP') return []
    if (code === 'ENOENT' || code === 'E2BIG') return undefined
    throw door.failure('listxattr', fd)
  }
  return {
    listXattrsAt(directory, path) {
      if (path === '') return ofDescriptor(directory)
      if (!isKnown) return undefined
      const call = (size: number) =>
        invoke5(calls.listxattrat, fdOf(directory), door.path(path), AT_SYMLINK_NOFOLLOW, address.values, size)
      const length = fitting(door, call)
      if (length >= 0) return namesIn(values, length)
      const code = door.errno()
      if (code === 'EOPNOTSUPP') return []
      if (code === 'E2BIG') return undefined
      // Linux 6.13 brought it; old seccomp profiles answer EPERM to calls that they don't know.
      if (code !== 'ENOSYS' && code !== 'EPERM') throw door.failure('listxattrat', directory, path)
      isKnown = false
      return undefined
    },
  }
}

/** The calls of one way. What that does not reach (EBADF) goes the `other` way. */
function callsBy(door: Door, way: Way, objectOf: (fd: Fd) => number, other?: XattrCalls): XattrCalls {
  const { calls, invoke3, invoke4, invoke5, address, values } = door
  const { list, get, set, remove } = way
  const otherwise = <T>(call: CallName, fd: Fd, action: (other: XattrCalls) => T): T => {
    if (other !== undefined && door.errno() === 'EBADF') return action(other)
    throw door.failure(call, fd)
  }

  return {
    listXattrs(fd) {
      const length = fitting(door, (size) => invoke3(calls[list], objectOf(fd), address.values, size))
      if (length >= 0) return namesIn(values, length)
      return door.errno() === 'EOPNOTSUPP' ? [] : otherwise(list, fd, (way) => way.listXattrs(fd))
    },
    getXattr(fd, name) {
      const call = (size: number) => invoke4(calls[get], objectOf(fd), door.attribute(name), address.values, size)
      const length = fitting(door, call)
      if (length < 0) return otherwise(get, fd, (way) => way.getXattr(fd, name))
      return Buffer.from(values.subarray(0, length))
    },
    setXattr(fd, name, value) {
      const size = value.length
      if (size > XATTR_SIZE_MAX) throw new SyscallError('E2BIG', set, name)
      values.set(value)
      if (invoke5(calls[set], objectOf(fd), door.attribute(name), address.values, size, 0) >= 0) return
      otherwise(set, fd, (way) => way.setXattr(fd, name, value))
    },
    removeXattr(fd, name) {
      if (invoke3(calls[remove], objectOf(fd), door.attribute(name), 0) >= 0) return
      otherwise(remove, fd, (way) => way.removeXattr(fd, name))
    },
  }
}

function pathOf(fd: Fd): Name {
  return `/proc/self/fd/${fdOf(fd)}`
}

const isAscii = /^[\x01-\x7e]+$/

/** Values by path through fs-xattr. `sizeOf` says how long a value is now. */
function throughFsXattr(
  load: () => FsXattr | undefined,
  direct: XattrCalls,
  sizeOf: (fd: Fd, name: Name) => number,
): XattrCalls {
  let loaded: { readonly fsXattr: FsXattr | undefined } | undefined
  const via = <T>(call: CallName, fd: Fd, name: Name, through: (fsXattr: FsXattr) => T, round: () => T): T => {
    loaded ??= { fsXattr: load() }
    const { fsXattr } = loaded
    return fsXattr === undefined || !isAscii.test(name) ? round() : normalised(call, fd, () => through(fsXattr))
  }
  return {
    listXattrs: direct.listXattrs,
    getXattr(fd, name) {
      const read = () => direct.getXattr(fd, name)
      const value = via('getxattr', fd, name, (x) => x.getAttributeSync(pathOf(fd), name), read)
      // fs-xattr asks for the size before: a value that shrinks in between keeps stale bytes at its end.
      return sizeOf(fd, name) === value.length ? value : read()
    },
    setXattr(fd, name, value) {
      const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
      const write = () => direct.setXattr(fd, name, value)
      via('setxattr', fd, name, (x) => x.setAttributeSync(pathOf(fd), name, bytes), write)
    },
    removeXattr(fd, name) {
      const remove = () => direct.removeXattr(fd, name)
      via('removexattr', fd, name, (x) => x.removeAttributeSync(pathOf(fd), name), remove)
    },
  }
}

/** fs-xattr's errors (positive errno, no path) as SyscallError. */
function normalised<T>(call: CallName, fd: Fd, action: () => T): T {
  try {
    return action()
  } catch (error) {
    const errno = (error as { errno?: unknown }).errno
    if (typeof errno !== 'number') throw error
    throw new SyscallError(errnoName(Math.abs(errno)), call, pathBehind(fd))
  }
}

/** What a descriptor is, for a message. */
function pathBehind(fd: Fd): Name {
  const link = pathOf(fd)
  try {
    return toName(readlinkSync(link, 'buffer'))
  } catch {
    return link
  }
}
