// What the command prints: results on standard output, what it has to say about them on standard error.

import { styleText } from 'node:util'
import type { LeftOver } from '../merge/index.ts'
import { adviceFor, shouldReassure } from './advice.ts'
import { complaints, write } from './write.ts'

export { formatBytes } from './measures.ts'

/** How much to print, and in which form. */
export interface OutputOptions {
  readonly json?: boolean
  readonly quiet?: boolean
  readonly verbose?: boolean
}

/**
 * The version of the events that --json prints; docs/events.schema.json describes them.
 *
 * New events and new members do not change it: a reader skips what it does not know. What would break a reader does.
 */
export const eventVersion = 1

/** Prints a line of a result. */
export function print(line: string): void {
  write(`${line}\n`)
}

/** Prints one event, one line of JSON; bigints as decimal text, bytes in base64. */
export function printEvent(event: string, facts: object): void {
  print(JSON.stringify({ event, version: eventVersion, ...facts }, (_, value: unknown) => plain(value)))
}

function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString()
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  return value
}

/** Where lines for people go: over a progress line, where there is one. */
let teller = (line: string): void => {
  write(`${line}\n`, complaints)
}

/** Says something that is not a result. */
export function say(line: string): void {
  teller(line)
}

/** Something else shows lines from now on, until what is returned is called. */
export function tellBy(other: (line: string) => void): () => void {
  const before = teller
  teller = other
  return () => {
    teller = before
  }
}

/** Whether ROOTMERGE_DEBUG is set to anything. */
export function isDebugging(): boolean {
  return (process.env.ROOTMERGE_DEBUG ?? '') !== ''
}

/** How an error is printed. */
export interface ErrorOutput {
  readonly json: boolean
  readonly exitCode: number
  /** Whether the command is one of those after whose errors a root is as it was. */
  readonly isOnRoot?: boolean
}

/** An error without a stack trace: what happened, that nothing changed, what to do; with --json as the last event too. */
export function printError(error: unknown, { json, exitCode, isOnRoot = false }: ErrorOutput): void {
  const known = error as { message?: string; hint?: string; code?: string; leftOvers?: readonly LeftOver[] }
  const advice = adviceFor(known)
  if (json) printEvent('error', { ...factsOfError(error), ...(advice && { hint: advice }), exitCode })
  say(`${styleText('red', 'rootmerge:', { stream: process.stderr })} ${known.message ?? String(error)}`)
  const reassurance = isOnRoot && shouldReassure(known, exitCode) ? ['Nothing was changed.'] : []
  const lines = [...reassurance, ...(advice ? [advice] : [])]
  if (lines.length > 0) say(`  ${lines.join(' ')}`)
  for (const { name, reason } of known.leftOvers ?? []) say(`  left over ${name}: ${reason}`)
  if (isDebugging() && error instanceof Error) say(error.stack ?? '')
}

/** What an error knows, as its own members say it: code, errno, syscall, path, hint, the names concerned. */
function factsOfError(error: unknown): object {
  const { cause: _, ...members } = Object.fromEntries(Object.entries(error as object))
  const { name, message } = error as { name?: string; message?: string }
  return { name: name ?? 'Error', message: message ?? String(error), ...members }
}
