// apk's database of installed packages: one text file, a letter and a colon before each fact.

import { joinName, type Name } from '../../sys/index.ts'
import type { RecordedEntry, Unknown } from '../entry.ts'

import { type DatabaseFiles, linesOf } from './databaseFiles.ts'
import { type ForeignDatabase, type ForeignPackage, type ForeignSource, unknownEntry } from './foreign.ts'

/** apk 3 moves it where /lib is /usr/lib. */
const places = ['lib/apk/db/installed', 'usr/lib/apk/db/installed']

const ofDirectories: ReadonlySet<Unknown> = new Set(['mtime', 'xattrs'])
/** A file, a symlink or a device: apk's database does not say. Its digest is of a symlink's target. */
const ofFiles: ReadonlySet<Unknown> = new Set(['type', 'size', 'mtime', 'link', 'device', 'xattrs'])

/** apk's database. */
export const apk: ForeignDatabase = {
  places,
  read({ files, cancel }: ForeignSource): ForeignPackage[] {
    const file = places.find((place) => files.has(place)) ?? ''
    const reader = new InstalledReader(files, file)
    linesOf(files.wholeText(file)).forEach((line, index) => {
      cancel.check()
      reader.take(line, index + 1)
    })
    return reader.finish()
  },
}

/** Owner and mode, `uid:gid:mode` with more behind it that is not read. */
interface Access {
  readonly uid: number
  readonly gid: number
  readonly mode: number
}

type Corrupt = (reason: string) => Error

class InstalledReader {
  readonly #files: DatabaseFiles
  readonly #file: Name
  readonly #packages: ForeignPackage[] = []
  #name: string | undefined
  #entries: RecordedEntry[] = []
  #directory: Name = ''
  /** apk 3 digests with sha256, of which it keeps as much as a sha1 has (flag S of the package). */
  #algorithm: 'sha1' | 'sha256' = 'sha1'

  /** Whether an owner, a mode or a checksum would be about the last entry: the top directory is none. */
  #hasSubject = false
  readonly #takers: Readonly<Record<string, (value: string, corrupt: Corrupt) => void>> = {
    P: (value) => {
      this.#name = value
    },
    f: (value) => {
      this.#algorithm = value.includes('S') ? 'sha256' : 'sha1'
    },
    F: (value) => this.#enter(value),
    M: (value, corrupt) => this.#change(parseAccess(value, corrupt)),
    R: (value) => this.#add(joinName(this.#directory, value)),
    a: (value, corrupt) => this.#change(parseAccess(value, corrupt)),
    Z: (value, corrupt) =>
      this.#change({ foreignDigest: { algorithm: this.#algorithm, value: parseDigest(value, corrupt) } }),
  }

  constructor(files: DatabaseFiles, file: Name) {
    this.#files = files
    this.#file = file
  }

  take(line: string, number: number): void {
    if (line === '') return this.#endPackage()
    const corrupt = (reason: string) => this.#files.corrupt(this.#file, number, reason)
    if (line[1] !== ':') throw corrupt('this is not a letter and a colon')
    this.#takers[line[0] ?? '']?.(line.slice(2), corrupt)
  }

  finish(): ForeignPackage[] {
    this.#endPackage()
    return this.#packages
  }

  #enter(directory: Name): void {
    this.#directory = directory
    this.#hasSubject = directory !== ''
    if (this.#hasSubject) {
      this.#entries.push({ ...unknownEntry(directory, 'directory', ofDirectories), mode: 0o755 })
    }
  }

  #add(name: Name): void {
    this.#hasSubject = true
    this.#entries.push({ ...unknownEntry(name, this.#files.typeOf(name) ?? 'file', ofFiles), mode: 0o644 })
  }

  /** What follows a name is about it. */
  #change(facts: Partial<RecordedEntry>): void {
    const last = this.#hasSubject ? this.#entries.pop() : undefined
    if (last !== undefined) this.#entries.push({ ...last, ...facts })
  }

  #endPackage(): void {
    if (this.#name !== undefined) this.#packages.push({ name: this.#name, entries: this.#entries })
    this.#name = undefined
    this.#entries = []
    this.#directory = ''
    this.#algorithm = 'sha1'
  }
}

function parseAccess(text: string, corrupt: Corrupt): Access {
  const [uid = '', gid = '', mode = ''] = text.split(':')
  if (!/^\d+$/.test(uid) || !/^\d+$/.test(gid) || !/^[0-7]+$/.test(mode)) throw corrupt('no valid owner and mode')
  return { uid: Number(uid), gid: Number(gid), mode: Number.parseInt(mode, 8) & 0o7777 }
}

/** `Q1` and base64 of twenty bytes; the oldest databases have hexadecimal md5 sums, which apk 2.0 replaced. */
function parseDigest(text: string, corrupt: Corrupt): string {
  const digest = /^Q[12]([A-Za-z0-9+/]+=*)$/.exec(text)?.[1]
  if (digest === undefined) throw corrupt('no valid checksum')
  return Buffer.from(digest, 'base64').toString('hex')
}
