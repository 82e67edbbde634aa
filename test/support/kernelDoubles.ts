// Kernels for tests: each wraps another and changes one thing.

import {
  CancelFlag,
  type ErrnoName,
  type Fd,
  type Kernel,
  O_CREAT,
  O_TRUNC,
  SyscallError,
} from '../../src/sys/index.ts'

/** The name of a method of Kernel. */
export type Call = keyof Kernel

type Around = (call: Call, args: readonly unknown[], proceed: (...args: readonly unknown[]) => unknown) => unknown

/** A kernel whose every call passes through `around`. */
export function wrapKernel(kernel: Kernel, around: Around): Kernel {
  const wrapped = Object.entries(kernel).map(([name, call]) => {
    const proceed = call as (...args: readonly unknown[]) => unknown
    return [name, (...args: unknown[]) => around(name as Call, args, proceed)]
  })
  return Object.fromEntries(wrapped) as Kernel
}

/** A double that counts the calls it has seen. */
export interface CountingKernel {
  readonly kernel: Kernel
  /** Calls seen so far; `hit` is the call that was made to fail, if any was. */
  readonly seen: { calls: number; hit: Call | undefined }
}

/** Fails the n-th call (from 1) with `code`, once. A failing close still closes, so that the sweep does not leak. */
export function failNth(kernel: Kernel, n: number, code: ErrnoName): CountingKernel {
  const seen: CountingKernel['seen'] = { calls: 0, hit: undefined }
  const failing = wrapKernel(kernel, (call, args, proceed) => {
    seen.calls++
    if (seen.calls !== n) return proceed(...args)
    seen.hit = call
    if (call === 'close') proceed(...args)
    throw new SyscallError(code, call)
  })
  return { kernel: failing, seen }
}

/** Raises `cancel` at the n-th call (from 1), as a signal does that arrives then. */
export function cancelNth(kernel: Kernel, n: number): CountingKernel & { readonly cancel: CancelFlag } {
  const seen: CountingKernel['seen'] = { calls: 0, hit: undefined }
  const cancel = new CancelFlag()
  const watched = wrapKernel(kernel, (call, args, proceed) => {
    if (++seen.calls === n) {
      seen.hit = call
      cancel.raise()
    }
    return proceed(...args)
  })
  return { kernel: watched, seen, cancel }
}

/** The death of the process, as far as the kernel can see it: nothing after this reaches it. */
export class Crash extends Error {
  override readonly name = 'Crash'
}

/** Tells which calls are counted. */
export type Counts = (call: Call, args: readonly unknown[]) => boolean

const everyCall: Counts = () => true

/** Dies at the n-th call (from 1) of those that count: neither it nor any later call is made, whatever the engine catches. */
export function crashAt(kernel: Kernel, n: number, counts: Counts = everyCall): CountingKernel {
  const seen: CountingKernel['seen'] = { calls: 0, hit: undefined }
  const crashing = wrapKernel(kernel, (call, args, proceed) => {
    if (seen.hit === undefined && (!counts(call, args) || ++seen.calls < n)) return proceed(...args)
    seen.hit ??= call
    throw new Crash(`died at call ${n}, ${seen.hit}`)
  })
  return { kernel: crashing, seen }
}

/** Calls that look, wait, or flush. */
const leavesAsIs: ReadonlySet<Call> = new Set<Call>([
  ...(['close', 'pipe', 'getStatusFlags', 'poll', 'read', 'pread', 'lseek', 'flock'] as const),
  ...(['fstat', 'statat', 'findat', 'accessat', 'fstatfs', 'readDirectory', 'readlinkat', 'handleAt'] as const),
  ...(['listXattrs', 'listXattrsAt', 'getXattr', 'getInodeFlags', 'blockDeviceSize'] as const),
  ...(['fsync', 'fdatasync', 'syncfs'] as const),
])

/** Whether a call can change what the next process sees on the disk. */
export function changesDisk(call: Call, args: readonly unknown[]): boolean {
  if (call === 'openat' || call === 'openat2') return ((args[2] as number) & (O_CREAT | O_TRUNC)) !== 0
  return !leavesAsIs.has(call)
}

/**
 * Dies at the n-th call (from 1) that changes the disk. To the next process a death at any other call looks like one at the
 * next of these, so a sweep over them leaves no death out.
 */
export function crashAtChange(kernel: Kernel, n: number): CountingKernel {
  return crashAt(kernel, n, changesDisk)
}

/** Refuses every call of one kind. */
export function declining(kernel: Kernel, refused: Call, code: ErrnoName): Kernel {
  return wrapKernel(kernel, (call, args, proceed) => {
    if (call === refused) throw new SyscallError(code, call)
    return proceed(...args)
  })
}

/** Interrupts every `interval`-th call of those that can be interrupted, before it does anything. */
export function interrupting(kernel: Kernel, interval: number): Kernel {
  let calls = 0
  return wrapKernel(kernel, (call, args, proceed) => {
    if (call !== 'close' && ++calls % interval === 0) throw new SyscallError('EINTR', call)
    return proceed(...args)
  })
}

/** Moves at most `most` bytes per call of those that count bytes. */
export function shortCounts(kernel: Kernel, most: number): Kernel {
  const cut = (bytes: unknown) => (bytes as Uint8Array).subarray(0, most)
  return {
    ...kernel,
    read: (fd, buffer) => kernel.read(fd, cut(buffer)),
    write: (fd, bytes) => kernel.write(fd, cut(bytes)),
    pread: (fd, buffer, offset) => kernel.pread(fd, cut(buffer), offset),
    pwrite: (fd, bytes, offset, length = bytes.length) => kernel.pwrite(fd, bytes, offset, Math.min(length, most)),
    copyFileRange: (source, from, target, to, length) =>
      kernel.copyFileRange(source, from, target, to, Math.min(length, most)),
    sendfile: (target, source, offset, length) => kernel.sendfile(target, source, offset, Math.min(length, most)),
  }
}

/** One call as it was made. */
export interface RecordedCall {
  readonly call: Call
  readonly args: readonly unknown[]
  /** What it returned, or the error it threw. */
  readonly outcome: unknown
}

/** Writes down every call. */
export function recording(kernel: Kernel): { kernel: Kernel; calls: RecordedCall[] } {
  const calls: RecordedCall[] = []
  const recorded = wrapKernel(kernel, (call, args, proceed) => {
    try {
      const outcome = proceed(...args)
      calls.push({ call, args, outcome })
      return outcome
    } catch (error) {
      calls.push({ call, args, outcome: error })
      throw error
    }
  })
  return { kernel: recorded, calls }
}

/** Knows which descriptors are open, and where each was opened (restic's Track). */
export function trackDescriptors(kernel: Kernel): { kernel: Kernel; open: Map<Fd, string> } {
  const open = new Map<Fd, string>()
  const tracked = wrapKernel(kernel, (call, args, proceed) => {
    if (call === 'close') open.delete(args[0] as Fd)
    const result = proceed(...args)
    const opened = call === 'openat' || call === 'openat2' ? [result] : call === 'pipe' ? (result as Fd[]) : []
    for (const fd of opened) open.set(fd as Fd, new Error(`opened by ${call}`).stack ?? call)
    return result
  })
  return { kernel: tracked, open }
}
