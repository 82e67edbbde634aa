// dpkg's database: names of everything, md5 sums of most regular files, and no more than that (deb-md5sums(5)).

import { type Name, parentName } from '../../sys/index.ts'
import type { RecordedEntry, Unknown } from '../entry.ts'
import { type DatabaseFiles, linesOf } from './databaseFiles.ts'
import { type ForeignDatabase, type ForeignPackage, type ForeignSource, unknownEntry } from './foreign.ts'

const database = 'var/lib/dpkg'

/** What dpkg knows of nothing. */
const neverKnown: readonly Unknown[] = ['size', 'mode', 'owner', 'group', 'mtime', 'link', 'device', 'xattrs']
const ofFiles: ReadonlySet<Unknown> = new Set(neverKnown)
/** `dpkg --verify` looks at the type of what has an md5 sum, and of nothing else. */
const ofOthers: ReadonlySet<Unknown> = new Set(['type', ...neverKnown])

/** dpkg's database. */
export const dpkg: ForeignDatabase = {
  places: [`${database}/status`],
  read({ files, cancel }: ForeignSource): ForeignPackage[] {
    const diverted = readDiversions(files)
    return readStatus(files).flatMap((stanza) => {
      cancel.check()
      return stanza.isInstalled ? [readPackage(files, stanza, diverted)] : []
    })
  },
}

/** A package of the status file. */
interface Stanza {
  readonly name: string
  readonly architecture: string
  readonly isInstalled: boolean
  /** md5 sums by name; '' where none is known yet. */
  readonly conffiles: ReadonlyMap<Name, string>
}

/** The status file, and over it what a running or killed dpkg has not written there yet (updates/NNNN). */
function readStatus(files: DatabaseFiles): Stanza[] {
  const updates = files.names(`${database}/updates`).filter((name) => /^\d+$/.test(name))
  const stanzas = new Map<string, Stanza>()
  for (const file of [`${database}/status`, ...updates.map((name) => `${database}/updates/${name}`)]) {
    let line = 1
    for (const text of files.wholeText(file).split(/\n\n+/)) {
      if (text.trim() !== '') {
        const stanza = parseStanza(text, (reason) => files.corrupt(file, line, reason))
        stanzas.set(`${stanza.name}:${stanza.architecture}`, stanza)
      }
      line += text.split('\n').length + 1
    }
  }
  return [...stanzas.values()]
}

function parseStanza(text: string, corrupt: (reason: string) => Error): Stanza {
  const field = (name: string) => new RegExp(`^${name}:[ \t]*(.*(?:\n[ \t].*)*)`, 'im').exec(text)?.[1]
  const name = field('Package')
  const state = field('Status')?.split(' ').at(-1)
  if (name === undefined || state === undefined) throw corrupt('a package without a name or a status')
  return {
    name,
    architecture: field('Architecture') ?? '',
    isInstalled: state !== 'not-installed',
    conffiles: parseConffiles(field('Conffiles') ?? ''),
  }
}

/** ` /etc/name md5 [obsolete] [remove-on-upgrade]`; `newconffile` stands where the sum is not known yet. */
function parseConffiles(field: string): Map<Name, string> {
  const found = new Map<Name, string>()
  for (const line of field.split('\n')) {
    const match = /^[ \t]*\/(.*?) (\S+)((?: obsolete| remove-on-upgrade)*)$/.exec(line)
    if (match !== null) found.set(match[1] ?? '', /^[0-9a-f]{32}$/.test(match[2] ?? '') ? (match[2] ?? '') : '')
  }
  return found
}

interface Diversion {
  readonly to: Name
  /** Whose file stays where it is; `:` for an administrator's diversion, which moves everybody's. */
  readonly by: string
}

/** Three lines each: from, to, by whom. */
function readDiversions(files: DatabaseFiles): Map<Name, Diversion> {
  const file = `${database}/diversions`
  const lines = linesOf(files.wholeText(file))
  const found = new Map<Name, Diversion>()
  for (let at = 0; at < lines.length; at += 3) {
    const [from = '', to = '', by] = lines.slice(at, at + 3)
    if (by === undefined || !from.startsWith('/') || !to.startsWith('/')) {
      throw files.corrupt(file, at + 1, 'a diversion is three lines: from, to, package')
    }
    found.set(from.slice(1), { to: to.slice(1), by })
  }
  return found
}

function readPackage(files: DatabaseFiles, stanza: Stanza, diversions: ReadonlyMap<Name, Diversion>): ForeignPackage {
  const { name, architecture, conffiles } = stanza
  const qualified = `${name}:${architecture}`
  const isQualified = files.has(`${database}/info/${qualified}.list`)
  const base = `${database}/info/${isQualified ? qualified : name}`
  const sums = readSums(files, `${base}.md5sums`)
  const names = readList(files, `${base}.list`)
  const parents = new Set(names.map(parentName))
  const entries = names.map((listed): RecordedEntry => {
    const diversion = diversions.get(listed)
    const live = diversion === undefined || diversion.by === name ? listed : diversion.to
    const sum = conffiles.get(listed) || sums.get(listed)
    const config = conffiles.has(listed) ? { isConfig: true } : {}
    if (sum !== undefined) {
      const foreignDigest = { algorithm: 'md5', value: sum } as const
      return { ...unknownEntry(live, 'file', ofFiles), foreignDigest, ...config }
    }
    const type = parents.has(listed) ? 'directory' : (files.typeOf(live) ?? 'file')
    return { ...unknownEntry(live, type, ofOthers), ...config }
  })
  return { name: isQualified ? qualified : name, entries }
}

/** One path a line, the first one `/.`. dpkg takes a missing list for an empty one, and says so only. */
function readList(files: DatabaseFiles, file: Name): Name[] {
  return linesOf(files.wholeText(file)).flatMap((line, index) => {
    if (!line.startsWith('/')) throw files.corrupt(file, index + 1, 'this is not a path')
    return line === '/.' ? [] : [line.slice(1)]
  })
}

/** `md5  name`, as md5sum writes it; names are relative to the root. */
function readSums(files: DatabaseFiles, file: Name): Map<Name, string> {
  const sums = new Map<Name, string>()
  linesOf(files.text(file) ?? '').forEach((line, index) => {
    const match = /^([0-9a-f]{32}) [ *](?:\.?\/)?(.+)$/.exec(line)
    if (match === null) throw files.corrupt(file, index + 1, 'this is not an md5 sum and a name')
    sums.set(match[2] ?? '', match[1] ?? '')
  })
  return sums
}
