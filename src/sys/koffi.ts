// koffi, loaded by the first thread that opens the door: who only asks for the engine in another thread does without.

import { createRequire } from 'node:module'
import { platformNumbers } from './platform.ts'

const require: NodeJS.Require = createRequire(import.meta.url)

type Koffi = typeof import('koffi')

/** The module. @throws {UnsupportedPlatformError} where it would load, or not, and be of no use */
export function loadKoffi(): Koffi {
  platformNumbers(process.platform, process.arch)
  return require('koffi') as Koffi
}

/**
 * The C library, among the process's own symbols: an addon finds Node's functions there too, so a Node that is linked
 * without them could not have loaded koffi.
 */
export function loadLibc(): ReturnType<Koffi['load']> {
  return loadKoffi().load(null)
}
