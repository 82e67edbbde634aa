// koffi, loaded by the first thread that opens the door: who only asks for the engine in another thread does without.

import { createRequire } from 'node:module'

const require: NodeJS.Require = createRequire(import.meta.url)

/** The module. */
export function loadKoffi(): typeof import('koffi') {
  return require('koffi') as typeof import('koffi')
}
