// What the command prints: results on standard output, what it has to say about them on standard error.

import { styleText } from 'node:util'

/** How much to print, and in which form. */
export interface OutputOptions {
  readonly json?: boolean
  readonly quiet?: boolean
  readonly verbose?: boolean
}

/** Prints a line of a result. */
export function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

/** Prints one event, one line of JSON; bigints as decimal text. */
export function printEvent(event: string, facts: object): void {
  const replacer = (_: string, value: unknown) => (typeof value === 'bigint' ? value.toString() : value)
  print(JSON.stringify({ event, ...facts }, replacer))
}

/** Says something that is not a result. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`)
}

/** An error without a stack trace: what happened, and what to do. */
export function printError(error: unknown): void {
  const { message, hint } = error as { message?: string; hint?: string }
  say(`${styleText('red', 'rootmerge:', { stream: process.stderr })} ${message ?? String(error)}`)
  if (hint !== undefined) say(`  ${hint}`)
  if (process.env.ROOTMERGE_DEBUG && error instanceof Error) say(error.stack ?? '')
}

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

/** A number of bytes as a person reads it. */
export function formatBytes(bytes: number): string {
  const power = bytes < 1024 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), units.length - 1)
  const value = bytes / 1024 ** power
  return `${power === 0 ? value : value.toFixed(1)} ${units[power]}`
}
