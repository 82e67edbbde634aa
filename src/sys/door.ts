// The door: syscall(2) through koffi, the memory that calls share, and the one place where errno is read.
//
// koffi checks nothing: NaN becomes 0 (and `close(NaN)` would close descriptor 0), 2^40 is cut to 32 bits, a NUL
// ends a string early. Every number and name therefore passes `fdOf`, `integerOf` or nameMemory.ts.

import { AT_FDCWD, PATH_MAX, XATTR_NAME_MAX } from './constants.ts'
import { type ErrnoName, errnoName } from './errno.ts'
import { SyscallError } from './errors.ts'
import type { Fd, Name } from './kernel.ts'
import { loadKoffi, loadLibc } from './koffi.ts'
import { nameMemory } from './nameMemory.ts'
import { type CallName, platformNumbers } from './platform.ts'

type Arguments = readonly number[]
type Invoke = (call: number, ...rest: Arguments) => number
type InvokeBuffer = (call: number, first: number, buffer: Uint8Array | null, ...rest: Arguments) => number

/** Byte offsets in the memory that calls share; one thread makes one call at a time. */
const areas = {
  paths: 0,
  attributes: 3 * PATH_MAX,
  empty: 14336,
  struct: 14400,
  values: 16384,
  size: 16384 + 65536,
}

/** What `linux.ts` makes its calls with. */
export interface Door {
  readonly calls: Readonly<Record<CallName, number>>
  /** syscall(2) with three, four, five or six arguments; -1 means that `failure` knows why. */
  readonly invoke3: Invoke
  readonly invoke4: Invoke
  readonly invoke5: Invoke
  readonly invoke6: Invoke
  /** syscall(2) whose second argument is a buffer. */
  readonly invokeBuffer: InvokeBuffer
  /** Addresses of the shared memory's parts. */
  readonly address: Readonly<Record<'empty' | 'struct' | 'values', number>>
  /** Views of the 512 bytes for structures, and of the 64 KiB for values and directory entries. */
  readonly struct: Buffer
  readonly struct32: Uint32Array
  readonly struct64: BigInt64Array
  readonly values: Buffer
  /** Puts a path, or an attribute's name, into shared memory: its address, valid with the one before it. */
  path(path: Name): number
  attribute(name: Name): number
  /** Why the call that has just returned -1 was refused, for answers that are no errors. Must be the first thing after it. */
  errno(): ErrnoName
  /** The error of the call that has just returned -1. Must be the first thing after it, but for errno(). */
  failure(call: string, fd?: Fd, path?: Name, secondFd?: Fd, secondPath?: Name): SyscallError
}

/** Opens the door: loads the C library's syscall(2) and allocates the shared memory, once a thread. */
export function openDoor(): Door {
  const { calls } = platformNumbers(process.platform, process.arch)
  const koffi = loadKoffi()
  const libc = loadLibc()
  const invoke = (count: number) =>
    libc.func(`int64_t syscall(int64_t${', int64_t'.repeat(count)})`) as unknown as Invoke
  const invokeBuffer = libc.func(
    'int64_t syscall(int64_t, int64_t, void *, int64_t, int64_t)',
  ) as unknown as InvokeBuffer
  // The collector frees it with the door, and does not move what is outside of its own heap until then.
  const memory = new ArrayBuffer(areas.size)
  const bytes = Buffer.from(memory)
  const base = Number(koffi.address(bytes))
  const invoke4 = invoke(4)
  const names = (start: number, room: number) => nameMemory(Buffer.from(memory, start, 3 * room), base + start, room)
  const paths = names(areas.paths, PATH_MAX)
  const empty = base + areas.empty
  const path = (name: Name) => (name === '' ? empty : paths(name))

  return {
    calls,
    invoke3: invoke(3),
    invoke4,
    invoke5: invoke(5),
    invoke6: invoke(6),
    invokeBuffer,
    address: { empty, struct: base + areas.struct, values: base + areas.values },
    struct: Buffer.from(memory, areas.struct, 512),
    struct32: new Uint32Array(memory, areas.struct, 128),
    struct64: new BigInt64Array(memory, areas.struct, 64),
    values: Buffer.from(memory, areas.values, 65536),
    path,
    attribute: names(areas.attributes, XATTR_NAME_MAX + 1),
    errno: () => errnoName(koffi.errno()),
    failure(call, fd, path, secondFd, secondPath) {
      const code = errnoName(koffi.errno()) // before anything else can overwrite it
      const ask = (f: Fd) =>
        pathOfDescriptor(f, (link, buffer) => invoke4(calls.readlinkat, AT_FDCWD, link, buffer, 4096))
      const locate = (f?: Fd, p?: Name) => locatePath(f, p, ask)
      return new SyscallError(code, call, locate(fd, path), locate(secondFd, secondPath))
    },
  }

  /** What /proc says that a descriptor is: asked only for errors, so success pays nothing for good messages. */
  function pathOfDescriptor(fd: Fd, readlink: (link: number, buffer: number) => number): Name | undefined {
    const length = readlink(path(`/proc/self/fd/${fd}`), base + areas.values)
    return length > 0 ? bytes.toString('latin1', areas.values, areas.values + length) : undefined
  }
}

function locatePath(fd: Fd | undefined, path: Name | undefined, ask: (fd: Fd) => Name | undefined): Name | undefined {
  if (path?.startsWith('/') || fd === undefined || fd === AT_FDCWD) return path
  const directory = ask(fd)
  if (directory === undefined || path === undefined || path === '') return directory ?? path
  return directory === '/' ? `/${path}` : `${directory}/${path}`
}

/** Passes a descriptor through, or throws: a wrong number here would reach somebody else's file. */
export function fdOf(fd: Fd): number {
  if ((fd | 0) !== fd || (fd < 0 && fd !== AT_FDCWD)) throw new RangeError(`not a descriptor: ${fd}`)
  return fd
}

/** Passes an offset or size through, or throws when it is not exact (beyond 2^53) or not a whole number. */
export function integerOf(value: number): number {
  if (!Number.isSafeInteger(value)) throw new RangeError(`not an exact number of bytes: ${value}`)
  return value
}
