// Portage's CONTENTS, read as Portage reads it (vartree.py, _contents_re): a line an entry, without escapes. Times before
// 1970 are read too: Portage writes them, and does not know such lines when it reads them.

import type { Name } from '../../sys/index.ts'
import type { RecordedEntry, Unknown } from '../entry.ts'
import { linesOf } from './databaseFiles.ts'
import { unknownEntry } from './foreign.ts'

const unsaid: readonly Unknown[] = ['size', 'mode', 'owner', 'group', 'nanoseconds', 'xattrs']
const withTime: ReadonlySet<Unknown> = new Set(unsaid)
const withoutTime: ReadonlySet<Unknown> = new Set([...unsaid, 'mtime'])
/** `dev` does not say which kind, nor of what. */
const ofDevices: ReadonlySet<Unknown> = new Set([...unsaid, 'mtime', 'type', 'device'])

type Read = (fields: readonly string[]) => RecordedEntry

/** By the word that a line begins with: what the rest looks like, and what it says. A leading slash belongs to each name. */
const lines: Readonly<Record<string, readonly [pattern: RegExp, read: Read]>> = {
  dir: [/^\/(.+)$/, ([name = '']) => unknownEntry(name, 'directory', withoutTime)],
  fif: [/^\/(.+)$/, ([name = '']) => unknownEntry(name, 'fifo', withoutTime)],
  dev: [/^\/(.+)$/, ([name = '']) => unknownEntry(name, 'character', ofDevices)],
  obj: [
    /^\/(.+) ([0-9a-f]{32}) (-?\d+)$/,
    ([name = '', value = '', seconds = '']) => ({
      ...unknownEntry(name, 'file', withTime),
      mtimeNs: nanoseconds(seconds),
      foreignDigest: { algorithm: 'md5', value },
    }),
  ],
  // The last ` -> ` counts, as with Portage. An old form had a stat tuple for the time (bug 351814), its eighth number.
  sym: [
    /^\/(.+) -> (.+) (?:(-?\d+)|\((?:\d+L?, ){7}(\d+)L?, \d+\))$/,
    ([name = '', target = '', seconds, oldSeconds = '']) => ({
      ...unknownEntry(name, 'symlink', withTime),
      target,
      mtimeNs: nanoseconds(seconds ?? oldSeconds),
    }),
  ],
}

function nanoseconds(seconds: string): bigint {
  return BigInt(seconds) * 1_000_000_000n
}

/**
 * The entries of a CONTENTS file.
 *
 * @param text     one character a byte
 * @param corrupt  makes the error that a line is, counted from 1
 */
export function parseContents(text: Name, corrupt: (line: number, reason: string) => Error): RecordedEntry[] {
  return linesOf(text).map((line, index) => {
    const [pattern, read] = lines[line.slice(0, 3)] ?? []
    const match = line[3] === ' ' ? pattern?.exec(line.slice(4)) : undefined
    if (match == null || read === undefined) throw corrupt(index + 1, 'this is not an entry of CONTENTS')
    return read(match.slice(1))
  })
}
