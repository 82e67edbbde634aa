// What an update would change in a live file, as a unified diff and lines about type, mode, owner and link.

import { structuredPatch } from 'diff'
import type { Stat } from '../../sys/index.ts'

/** One side of the comparison. */
export interface Side {
  /** For the heading. */
  readonly label: string
  /** Absent where there is nothing. */
  readonly stat?: Stat
  /** A file's contents, one byte a character; absent where it is too large to be shown. */
  readonly text?: string
  /** Where a symlink points. */
  readonly target?: string
}

const contextLines = 3
/** Longer searches for the shortest difference end here: the diff is then one of two whole texts. Milliseconds. */
const patience = 5000

/** The difference, one byte a character; '' when there is none. */
export function describeDifference(live: Side, update: Side): string {
  const described = describeMetadata(live, update) + describeContents(live, update)
  return described === '' ? '' : `--- ${live.label}\n+++ ${update.label}\n${described}`
}

function describeMetadata({ stat: before }: Side, { stat: after }: Side): string {
  if (before === undefined || after === undefined) return ''
  const octal = (mode: number) => mode.toString(8).padStart(4, '0')
  const rows: [string, string, string][] = [
    ['type', before.type, after.type],
    ['mode', octal(before.mode), octal(after.mode)],
    ['owner', `${before.uid}:${before.gid}`, `${after.uid}:${after.gid}`],
  ]
  const isLink = before.type === 'symlink' || after.type === 'symlink'
  return rows
    .filter(([what, one, other]) => one !== other && !(isLink && what === 'mode'))
    .map(([what, one, other]) => `${what} ${one} -> ${other}\n`)
    .join('')
}

function describeContents(live: Side, update: Side): string {
  if (isTooLarge(live) || isTooLarge(update)) return 'Files are too large to be compared\n'
  const [before, after] = [textOf(live), textOf(update)]
  if (before === after) return ''
  if (before.includes('\0') || after.includes('\0')) return 'Binary files differ\n'
  const options = { context: contextLines, timeout: patience }
  const patch = structuredPatch('', '', before, after, '', '', options)
  if (patch === undefined) return 'Files differ in too many lines to be shown\n'
  return patch.hunks
    .map(({ oldStart, oldLines, newStart, newLines, lines }) =>
      [`@@ -${oldStart},${oldLines} +${newStart},${newLines} @@`, ...lines].map((line) => `${line}\n`).join(''),
    )
    .join('')
}

function isTooLarge({ stat, text }: Side): boolean {
  return stat?.type === 'file' && text === undefined
}

function textOf({ text, target }: Side): string {
  return text ?? (target === undefined ? '' : `link to ${target}`)
}
