// koffi, loaded by the first thread that opens the door: who only asks for the engine in another thread does without.

import { createRequire } from 'node:module'
import { UnsupportedPlatformError } from './errors.ts'

const require: NodeJS.Require = createRequire(import.meta.url)

type Koffi = typeof import('koffi')

/** The module. */
export function loadKoffi(): Koffi {
  return require('koffi') as Koffi
}

/** The C library. @throws {UnsupportedPlatformError} where there is none that has syscall(2) */
export function loadLibc(): ReturnType<Koffi['load']> {
  const koffi = loadKoffi()
  const musl = process.arch === 'arm64' ? 'libc.musl-aarch64.so.1' : 'libc.musl-x86_64.so.1'
  const causes: unknown[] = []
  // null: the process's own symbols, which holds for every dynamically linked node.
  for (const library of [null, 'libc.so.6', musl]) {
    try {
      const libc = koffi.load(library)
      libc.func('int64_t syscall(int64_t, int64_t)')
      return libc
    } catch (cause) {
      causes.push(cause)
    }
  }
  throw new UnsupportedPlatformError(process.platform, process.arch, new AggregateError(causes))
}
