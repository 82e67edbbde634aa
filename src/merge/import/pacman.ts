// pacman's local database: a directory a package with desc, files and mtree.

import { gunzipSync } from 'node:zlib'
import type { Name } from '../../sys/index.ts'
import { type Accounts, accountsOf } from '../accounts.ts'
import { type RecordedEntry, type Unknown, unknowns } from '../entry.ts'
import { type DatabaseFiles, linesOf } from './databaseFiles.ts'
import { type ForeignDatabase, type ForeignPackage, type ForeignSource, unknownEntry } from './foreign.ts'
import { parseManifest } from './mtreeManifest.ts'

const database = 'var/lib/pacman/local'

/** Of a name in `files` that the mtree does not have, or where there is none. */
const nothingKnown: ReadonlySet<Unknown> = new Set(unknowns.filter((fact) => fact !== 'missing'))

/** pacman's database. */
export const pacman: ForeignDatabase = {
  places: [database],
  read({ files, cancel }: ForeignSource): ForeignPackage[] {
    const accounts = accountsOf(files.root)
    return files
      .names(database)
      .filter((directory) => files.has(`${database}/${directory}/desc`))
      .map((directory) => {
        cancel.check()
        return readPackage(files, `${database}/${directory}`, accounts)
      })
  },
}

function readPackage(files: DatabaseFiles, directory: Name, accounts: Accounts): ForeignPackage {
  const description = `${directory}/desc`
  const [name] = sectionsOf(files.wholeText(description)).get('NAME') ?? []
  if (name === undefined) throw files.corrupt(description, 1, 'there is no %NAME%')
  const sections = sectionsOf(files.wholeText(`${directory}/files`))
  const backup = new Set((sections.get('BACKUP') ?? []).map((line) => line.replace(/\t.*$/, '')))
  const known = readManifest(files, `${directory}/mtree`, accounts)
  const entries = (sections.get('FILES') ?? []).map((listed): RecordedEntry => {
    const path = listed.replace(/\/$/, '')
    const typeNow = () => (listed.endsWith('/') ? 'directory' : (files.typeOf(path) ?? 'file'))
    const entry = known.get(path) ?? unknownEntry(path, typeNow(), nothingKnown)
    return backup.has(path) ? { ...entry, isConfig: true } : entry
  })
  return { name, entries }
}

/** `%SECTION%`, lines, an empty line. */
function sectionsOf(text: string): Map<string, string[]> {
  const sections = new Map<string, string[]>()
  let lines: string[] = []
  for (const line of linesOf(text)) {
    const section = /^%([A-Z0-9]+)%$/.exec(line)?.[1]
    if (section !== undefined) {
      lines = []
      sections.set(section, lines)
    } else if (line !== '') lines.push(line)
  }
  return sections
}

/** What the package's own mtree says, by name; `pacman -Qkk` compares whole seconds. */
function readManifest(files: DatabaseFiles, file: Name, accounts: Accounts): ReadonlyMap<Name, RecordedEntry> {
  const bytes = files.bytes(file)
  if (bytes === undefined) return new Map()
  const corrupt = (line: number, reason: string) => files.corrupt(file, line, reason)
  const entries = parseManifest(inflate(bytes, corrupt).toString('latin1'), { accounts, corrupt })
  return new Map(entries.map((entry) => [entry.name, { ...entry, unknown: new Set(entry.unknown).add('nanoseconds') }]))
}

function inflate(bytes: Buffer, corrupt: (line: number, reason: string) => Error): Buffer {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes
  try {
    return gunzipSync(bytes)
  } catch (error) {
    throw corrupt(1, `it cannot be decompressed: ${(error as Error).message}`)
  }
}
