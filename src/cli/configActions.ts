// What `rootmerge config` does with updates: shows, accepts, rejects, merges and edits them.

import { styleText } from 'node:util'
import type { ConfigUpdate, ResolvedUpdate, ResolveUpdateOptions, SeenUpdate } from '../merge/index.ts'
import { type ConfigTask, type OnConflict, remember } from './configCommand.ts'
import { editText } from './editor.ts'
import { exitCodes } from './exitCodes.ts'
import { print, printEvent, say } from './output.ts'
import { printRemarks } from './summary.ts'
import { write } from './write.ts'

/** An update's name, as the library takes it. */
export function updateOf({ bytes }: ConfigUpdate): Buffer {
  return Buffer.from(bytes, 'base64')
}

/** Shows what each update would change; exits with 1 when any would change anything. */
export async function diffAll({ options, flags, updates }: ConfigTask): Promise<void> {
  const { diffUpdate } = await import('../merge/index.ts')
  for (const update of updates) {
    const { text, name, update: updateName } = await diffUpdate({ ...options, update: updateOf(update) })
    if (text.length > 0) remember(exitCodes.refused)
    if (flags.json) printEvent('configDiff', { name, update: updateName, text })
    else if (!flags.quiet) write(coloured(text))
  }
}

const colours: readonly [RegExp, 'bold' | 'cyan' | 'green' | 'red' | 'yellow'][] = [
  [/^(---|\+\+\+) /, 'bold'],
  [/^@@ /, 'cyan'],
  [/^\+/, 'green'],
  [/^-/, 'red'],
  [/^(type|mode|owner) /, 'yellow'],
]

/** A diff for the terminal, where control characters must not act; elsewhere as it is. */
export function coloured(text: Uint8Array): Uint8Array {
  if (process.stdout.isTTY !== true) return text
  const lines = Buffer.from(text)
    .toString('latin1')
    .split(/(?<=\n)/)
  const shown = lines.map((line) => {
    const colour = colours.find(([pattern]) => pattern.test(line))?.[1]
    const safe = line.replace(/[\x00-\x08\x0b-\x1f\x7f]/g, (c) => `\\${c.charCodeAt(0).toString(8).padStart(3, '0')}`)
    return colour === undefined ? safe : `${styleText(colour, safe.replace(/\n$/, ''), { stream: process.stdout })}\n`
  })
  return Buffer.from(shown.join(''), 'latin1')
}

/** Does one thing with every update. */
export async function resolveAll(
  task: ConfigTask,
  action: 'accept' | 'reject' | 'edit' | 'merge',
  isTerminal: boolean,
): Promise<void> {
  for (const update of task.updates) {
    if (action === 'merge') await merge(task, update, task.flags.conflicts ?? (isTerminal ? 'edit' : 'refuse'))
    else if (action === 'edit') await edit(task, update)
    else await resolve(task, update, { action })
  }
  if (task.updates.length === 0 && !task.flags.json && !task.flags.quiet) print('no updates are waiting')
}

/** What an answer is about, so that nothing else is resolved by it: of what was shown, merged or read. */
export function seenOf({ expectedLive, expectedUpdate }: SeenUpdate): SeenUpdate {
  return { expectedLive, expectedUpdate }
}

/** What resolveUpdate() is given beside the update. */
type Resolving = Omit<ResolveUpdateOptions, 'root' | 'update'>

/** Resolves an update and says so. */
export async function resolve({ options, flags }: ConfigTask, update: ConfigUpdate, how: Resolving): Promise<void> {
  const { resolveUpdate } = await import('../merge/index.ts')
  const force = flags.force === true ? { force: true } : {}
  const resolved = await resolveUpdate({ ...options, ...force, ...how, update: updateOf(update) })
  if (flags.json) return printEvent('configResolved', resolved)
  if (flags.quiet) return
  print(describeResolved(resolved))
  printRemarks(resolved)
}

function describeResolved({ name, update, action, superseded }: ResolvedUpdate): string {
  const older = superseded.length > 0 ? ` (and ${superseded.join(', ')})` : ''
  if (action === 'accept') return `${name} is now ${update}${older}`
  if (action === 'reject') return `${update} rejected${older}`
  if (action === 'rework') return `${update} is now the merged text, with conflict markers: edit and accept it`
  return `${name} merged with ${update}${older}`
}

/** Merges an update into its file; what cannot be merged is left as it is, and told. @returns whether it was resolved */
export async function merge(task: ConfigTask, update: ConfigUpdate, onConflict: OnConflict): Promise<boolean> {
  const { mergeUpdate } = await import('../merge/index.ts')
  const favour = onConflict === 'live' || onConflict === 'update' ? { favour: onConflict } : {}
  const merged = await mergeUpdate({ ...task.options, ...favour, update: updateOf(update) })
  const { contents, conflicts, hasBase } = merged
  const seen = seenOf(merged)
  if (conflicts === 0 || favour.favour !== undefined) {
    await resolve(task, update, { action: 'replace', contents, ...seen })
    return true
  }
  const what = `${merged.name}: ${conflicts} ${conflicts === 1 ? 'conflict' : 'conflicts'}`
  say(hasBase ? what : `${what}; the version that it comes from is not known, so every difference is one`)
  if (onConflict === 'markers') {
    await resolve(task, update, { action: 'rework', contents, ...seen })
    return true
  }
  if (onConflict === 'edit') return takeEdited(task, update, contents, seen)
  if (task.flags.json) printEvent('configConflict', { name: merged.name, update: merged.update, conflicts, hasBase })
  remember(exitCodes.refused)
  return false
}

/** Opens an editor on an update's text, and puts what comes out in place. @returns whether it was resolved */
export async function edit(task: ConfigTask, update: ConfigUpdate): Promise<boolean> {
  const { readUpdate } = await import('../merge/index.ts')
  const read = await readUpdate({ ...task.options, update: updateOf(update) })
  return takeEdited(task, update, read.contents, seenOf(read))
}

async function takeEdited(
  task: ConfigTask,
  update: ConfigUpdate,
  contents: Uint8Array,
  seen: SeenUpdate,
): Promise<boolean> {
  const edited = editText(update.name, contents)
  const failed =
    edited === undefined ? 'the editor failed' : hasMarkers(edited) ? 'conflict markers are left' : undefined
  if (edited === undefined || failed !== undefined) {
    say(`${update.name}: ${failed}: nothing was changed`)
    remember(exitCodes.refused)
    return false
  }
  await resolve(task, update, { action: 'replace', contents: edited, ...seen })
  return true
}

function hasMarkers(text: Uint8Array): boolean {
  const lines = Buffer.from(text).toString('latin1')
  return /^<{7} /m.test(lines) && /^>{7} /m.test(lines)
}
