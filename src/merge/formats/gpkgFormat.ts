// Gentoo's packages (.gpkg.tar, GLEP 78): a tar of tars, and a Manifest that has the digests of its members.

import { createHash, type Hash } from 'node:crypto'
import { ByteSource } from '../archive/byteSource.ts'
import type { Format, Head, Reading } from '../archive/format.ts'
import type { Member } from '../archive/member.ts'
import { PackageArchive } from '../archive/packageArchive.ts'
import { readTar } from '../archive/tarReader.ts'
import { payloadOf } from './packageText.ts'

/** The Manifest's names of digests, and node:crypto's; others are passed over, but one of these has to be there. */
const algorithms: Readonly<Record<string, string>> = { BLAKE2B: 'blake2b512', SHA512: 'sha512', SHA256: 'sha256' }

/** Gentoo's packages since 2022. */
export const gpkgFormat: Format = {
  name: 'gpkg',
  reads: 'plain',
  recognises: ({ firstPath = '' }: Head) => /^[^/]+\/gpkg-1$/.test(firstPath),
  open: (source: ByteSource, reading: Reading) => new GpkgArchive(source, reading),
}

/** What a member of the outer tar was seen to be. */
interface Seen {
  readonly size: number
  readonly hashes: ReadonlyMap<string, Hash>
}

/** What the Manifest says of one. */
interface Promised {
  readonly size: number
  /** Hexadecimal, by the Manifest's name of the algorithm. */
  readonly digests: ReadonlyMap<string, string>
}

class GpkgArchive extends PackageArchive {
  readonly #seen = new Map<string, Seen>()
  #promised: ReadonlyMap<string, Promised> | undefined;

  *members(): Generator<Member> {
    let top: string | undefined
    for (const part of readTar(this.source, { headerBytes: this.reading.limits.headerBytes })) {
      const [, directory = '', name = ''] = /^([^/]+)\/([^/]*)$/.exec(part.path) ?? []
      if (top === undefined && name !== 'gpkg-1') throw this.source.corrupt('the first member is not gpkg-1')
      top ??= directory
      if (directory !== top || part.type !== 'file') {
        throw this.source.corrupt('is no part of a Gentoo package', { entry: part.path })
      }
      if (this.#seen.has(name)) throw this.source.corrupt('comes twice', { entry: part.path })
      yield* this.#part(name, part)
    }
    this.#check()
  }

  *#part(name: string, part: Member): Generator<Member> {
    if (name === 'Manifest') {
      this.#promised = parseManifest(payloadOf(part, this.source).toString('latin1'))
      return
    }
    const hashes = new Map(Object.entries(algorithms).map(([word, algorithm]) => [word, createHash(algorithm)]))
    this.#seen.set(name, { size: part.size, hashes })
    const payload = new ByteSource(this.source.image, watched(part.payload, hashes), part.payload?.offset)
    if (/^image\.tar(\.|$)/.test(name) && !name.endsWith('.sig')) yield* this.#image(payload)
    else if (/^metadata\.tar(\.|$)/.test(name) && !name.endsWith('.sig')) this.#metadata(payload)
    payload.drain()
  }

  /** Every name of the image begins with `image/`. */
  *#image(payload: ByteSource): Generator<Member> {
    const within = (path: string | undefined) => {
      const [, inside] = /^(?:\.\/)?image(?:\/(.*))?$/s.exec(path ?? '') ?? []
      if (path !== undefined && inside === undefined && !/^(\.\/)?image$/.test(path)) {
        throw payload.corrupt('does not lie in image/', { entry: path })
      }
      return inside === undefined || inside === '' ? '.' : inside
    }
    for (const member of this.tarIn(payload)) {
      const target = member.type === 'link' ? { target: within(member.target) } : {}
      yield { ...member, path: within(member.path), ...target }
    }
  }

  #metadata(payload: ByteSource): void {
    const texts = new Map<string, string>()
    for (const member of this.tarIn(payload)) {
      const name = member.path.replace(/^(\.\/)?metadata\//, '')
      if (name === 'CATEGORY' || name === 'PF') {
        texts.set(name, payloadOf(member, payload).toString('latin1').trim())
      }
    }
    const [category, name] = [texts.get('CATEGORY'), texts.get('PF')]
    if (category === undefined || name === undefined) return
    const [, version] = /-(\d[^-]*(?:-r\d+)?)$/.exec(name) ?? []
    this.facts = { packageName: `${category}/${name}`, ...(version === undefined ? {} : { version }) }
  }

  /** Every part is in the Manifest, as it was; GLEP 78 demands it of all but the Manifest itself. */
  #check(): void {
    const fail = (reason: string, entry?: string) => this.source.corrupt(reason, entry === undefined ? {} : { entry })
    if (this.#promised === undefined) throw fail('the package has no Manifest')
    if (![...this.#seen.keys()].some((name) => name.startsWith('image.tar'))) throw fail('the package has no image')
    for (const name of this.#promised.keys()) {
      if (!this.#seen.has(name)) throw fail('is in the Manifest, but not in the package', name)
    }
    for (const [name, { size, hashes }] of this.#seen) {
      const promised = this.#promised.get(name)
      if (promised === undefined) {
        if (name === 'gpkg-1' || name.endsWith('.sig')) continue
        throw fail('is not in the Manifest', name)
      }
      if (promised.size !== size) throw fail(`has ${size} bytes, and the Manifest says ${promised.size}`, name)
      for (const [algorithm, value] of promised.digests) {
        const actual = hashes.get(algorithm)?.digest('hex')
        if (actual !== value) throw fail(`its ${algorithm} is ${actual}, and the Manifest says ${value}`, name)
      }
    }
  }
}

function* watched(payload: ByteSource | undefined, hashes: ReadonlyMap<string, Hash>): Generator<Buffer> {
  for (const chunk of payload ?? []) {
    for (const hash of hashes.values()) hash.update(chunk)
    yield chunk
  }
}

/** `DATA name size ALGORITHM digest …`, inside an OpenPGP signature or not. Lines of other kinds mean nothing here. */
function parseManifest(text: string): ReadonlyMap<string, Promised> {
  const promised = new Map<string, Promised>()
  for (const line of text.split('\n')) {
    const [kind, name = '', size = '', ...pairs] = line.trimEnd().split(' ')
    if (kind !== 'DATA' || !/^\d+$/.test(size)) continue
    const digests = new Map<string, string>()
    for (let at = 0; at + 1 < pairs.length; at += 2) {
      if ((pairs[at] ?? '') in algorithms) digests.set(pairs[at] ?? '', pairs[at + 1]?.toLowerCase() ?? '')
    }
    if (digests.size > 0) promised.set(name, { size: Number(size), digests })
  }
  return promised
}
