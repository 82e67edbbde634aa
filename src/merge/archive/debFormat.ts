// Debian packages: an ar archive of a version, a tar about the package (control.tar) and a tar of its files (data.tar).

import type { Name } from '../../sys/index.ts'
import { arMagic, readAr } from './arReader.ts'
import type { ByteSource } from './byteSource.ts'
import type { Format, Head, PackageFacts, Reading } from './format.ts'
import type { Digest, Member } from './member.ts'
import { PackageArchive } from './packageArchive.ts'

/** Bytes that one file about a package may have; the largest list of checksums in Debian has six million. */
const mostControlBytes = 64 * 1024 * 1024

/** Debian's .deb, of version 2. */
export const debFormat: Format = {
  name: 'deb',
  reads: 'stored',
  recognises: ({ stored }: Head) =>
    stored.subarray(0, arMagic.length).equals(arMagic) && stored.toString('latin1', 8, 21) === 'debian-binary',
  open: (source: ByteSource, reading: Reading) => new DebArchive(source, reading),
}

class DebArchive extends PackageArchive {
  *members(): Generator<Member> {
    const seen = new Set<string>()
    for (const { name, size, payload } of readAr(this.source)) {
      const part = partOf(name)
      if (part === undefined) {
        if (mayBePassedOver(name, seen)) continue
        throw this.source.corrupt('is no member that is known, and comes before data.tar', { entry: name })
      }
      // Who reads the first of two, as dpkg does, would see another package than who reads the last.
      if (seen.has(part)) throw this.source.corrupt('comes twice', { entry: part })
      if (part === 'debian-binary') checkVersion(payload, size)
      else if (part === 'control.tar') this.facts = this.#readControl(payload)
      else yield* this.#readData(payload, seen)
      seen.add(part)
    }
    for (const part of ['debian-binary', 'control.tar', 'data.tar'])
      if (!seen.has(part)) throw this.source.corrupt(`the package has no ${part}`)
  }

  /** The files, each with the md5 sum that the package promises of it; a conffile has none there. */
  *#readData(payload: ByteSource, seen: ReadonlySet<string>): Generator<Member> {
    if (!seen.has('control.tar')) throw payload.corrupt('data.tar comes before control.tar')
    for (const member of this.tarIn(payload)) {
      const isFile = member.type === 'file'
      const digest = isFile ? this.facts.digests?.get(member.path.replace(/^(\.?\/)+/, '')) : undefined
      yield digest === undefined ? member : { ...member, digest }
    }
  }

  #readControl(payload: ByteSource): PackageFacts {
    const texts = new Map<Name, string>()
    for (const member of this.tarIn(payload)) {
      const name = member.path.replace(/^\.\//, '')
      if (!['control', 'conffiles', 'md5sums'].includes(name) || member.payload === undefined) continue
      if (member.size > mostControlBytes) throw payload.corrupt('is too large', { entry: member.path })
      texts.set(name, member.payload.take(member.size).toString('latin1'))
    }
    const control = texts.get('control')
    if (control === undefined) throw payload.corrupt('the package has no control file')
    return factsOf(control, texts.get('conffiles') ?? '', texts.get('md5sums') ?? '')
  }
}

/** deb(5): its members, and how each may be compressed. */
const parts: Readonly<Record<string, readonly string[]>> = {
  'debian-binary': [''],
  'control.tar': ['', '.gz', '.xz', '.zst'],
  'data.tar': ['', '.gz', '.xz', '.zst', '.bz2', '.lzma'],
}

/** An unknown member before the files means a package that is too new to be understood. */
function mayBePassedOver(name: Name, seen: ReadonlySet<string>): boolean {
  return name.startsWith('_') || seen.has('data.tar')
}

function partOf(name: Name): string | undefined {
  return Object.keys(parts).find((part) => parts[part]?.some((ending) => name === part + ending))
}

function checkVersion(payload: ByteSource, size: number): void {
  const version = payload.take(Math.min(size, 16)).toString('latin1')
  if (!/^2\.[0-9]+\n/.test(version)) throw payload.corrupt(`a package of version '${version.trim()}', not 2.x`)
}

function factsOf(control: string, conffiles: string, md5sums: string): PackageFacts {
  const field = (name: string) => new RegExp(`^${name}:[ \t]*(.*)$`, 'im').exec(control)?.[1]?.trim()
  const packageName = field('Package')
  const version = field('Version')
  return {
    ...(packageName === undefined ? {} : { packageName }),
    ...(version === undefined ? {} : { version }),
    configFiles: conffilesOf(conffiles),
    digests: digestsOf(md5sums),
  }
}

/** One absolute path a line; a line with a flag (remove-on-upgrade) is of a file that the package no longer has. */
function conffilesOf(text: string): Name[] {
  const lines = text.split('\n').map((line) => line.replace(/[ \t\v\f\r]+$/, '')) // dpkg's c_isspace: of ASCII only
  return lines.filter((line) => line.startsWith('/')).map((line) => line.replace(/^\/+/, ''))
}

function digestsOf(text: string): ReadonlyMap<Name, Digest> {
  const digests = new Map<Name, Digest>()
  for (const line of text.split('\n')) {
    const match = /^([0-9a-f]{32}) [ *](.+)$/.exec(line)
    if (match !== null)
      digests.set((match[2] as string).replace(/^\.?\/+/, ''), { algorithm: 'md5', value: match[1] as string })
  }
  return digests
}
