// Arch's packages (.pkg.tar.*): a tar whose first members, with a dot before their names, speak of the package.

import { gunzipSync } from 'node:zlib'
import type { Name } from '../../sys/index.ts'
import type { ByteSource } from '../archive/byteSource.ts'
import type { Format, Head, Reading } from '../archive/format.ts'
import type { Digest, Member } from '../archive/member.ts'
import { PackageArchive } from '../archive/packageArchive.ts'
import { readTar } from '../archive/tarReader.ts'
import type { RecordedEntry } from '../entry.ts'
import { parseManifest } from '../import/mtreeManifest.ts'
import { isApk } from './apkFormat.ts'
import { keysOf, nameAndVersion, payloadOf } from './packageText.ts'

/** Unpacked, the largest .MTREE of Arch has some twenty mebibytes. */
const mostManifestBytes = 256 * 1024 * 1024

/** Arch's packages, as makepkg makes them. */
export const pacmanFormat: Format = {
  name: 'pacman',
  reads: 'plain',
  recognises: (head: Head) => /^\.(BUILDINFO|MTREE|PKGINFO)$/.test(head.firstPath ?? '') && !isApk(head),
  open: (source: ByteSource, reading: Reading) => new PacmanArchive(source, reading),
}

class PacmanArchive extends PackageArchive {
  /** What .MTREE promises, by name; each file that comes is taken out. */
  #promised: Map<Name, RecordedEntry> | undefined
  #hasFacts = false
  #hasPayload = false;

  /** As pacman does: nothing with a dot before its name belongs to the root. */
  *members(): Generator<Member> {
    const { headerBytes } = this.reading.limits
    for (const member of readTar(this.source, { ...this.reading, headerBytes })) {
      if (/^\.[^./]/.test(member.path)) this.#speakOf(member)
      else yield this.#checked(member)
    }
    if (!this.#hasFacts) throw this.source.corrupt('the package has no .PKGINFO')
    const [missing] = this.#promised ?? []
    if (missing !== undefined)
      throw this.source.corrupt('a file of .MTREE is not in the package', { entry: missing[0] })
  }

  #speakOf(member: Member): void {
    if (member.path === '.PKGINFO') {
      const keys = keysOf(payloadOf(member, this.source).toString('latin1'))
      this.facts = { ...nameAndVersion(keys), configFiles: keys.get('backup') ?? [] }
      this.#hasFacts = true
    } else if (member.path === '.MTREE') {
      if (this.#hasPayload) throw this.source.corrupt('its .MTREE comes behind files that it should vouch for')
      this.#promised = this.#readManifest(payloadOf(member, this.source))
      this.facts = { ...this.facts, digests: digestsOf(this.#promised) }
    }
  }

  #readManifest(bytes: Buffer): Map<Name, RecordedEntry> {
    const corrupt = (line: number, reason: string) => this.source.corrupt(`.MTREE:${line}: ${reason}`)
    let text: string
    try {
      text = gunzipSync(bytes, { maxOutputLength: mostManifestBytes }).toString('latin1')
    } catch (cause) {
      throw this.source.corrupt('its .MTREE cannot be decompressed', { cause })
    }
    const nobody = { uid: () => undefined, gid: () => undefined }
    const entries = parseManifest(text, { accounts: nobody, corrupt })
    const files = entries.filter(({ name, type }) => type === 'file' && !name.startsWith('.'))
    return new Map(files.map((entry) => [entry.name, entry]))
  }

  /** A member with what .MTREE promises of it. A hard link has its file's contents, so it is only crossed off. */
  #checked(member: Member): Member {
    this.#hasPayload = true
    if (this.#promised === undefined || (member.type !== 'file' && member.type !== 'link')) return member
    const name = member.path.replace(/^(\.\/)+/, '')
    const promised = this.#promised.get(name)
    const fail = (reason: string) => this.source.corrupt(reason, { entry: member.path })
    if (promised === undefined) throw fail('is not in .MTREE')
    this.#promised.delete(name)
    if (member.type === 'link') return member
    if (!promised.unknown?.has('size') && promised.size !== member.size) throw fail('has another size than .MTREE says')
    const digest = digestOf(promised)
    return digest === undefined ? member : { ...member, digest }
  }
}

function digestOf({ sha256, foreignDigest }: RecordedEntry): Digest | undefined {
  return sha256 === undefined ? foreignDigest : { algorithm: 'sha256', value: sha256 }
}

function digestsOf(promised: ReadonlyMap<Name, RecordedEntry>): ReadonlyMap<Name, Digest> {
  const digests = new Map<Name, Digest>()
  for (const [name, entry] of promised) {
    const digest = digestOf(entry)
    if (digest !== undefined) digests.set(name, digest)
  }
  return digests
}
