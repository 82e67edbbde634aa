// Engine functions for the tests of callEngine().

import { type EngineContext, RootmergeError, SyscallError, toName } from '../../src/sys/index.ts'

/** An error with fields, as the library's own ones have. */
export class WindowBroken extends RootmergeError {
  readonly code = 'ERR_ROOTMERGE_WINDOW_BROKEN'
  readonly panes: readonly string[]
  readonly reasons: readonly Error[]

  constructor(panes: readonly string[], cause: Error) {
    super(`${panes.length} panes`, { hint: 'Call a glazier.', cause })
    this.panes = panes
    this.reasons = [cause]
  }
}

export function echo(_context: EngineContext, argument: unknown): unknown {
  return argument
}

export function nameOf(_context: EngineContext, argument: unknown): string {
  return toName(argument as Uint8Array)
}

/** Blocks its thread until it is cancelled, or for so many milliseconds. */
export function waitFor({ kernel, cancel, report }: EngineContext, milliseconds: unknown): string {
  report('waiting')
  const end = Date.now() + (milliseconds as number)
  while (Date.now() < end) {
    cancel.check()
    kernel.poll([], 10)
  }
  return 'waited'
}

export function openMissing({ kernel }: EngineContext, path: unknown): void {
  kernel.openat(-100, path as string, 0)
}

export function breakWindow(): void {
  throw new WindowBroken(['upper', 'lower'], new SyscallError('ENOSPC', 'pwrite64', '/glass'))
}

export function throwText(): void {
  throw 'a text'
}

export function returnFunction(): unknown {
  return () => {}
}

export function exit(): void {
  process.exit(3)
}

/** Its thread dies of an error that no call has. */
export function throwLater(): Promise<never> {
  setImmediate(() => {
    throw new Error('later')
  })
  return new Promise(() => {})
}

export function reportTwice({ report }: EngineContext): void {
  report({ done: 1 })
  report({ done: 2 })
}
