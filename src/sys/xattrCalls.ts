// Values of extended attributes: by fs-xattr where it is there and fits, else by the door's own calls.
//
// fs-xattr knows only paths, follows symlinks and decodes names as UTF-8. The path that it gets is
// /proc/self/fd/N, which reaches the object itself, symlinks (by an O_PATH descriptor) included; attribute names that
// are not ASCII go round it. It has no prebuilt binary and npm 12 does not build it, so it may be missing.

import { readlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { toName } from './bytes.ts'
import { XATTR_SIZE_MAX } from './constants.ts'
import { type Door, fdOf } from './door.ts'
import { errnoName } from './errno.ts'
import { isSyscallError, SyscallError } from './errors.ts'
import type { Fd, Kernel, Name } from './kernel.ts'

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

/** Attribute calls over the door, with values through fs-xattr where that is given: loaded for the first value. */
export function xattrCalls(door: Door, load: (() => FsXattr | undefined) | undefined): XattrCalls {
  const direct = directCalls(door)
  if (load === undefined) return direct
  let loaded: { readonly fsXattr: FsXattr | undefined } | undefined
  const find = () => {
    loaded ??= { fsXattr: load() }
    return loaded.fsXattr
  }
  const isAscii = /^[\x01-\x7e]+$/
  const path = (fd: Fd) => `/proc/self/fd/${fdOf(fd)}`
  const via = <T>(name: Name, call: string, fd: Fd, through: (fsXattr: FsXattr) => T, round: () => T): T => {
    const fsXattr = isAscii.test(name) ? find() : undefined
    return fsXattr === undefined ? round() : normalised(call, () => through(fsXattr), fd, round)
  }

  return {
    listXattrs: direct.listXattrs,
    getXattr: (fd, name) =>
      via(
        name,
        'getxattr',
        fd,
        (x) => complete(x.getAttributeSync(path(fd), name), fd, name),
        () => direct.getXattr(fd, name),
      ),
    setXattr: (fd, name, value) =>
      via(
        name,
        'setxattr',
        fd,
        (x) => x.setAttributeSync(path(fd), name, asBuffer(value)),
        () => direct.setXattr(fd, name, value),
      ),
    removeXattr: (fd, name) =>
      via(
        name,
        'removexattr',
        fd,
        (x) => x.removeAttributeSync(path(fd), name),
        () => direct.removeXattr(fd, name),
      ),
  }

  /** fs-xattr asks for the size first: a value that shrinks in between keeps stale bytes at its end. */
  function complete(value: Buffer, fd: Fd, name: Name): Buffer {
    return direct.sizeOf(fd, name) === value.length ? value : direct.getXattr(fd, name)
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** fs-xattr's errors (positive errno, no path) as SyscallError; ENOENT means that there is no /proc: go round. */
function normalised<T>(call: string, action: () => T, fd: Fd, round: () => T): T {
  try {
    return action()
  } catch (error) {
    const errno = (error as { errno?: unknown }).errno
    if (typeof errno !== 'number') throw error
    const code = errnoName(Math.abs(errno))
    if (code === 'ENOENT' || code === 'ENOTDIR') return round()
    throw new SyscallError(code, call, pathBehind(fd))
  }
}

/** What a descriptor is, for a message. */
function pathBehind(fd: Fd): Name {
  const link = `/proc/self/fd/${fd}`
  try {
    return toName(readlinkSync(link, 'buffer'))
  } catch {
    return link
  }
}

interface DirectCalls extends XattrCalls {
  sizeOf(fd: Fd, name: Name): number
}

/** The calls by descriptor; an O_PATH descriptor (EBADF) is reached through /proc/self/fd. */
function directCalls(door: Door): DirectCalls {
  const { calls, invoke3, invoke4, invoke5, address, values } = door

  const list = (fd: Fd, size: number) => {
    const result = invoke3(calls.flistxattr, fdOf(fd), address.values, size)
    if (result >= 0) return result
    if (door.errno() !== 'EBADF') throw door.failure('flistxattr', fd)
    const byPath = invoke3(calls.listxattr, door.path(`/proc/self/fd/${fd}`), address.values, size)
    if (byPath < 0) throw door.failure('listxattr', fd)
    return byPath
  }
  const get = (fd: Fd, name: Name, size: number) => {
    const result = invoke4(calls.fgetxattr, fdOf(fd), door.attribute(name), address.values, size)
    if (result >= 0) return result
    if (door.errno() !== 'EBADF') throw door.failure('fgetxattr', fd)
    const byPath = invoke4(calls.getxattr, door.path(`/proc/self/fd/${fd}`), door.attribute(name), address.values, size)
    if (byPath < 0) throw door.failure('getxattr', fd)
    return byPath
  }

  return {
    listXattrs(fd) {
      const length = firstFitting((size) => list(fd, size))
      return length === 0 ? [] : values.toString('latin1', 0, length - 1).split('\0')
    },
    sizeOf: (fd, name) => get(fd, name, 0),
    getXattr(fd, name) {
      const length = firstFitting((size) => get(fd, name, size))
      return Buffer.from(values.subarray(0, length))
    },
    setXattr(fd, name, value) {
      if (value.length > XATTR_SIZE_MAX) throw new SyscallError('E2BIG', 'fsetxattr', name)
      values.set(value)
      const size = value.length
      if (invoke5(calls.fsetxattr, fdOf(fd), door.attribute(name), address.values, size, 0) >= 0) return
      if (door.errno() !== 'EBADF') throw door.failure('fsetxattr', fd)
      const path = door.path(`/proc/self/fd/${fd}`)
      if (invoke5(calls.setxattr, path, door.attribute(name), address.values, size, 0) < 0)
        throw door.failure('setxattr', fd)
    },
    removeXattr(fd, name) {
      if (invoke3(calls.fremovexattr, fdOf(fd), door.attribute(name), 0) >= 0) return
      if (door.errno() !== 'EBADF') throw door.failure('fremovexattr', fd)
      if (invoke3(calls.removexattr, door.path(`/proc/self/fd/${fd}`), door.attribute(name), 0) < 0) {
        throw door.failure('removexattr', fd)
      }
    },
  }
}

/** A small buffer first: the kernel allocates what it is offered (187 ns with 4 KiB, 648 with 64 KiB). */
function firstFitting(call: (size: number) => number): number {
  try {
    return call(4096)
  } catch (error) {
    if (isSyscallError(error, 'ERANGE')) return call(XATTR_SIZE_MAX)
    if (isSyscallError(error, 'EOPNOTSUPP') && error.syscall.includes('list')) return 0
    throw error
  }
}
