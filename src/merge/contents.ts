// A package's record in Portage's CONTENTS format: a line an entry, no escapes, md5 and whole seconds.

import type { EngineContext } from '../sys/engineThread.ts'
import { displayName, type FileType, type Name, nameBytes } from '../sys/index.ts'
import type { EntryFacts, RecordedEntry } from './entry.ts'
import { type Inexpressible, InexpressibleError } from './errors.ts'
import { withLiveFacts } from './liveFacts.ts'
import { checkRecordedName } from './packageName.ts'
import { recordedMd5 } from './recordedMd5.ts'
import { type RootOptions, reading } from './session.ts'

/** How Portage calls each type; it has no word for a socket, which it never merges. */
const words: Readonly<Record<FileType, string | undefined>> = {
  file: 'obj',
  directory: 'dir',
  symlink: 'sym',
  fifo: 'fif',
  character: 'dev',
  block: 'dev',
  socket: undefined,
}

type Facts = Pick<EntryFacts, 'name' | 'type' | 'mtimeNs' | 'target'>

/** What CONTENTS cannot say, and why: Portage would read another name there, or none (its vartree.py). */
const limits: readonly (readonly [reason: string, isBeyond: (entry: Facts) => boolean])[] = [
  ['Portage has no word for its type', ({ type }) => words[type] === undefined],
  ['a line feed or carriage return would end the line', ({ name, target = '' }) => /[\n\r]/.test(name + target)],
  ['the name is not UTF-8', ({ name, target = '' }) => !isUtf8(name) || !isUtf8(target)],
  // The blank behind an arrow may be the first of the next one.
  ["the target has ' -> ' in it, where Portage would cut the name", ({ target = '' }) => / -> |^-> /.test(target)],
  ['a time before 1970 has no place there', ({ type, mtimeNs }) => hasTime(type) && mtimeNs < 0n],
]

function isUtf8(name: Name): boolean {
  const bytes = nameBytes(name)
  return Buffer.from(bytes.toString('utf8'), 'utf8').equals(bytes)
}

function hasTime(type: FileType): boolean {
  return type === 'file' || type === 'symlink'
}

/** Demands that CONTENTS can say all of some entries. @throws {InexpressibleError} with each that it cannot */
export function checkExpressible(packageName: string, entries: Iterable<Facts>): void {
  const found: Inexpressible[] = []
  for (const entry of entries) {
    const limit = limits.find(([, isBeyond]) => isBeyond(entry))
    if (limit !== undefined) found.push({ name: displayName(entry.name), reason: limit[0] })
  }
  if (found.length > 0) throw new InexpressibleError(packageName, found)
}

/**
 * A package's record as CONTENTS; md5 sums are taken of the files as they are, if they still are what was recorded.
 *
 * @throws {InexpressibleError} with every name that it cannot say, or whose file is another by now
 */
export function formatContents(engine: EngineContext, options: RootOptions & { readonly package: string }): Uint8Array {
  return reading(engine, options, ({ root, state }) => {
    const packageName = checkRecordedName(options.package)
    const entries = state.record(packageName).entries.map((entry) => withLiveFacts(root, entry))
    checkExpressible(packageName, entries)
    const changed: Inexpressible[] = []
    const lines = entries.map((entry) => {
      engine.cancel.check()
      const md5 = entry.type === 'file' ? recordedMd5(root, entry) : ''
      if (md5 === undefined) changed.push({ name: displayName(entry.name), reason: 'the file is not as recorded' })
      return `${lineOf(entry, md5 ?? '')}\n`
    })
    if (changed.length > 0) throw new InexpressibleError(packageName, changed)
    return nameBytes(lines.join(''))
  })
}

function lineOf({ name, type, target, mtimeNs }: RecordedEntry, md5: string): string {
  const start = `${words[type]} /${name}`
  const seconds = mtimeNs / 1_000_000_000n
  if (type === 'file') return `${start} ${md5} ${seconds}`
  return type === 'symlink' ? `${start} -> ${target} ${seconds}` : start
}
