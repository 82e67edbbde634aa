// koffi, loaded by the first thread that opens the door: who only asks for the engine in another thread does without.

import { createRequire } from 'node:module'

const require: NodeJS.Require = createRequire(import.meta.url)

type Koffi = typeof import('koffi')

/** The module. */
export function loadKoffi(): Koffi {
  return require('koffi') as Koffi
}

/**
 * The C library, among the process's own symbols: an addon finds Node's functions there too, so a Node that is linked
 * without them could not have loaded koffi.
 */
export function loadLibc(): ReturnType<Koffi['load']> {
  return loadKoffi().load(null)
}
