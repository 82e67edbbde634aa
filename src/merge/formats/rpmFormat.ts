// rpm packages: a lead, a signature header, the header that knows every file, and a compressed cpio of the contents.
//
// All metadata are the header's, as with rpm itself; the cpio brings contents and which file they belong to.

import { createHash, type Hash } from 'node:crypto'
import type { Name } from '../../sys/index.ts'
import type { Accounts } from '../accounts.ts'
import { ByteSource } from '../archive/byteSource.ts'
import { decompressed } from '../archive/decompression.ts'
import type { Format, Head, PackageFacts, Reading } from '../archive/format.ts'
import type { Digest, Member } from '../archive/member.ts'
import { PackageArchive } from '../archive/packageArchive.ts'
import { capabilityBytes } from './capabilities.ts'
import { type CpioMember, readCpio } from './cpioReader.ts'
import { recordedRpmFile } from './rpmEntry.ts'
import { filesOf, type RpmFile, rpmPackageName, tags } from './rpmFiles.ts'
import { BadHeader, headerLength, RpmHeader } from './rpmHeader.ts'

const leadMagic = Buffer.from('edabeedb', 'hex')
const leadBytes = 96
const introBytes = 16

/** Tags of the signature header: what the header behind it digests to (rpmtag.h). */
const headerDigests: readonly (readonly [tag: number, algorithm: string])[] = [
  [269, 'sha1'],
  [273, 'sha256'],
]

/** rpm's packages of version 3 and 4: the binary ones. */
export const rpmFormat: Format = {
  name: 'rpm',
  reads: 'stored',
  recognises: ({ stored }: Head) => stored.subarray(0, leadMagic.length).equals(leadMagic),
  open: (source: ByteSource, reading: Reading) => new RpmArchive(source, reading),
}

class RpmArchive extends PackageArchive {
  *members(): Generator<Member> {
    const header = this.#readHeaders()
    const files = this.#understood(() => filesOf(header))
    this.facts = factsOf(header, files, this.reading.accounts)
    const payload = new WatchedPayload(this.source, header)
    const plain = decompressed(payload.source, this.reading)
    try {
      yield* new Payload(plain, files, this.reading).members()
      plain.drain()
    } finally {
      plain.close()
    }
    payload.finish()
  }

  #readHeaders(): RpmHeader {
    const lead = this.source.take(leadBytes)
    if (!lead.subarray(0, leadMagic.length).equals(leadMagic)) throw this.source.corrupt('there is no lead of an rpm')
    if (lead.readUInt16BE(6) === 1) throw this.source.corrupt('is a source package: there is nothing to merge in it')
    const signature = this.#readHeader()
    this.source.skip((8 - (signature.bytes.length % 8)) % 8)
    const { bytes, header } = this.#readHeader()
    for (const [tag, algorithm] of headerDigests) {
      const promised = signature.header.string(tag)
      const actual = createHash(algorithm).update(bytes).digest('hex')
      if (promised !== undefined && promised !== actual) {
        throw this.source.corrupt(`the ${algorithm} of its header is ${actual}, not ${promised}`)
      }
    }
    if (rpmPackageName(header) === undefined) throw this.source.corrupt('its header does not name the package')
    const format = header.string(tags.payloadFormat) ?? 'cpio'
    if (format !== 'cpio') throw this.source.corrupt(`its payload is a ${format}, not a cpio`)
    return header
  }

  #readHeader(): { bytes: Buffer; header: RpmHeader } {
    const intro = Buffer.from(this.source.peek(introBytes))
    const length = this.#understood(() => headerLength(intro))
    const bytes = Buffer.from(this.source.take(length))
    return { bytes, header: this.#understood(() => new RpmHeader(bytes)) }
  }

  #understood<T>(read: () => T): T {
    try {
      return read()
    } catch (error) {
      if (error instanceof BadHeader) throw this.source.corrupt(error.message)
      throw error
    }
  }
}

function factsOf(header: RpmHeader, files: readonly RpmFile[], accounts: Accounts): PackageFacts {
  const packageName = header.string(tags.name)
  const version = `${header.string(tags.version)}-${header.string(tags.release)}`
  const digests = new Map<Name, Digest>()
  for (const { name, digest } of files) if (digest !== undefined) digests.set(name, digest)
  const configFiles = files.filter(({ isConfig }) => isConfig).map(({ name }) => name)
  const ghosts = files.filter(({ isGhost }) => isGhost).map((file) => recordedRpmFile(file, accounts))
  return { ...(packageName === undefined ? {} : { packageName }), version, configFiles, digests, ghosts }
}

/** The compressed bytes, digested on their way where the header says what they digest to. */
class WatchedPayload {
  readonly source: ByteSource
  readonly #outer: ByteSource
  readonly #hash: Hash | undefined
  readonly #promised: string | undefined

  constructor(outer: ByteSource, header: RpmHeader) {
    this.#outer = outer
    this.#promised = header.string(tags.payloadDigest)
    const algorithm = header.numbers(tags.payloadDigestAlgorithm)[0] ?? 8
    this.#hash = this.#promised !== undefined && algorithm === 8 ? createHash('sha256') : undefined
    this.source = new ByteSource(outer.image, this.#watched(), outer.offset)
  }

  *#watched(): Generator<Buffer> {
    for (const chunk of this.#outer) {
      this.#hash?.update(chunk)
      yield chunk
    }
  }

  finish(): void {
    this.source.drain()
    const actual = this.#hash?.digest('hex')
    if (actual === this.#promised || actual === undefined) return
    throw this.#outer.corrupt(`the sha256 of its payload is ${actual}, not ${this.#promised}`)
  }
}

/** The files of one cpio, with what the header says of each. */
class Payload {
  readonly #source: ByteSource
  readonly #reading: Reading
  readonly #files: readonly RpmFile[]
  readonly #byName: ReadonlyMap<Name, RpmFile>
  /** What has not come yet; ghosts never come. */
  readonly #awaited: Set<RpmFile>
  /** Names of hard links that came before their contents, by inode: the last one brings them. */
  readonly #waiting = new Map<number, RpmFile[]>()

  constructor(source: ByteSource, files: readonly RpmFile[], reading: Reading) {
    this.#source = source
    this.#reading = reading
    this.#files = files
    this.#byName = new Map(files.map((file) => [file.name, file]))
    this.#awaited = new Set(files.filter(({ isGhost }) => !isGhost))
  }

  *members(): Generator<Member> {
    const namesOfInode = new Map<number, number>()
    for (const { type, inode, isGhost } of this.#files) {
      if (type === 'file' && !isGhost) namesOfInode.set(inode, (namesOfInode.get(inode) ?? 0) + 1)
    }
    for (const found of readCpio(this.#source)) {
      const file = this.#fileOf(found)
      if (file.type === 'file' && (namesOfInode.get(file.inode) ?? 1) > 1)
        yield* this.#linked(file, found, namesOfInode)
      else yield this.#member(file, found)
    }
    const [missing] = this.#awaited
    if (missing !== undefined) throw this.#source.corrupt('the payload has no such file', { entry: missing.name })
  }

  #fileOf({ path, place }: CpioMember): RpmFile {
    const name = path?.replace(/^\.?\/+/, '')
    const file = place === undefined ? this.#byName.get(name ?? '') : this.#files[place]
    if (file === undefined) throw this.#source.corrupt('is not in the header', { entry: path ?? `file ${place}` })
    if (!this.#awaited.delete(file)) throw this.#source.corrupt('comes twice, or is a ghost', { entry: file.name })
    return file
  }

  /** A name of an inode with several; the contents come with the last one of them. */
  *#linked(file: RpmFile, found: CpioMember, left: Map<number, number>): Generator<Member> {
    const others = this.#waiting.get(file.inode) ?? []
    const remaining = (left.get(file.inode) ?? 1) - others.length - 1
    const size = found.size ?? (remaining === 0 ? file.size : 0)
    if (remaining > 0) {
      if (size > 0) throw this.#source.corrupt('brings contents before the last of its links', { entry: file.name })
      this.#waiting.set(file.inode, [...others, file])
      return
    }
    this.#waiting.delete(file.inode)
    yield this.#member(file, found)
    for (const other of others) yield { ...this.#facts(other), type: 'link', size: 0, target: file.name }
  }

  #member(file: RpmFile, found: CpioMember): Member {
    const stored = found.size ?? (file.type === 'file' ? file.size : (file.target?.length ?? 0))
    const payload = found.payload(stored)
    if (file.type === 'symlink') {
      const target = payload.take(stored).toString('latin1')
      if (target !== file.target)
        throw this.#source.corrupt('points elsewhere than the header says', { entry: file.name })
      return this.#facts(file)
    }
    const expected = file.type === 'file' ? file.size : 0
    if (stored !== expected) {
      throw this.#source.corrupt(`has ${stored} bytes, and the header says ${expected}`, { entry: file.name })
    }
    if (file.type !== 'file') return this.#facts(file)
    return { ...this.#facts(file), payload, ...(file.digest === undefined ? {} : { digest: file.digest }) }
  }

  /** As rpm does: who the root does not know is root, and then the set-id bit that would be his is not given. */
  #facts(file: RpmFile): Member {
    const { accounts } = this.#reading
    const [uid, gid] = [accounts.uid(file.user), accounts.gid(file.group)]
    const withheld = file.type !== 'file' ? 0 : (uid === undefined ? 0o4000 : 0) | (gid === undefined ? 0o2000 : 0)
    const capability = capabilityBytes(file.capabilities)
    return {
      path: file.name,
      type: file.type,
      uid: uid ?? 0,
      gid: gid ?? 0,
      mode: file.mode & ~withheld,
      mtimeNs: file.mtimeNs,
      size: file.size,
      xattrs: capability === undefined ? [] : [{ name: 'security.capability', value: capability }],
      ...(file.target === undefined ? {} : { target: file.target }),
      ...(file.rdev === undefined ? {} : { rdev: file.rdev }),
    }
  }
}
