// The command's arguments as bytes: Node decodes them as UTF-8 and loses what is not.

import { readFileSync } from 'node:fs'
import type { Name } from '../sys/index.ts'

/** The arguments behind the script's name, each the latin1 string of its bytes. */
export function argumentBytes(): Name[] {
  const count = process.argv.length - 2
  if (count === 0) return []
  try {
    const all = readFileSync('/proc/self/cmdline', 'latin1').split('\0').slice(0, -1)
    return all.slice(-count)
  } catch {
    return process.argv.slice(2).map((argument) => Buffer.from(argument, 'utf8').toString('latin1')) // no /proc
  }
}

/** An argument that is text, such as a pattern: the library takes it as UTF-8. */
export function textOf(argument: Name): string {
  return Buffer.from(argument, 'latin1').toString('utf8')
}

/** An argument for the library, which takes bytes. */
export function pathOf(argument: Name): Buffer {
  return Buffer.from(argument, 'latin1')
}
