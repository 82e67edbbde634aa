// The real command under strace: which calls its engine makes, and one of them failed or answered by SIGKILL.
//
// The command waits for the root's lock, which the test holds, while strace is attached to the engine's thread alone, which
// is the first: what the runtime does at its start is never counted, and the n-th call is the engine's n-th (strace
// counts the calls of each thread, and of each kind, by themselves).

import { type ChildProcess, spawn } from 'node:child_process'
import * as fs from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { AT_FDCWD, LOCK_EX, linuxKernel, O_DIRECTORY, O_RDONLY, toName } from '../../src/sys/index.ts'
import { platformNumbers } from '../../src/sys/platform.ts'

/** The command, as it is installed. */
export const command: string = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))

/** One call of the engine's thread, made while it held the lock. */
export interface TracedCall {
  readonly call: string
  /** Of the calls of this kind, from 1. */
  readonly nth: number
  /** As strace prints it, with paths for descriptors. */
  readonly text: string
}

/** What shall happen at one call. */
export interface Injection {
  readonly at: TracedCall
  /** In strace's words: `signal=KILL`, `error=EIO`. */
  readonly what: string
}

/** How a traced command ended. */
export interface TracedRun {
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  readonly calls: readonly TracedCall[]
  /** Whether the call that should fail was reached. */
  readonly injected: boolean
}

/** How a command ended. */
export type Run = Pick<TracedRun, 'status' | 'signal' | 'stdout' | 'stderr'>

/** Runs the command as it is. */
export async function runCommand(args: readonly string[]): Promise<Run> {
  const child = spawn(process.execPath, [command, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)]
  const [status, signal] = await endOf(child)
  return { status, signal, stdout: stdout(), stderr: stderr() }
}

type Ending = [number | null, NodeJS.Signals | null]

function endOf(child: ChildProcess): Promise<Ending> {
  return new Promise((resolve) => child.once('close', (status, signal) => resolve([status, signal])))
}

/** What the engine's thread waits by, and what it waits for. */
const notCounted = ['ppoll']
/** With a question mark strace passes over those that it does not know. */
const traced = Object.keys(platformNumbers('linux', process.arch).calls)
  .filter((name) => !notCounted.includes(name))
  .map((name) => `?${name}`)

/** Calls that look or flush: dying there is, to the next process, dying at the next one that changes the disk. */
const leavesAsIs =
  /^(read|close|lseek|pread64|fcntl|flock|fstatfs|f?getxattr|f?listxattr|getdents64|readlinkat|name_to_handle_at|statx|fsync|fdatasync|syncfs)$/

/** Whether a call can change what is on the disk. */
export function changes({ call, text }: TracedCall): boolean {
  if (call === 'openat' || call === 'openat2') return /O_CREAT|O_TRUNC/.test(text)
  if (call === 'ioctl') return !/GETFLAGS|GETXATTR|BLKGETSIZE/.test(text)
  return !leavesAsIs.test(call)
}

/** Runs the command on `root` under strace. @throws {Error} when strace cannot be attached, or the command hangs */
export async function runTraced(root: string, args: readonly string[], injection?: Injection): Promise<TracedRun> {
  const kernel = linuxKernel()
  const held = kernel.openat(AT_FDCWD, toName(root), O_RDONLY | O_DIRECTORY)
  kernel.flock(held, LOCK_EX)
  let isHeld = true
  const child = spawn(process.execPath, [command, ...args, '--root', root, '--lock-wait', '60'])
  const output = { stdout: collect(child.stdout), stderr: collect(child.stderr) }
  const ended = endOf(child)
  try {
    await waitsForLock(child, root)
    const strace = spawn('strace', straceArguments(`${child.pid}`, injection), { stdio: ['ignore', 'ignore', 'pipe'] })
    const lines = collect(strace.stderr)
    const straceEnded = endOf(strace)
    const seesEngine = () => lines().includes('flock(') || child.exitCode !== null || child.signalCode !== null
    await until(seesEngine, 'strace sees no waiting for the lock', lines)
    if (!lines().includes('flock('))
      throw new Error(`the command ended while it waited for the lock: ${output.stderr()}`)
    kernel.close(held)
    isHeld = false
    const [status, signal] = await Promise.race([ended, tooLong(output.stderr)])
    await straceEnded
    const said = { stdout: output.stdout(), stderr: output.stderr() }
    return { status, signal, ...said, calls: callsIn(lines(), root), injected: lines().includes('(INJECTED)') }
  } finally {
    if (isHeld) kernel.close(held)
    if (child.exitCode === null) child.kill('SIGKILL')
  }
}

/** Of /proc/PID/syscall: futex(2) with FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG and a time, as Atomics.wait() calls it. */
const timedWait = /^\d+ 0x[0-9a-f]+ 0x89 0x0 0x[1-9a-f]/

/**
 * Waits until the command waits for the lock: its root is open, and it is in the call that it waits by. It may have had the
 * root open before, to look at it, and calls from then on must not be counted.
 */
async function waitsForLock(child: ChildProcess, root: string): Promise<void> {
  const isWaiting = () => {
    if (child.exitCode !== null) return true
    const process = `/proc/${child.pid}`
    const hasRoot = fs.readdirSync(`${process}/fd`).some((fd) => readLink(`${process}/fd/${fd}`) === root)
    return hasRoot && timedWait.test(fs.readFileSync(`${process}/syscall`, 'latin1'))
  }
  await until(isWaiting, 'the command does not wait for its lock', () => '')
}

function readLink(path: string): string {
  try {
    return fs.readlinkSync(path)
  } catch {
    return '' // closed meanwhile
  }
}

function straceArguments(thread: string, injection: Injection | undefined): string[] {
  const inject = injection && `inject=${injection.at.call}:${injection.what}:when=${injection.at.nth}`
  const options = ['-p', thread, '-y', '-s', '256', '-e', `trace=${traced.join(',')}`, '-e', 'signal=none']
  return inject === undefined ? options : [...options, '-e', inject]
}

/** The calls after the lock was given, of those that have to do with the directory that the root is in. */
function callsIn(lines: string, root: string): TracedCall[] {
  const scene = root.slice(0, root.lastIndexOf('/'))
  const counts = new Map<string, number>()
  let isLocked = false
  return lines.split('\n').flatMap((line) => {
    const call = /^(\w+)\(/.exec(line)?.[1]
    if (call === undefined) return []
    const nth = (counts.get(call) ?? 0) + 1
    counts.set(call, nth)
    const isEngines = isLocked && (line.includes(scene) || line.includes('/proc/self/fd/'))
    if (call === 'flock' && line.endsWith('= 0')) isLocked = true
    return isEngines ? [{ call, nth, text: line }] : []
  })
}

function collect(stream: NodeJS.ReadableStream | null): () => string {
  let text = ''
  stream?.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk
  })
  return () => text
}

const patienceSeconds = 60

async function until(isSo: () => boolean, complaint: string, said: () => string): Promise<void> {
  const deadline = Date.now() + patienceSeconds * 1000
  while (!isSo()) {
    if (Date.now() > deadline) throw new Error(`${complaint}: ${said()}`)
    await wait(5)
  }
}

async function tooLong(said: () => string): Promise<never> {
  await wait(patienceSeconds * 1000, undefined, { ref: false })
  throw new Error(`the command hangs: ${said()}`)
}
