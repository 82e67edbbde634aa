// Signals for a thread that works without returning to its event loop, where Node would tell of them.
//
// The kernel remembers that one came: its handler does nothing, and the first signal takes it off (SA_RESETHAND). So the
// next one has its default effect, and whether the handler is still there is the answer.

import { constants } from 'node:os'
import { loadLibc } from './koffi.ts'

/** struct sigaction, the same in glibc and musl on x64 and arm64: handler, mask of 128 bytes, flags, restorer. */
const actionSize = 152
const flagsOffset = 136
const SA_RESTART = 0x10000000
const SA_RESETHAND = 0x80000000
const SIG_DFL = 0n

/** Watches signals, of the whole process, until it is closed. */
export class SignalWatch {
  readonly #sigaction: (signal: number, action: Buffer | null, old: Buffer | null) => number
  /** What each signal did before. */
  readonly #before = new Map<NodeJS.Signals, Buffer>()

  constructor(signals: readonly NodeJS.Signals[]) {
    const libc = loadLibc()
    this.#sigaction = libc.func('int sigaction(int, void *, void *)')
    const dlsym = libc.func('uint64_t dlsym(uintptr_t, const char *)') as (
      handle: number,
      name: string,
    ) => number | bigint
    const action = Buffer.alloc(actionSize)
    // A function that takes a number and does nothing with it is a handler that does nothing.
    action.writeBigUInt64LE(BigInt(dlsym(0, 'abs')))
    action.writeUInt32LE(SA_RESTART + SA_RESETHAND, flagsOffset)
    for (const signal of signals) this.#before.set(signal, this.#set(signal, action))
  }

  /** A signal that came; from then on it is watched no more. */
  caught(): NodeJS.Signals | undefined {
    for (const signal of this.#before.keys()) {
      if (!isTaken(this.#set(signal, null))) continue
      this.#before.delete(signal)
      return signal
    }
    return undefined
  }

  /** Every signal that has not come does again what it did before; one that came since it was asked for is told. */
  close(): NodeJS.Signals | undefined {
    const late = [...this.#before].flatMap(([signal, before]) => (isTaken(this.#set(signal, before)) ? [signal] : []))
    this.#before.clear()
    return late[0]
  }

  /** Sets what a signal does, or with null only asks: what it did until now. */
  #set(signal: NodeJS.Signals, action: Buffer | null): Buffer {
    const old = Buffer.alloc(actionSize)
    if (this.#sigaction(constants.signals[signal], action, old) !== 0) throw new Error(`${signal} cannot be watched`)
    return old
  }
}

function isTaken(action: Buffer): boolean {
  return action.readBigUInt64LE() === SIG_DFL
}
