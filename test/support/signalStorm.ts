// A process that a signal hits every 300 µs, handled natively and without SA_RESTART, while it copies a file.
//
// The handler is abs(3) of the C library: a harmless function of one int, which is what a handler must be. Node's own
// handlers would restart every call, so nothing would be seen.

import { spawn } from 'node:child_process'
import * as fs from 'node:fs'
import koffi from 'koffi'
import { Copier, type Method } from '../../src/filecopy/index.ts'
import { linuxKernel, retryInterrupted } from '../../src/sys/index.ts'
import { wrapKernel } from './kernelDoubles.ts'

const SIGALRM = 14
const ITIMER_REAL = 0
const [source = '', target = '', method = ''] = process.argv.slice(2)

const libc = koffi.load(null)
const signal = libc.func('void *signal(int, void *)')
const siginterrupt = libc.func('int siginterrupt(int, int)')
const setitimer = libc.func('int setitimer(int, void *, void *)')
const abs = libc.symbol('abs', 'void')

/** struct itimerval: interval and first time, each in seconds and microseconds. */
function everyMicroseconds(microseconds: number): BigInt64Array {
  return new BigInt64Array([0n, BigInt(microseconds), 0n, BigInt(microseconds)])
}

let calls = 0
const counting = wrapKernel(linuxKernel(), (_, args, proceed) => {
  calls++
  return proceed(...args)
})
const interrupts = { count: 0 }
const kernel = retryInterrupted(counting, () => {}, interrupts)

const from = source === 'slow pipe' ? slowPipe() : fs.openSync(source, 'r')
const to = fs.openSync(target, 'wx')
signal(SIGALRM, abs)
siginterrupt(SIGALRM, 1)
const started = process.hrtime.bigint()
setitimer(ITIMER_REAL, everyMicroseconds(300), null)
const report = new Copier(kernel).copyContents(from, to, { methods: [method as Method, 'read_write'] })
setitimer(ITIMER_REAL, everyMicroseconds(0), null)
const microseconds = Number((process.hrtime.bigint() - started) / 1000n)
const storm = { signals: Math.floor(microseconds / 300), interrupted: interrupts.count, calls, bytes: report.bytes }
fs.writeSync(1, JSON.stringify(storm))
process.exit(0)

/** A pipe that gives a text in pieces, with pauses. */
function slowPipe(): number {
  const [reading, writing] = kernel.pipe()
  const script = 'sleep 0.1; printf "slow "; sleep 0.1; printf "and steady"'
  spawn('sh', ['-c', script], { stdio: ['ignore', writing, 'inherit'] })
  fs.closeSync(writing)
  return reading
}
