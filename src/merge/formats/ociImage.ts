// Container images: layers of which each changes what is below it, read as the one tree that they make.
//
// The layers are read twice: first to learn which member of which layer every name comes from in the end, then to
// yield just those. A whiteout (`.wh.NAME`) takes a name of a lower layer away, an opaque directory (`.wh..wh..opq`)
// everything that lower layers have in it. Neither ever reaches beyond the image.

import { createHash, type Hash } from 'node:crypto'
import { type Name, PATH_MAX, parentName } from '../../sys/index.ts'
import { ByteSource } from '../archive/byteSource.ts'
import { decompressed } from '../archive/decompression.ts'
import type { Archive, Format, PackageFacts, Reading } from '../archive/format.ts'
import type { Digest, Member } from '../archive/member.ts'
import { memberName } from '../archive/memberName.ts'
import { readTar } from '../archive/tarReader.ts'
import { UnsafeEntryError } from '../errors.ts'
import { type Blobs, openBlobs } from './ociBlobs.ts'
import { type Layer, layersOf } from './ociManifest.ts'
import { ociName } from './ociName.ts'
import { whiteoutOf } from './ociWhiteouts.ts'

/**
 * The OCI's image layout, as a directory or a tar, and what `docker save` writes.
 *
 * It has to be named: by its beginning nothing tells it from any tree, or tar, of files. openOciImage() opens it, since
 * it is read more than once.
 */
export const ociFormat: Format = {
  name: ociName,
  reads: 'stored',
  recognises: () => false,
  open: (source) => {
    throw source.corrupt('a container image is opened by its path')
  },
}

/** A container image that is being read. */
export interface OciImage extends Archive {
  /** Bytes that were read so far. */
  readonly bytesRead: number
  close(): void
}

/** Opens an image: a layout's directory, or a tar of one. @throws {CorruptImageError} @throws {InvalidArgumentError} */
export function openOciImage(reading: Reading, path: Name): OciImage {
  const blobs = openBlobs(reading, path)
  const facts: PackageFacts = {}
  return {
    facts,
    get bytesRead() {
      return blobs.bytesRead
    },
    members: () => membersOf(blobs, reading, path),
    close: () => blobs.close(),
  }
}

function* membersOf(blobs: Blobs, reading: Reading, path: Name): Generator<Member> {
  const layers = layersOf(blobs, path)
  const tree = new LayeredTree(reading.limits.members)
  for (const [number, layer] of layers.entries()) {
    tree.begin(number)
    for (const member of readLayer(blobs, reading, path, layer)) tree.add(member)
  }
  const surviving = tree.survivors(layers.length)
  for (const [number, layer] of layers.entries()) {
    let place = 0
    for (const member of readLayer(blobs, reading, path, layer)) {
      const [first, ...others] = surviving[number]?.get(place++) ?? []
      if (first === undefined) continue
      yield { ...member, path: first === '' ? '.' : first }
      const { payload: _, extents: __, digest: ___, ...facts } = member
      for (const other of others) yield { ...facts, type: 'link', size: 0, path: other, target: first }
    }
  }
}

/** The members of one layer, whose bytes digest to what its image promises. */
function* readLayer(blobs: Blobs, reading: Reading, image: Name, layer: Layer): Generator<Member> {
  const found = blobs.find(layer.blob)
  const outer = new ByteSource(image, [])
  if (found === undefined) throw outer.corrupt(`its layer ${layer.blob} is missing`)
  if (layer.size !== undefined && found.size !== layer.size) {
    throw outer.corrupt(`its layer ${layer.blob} has ${found.size} bytes, not ${layer.size}`)
  }
  try {
    yield* readTarOf(found.source, reading, layer)
  } finally {
    found.source.close()
  }
}

function* readTarOf(blob: ByteSource, reading: Reading, { digest, diffId }: Layer): Generator<Member> {
  const stored = watch(blob, digest)
  const inner = decompressed(stored.source, reading)
  const plain = watch(inner, diffId)
  try {
    // Some writers leave the end out: the digests say whether a layer is whole.
    const endless = digest !== undefined || diffId !== undefined
    yield* readTar(plain.source, { ...reading, headerBytes: reading.limits.headerBytes, endless })
    plain.finish()
    stored.finish()
  } finally {
    inner.close()
  }
}

/** A source whose bytes are digested on their way, and compared when all were read. */
function watch(source: ByteSource, promised: Digest | undefined): { source: ByteSource; finish(): void } {
  const hash: Hash | undefined = promised && createHash(promised.algorithm)
  function* chunks(): Generator<Buffer> {
    for (const chunk of source) {
      hash?.update(chunk)
      yield chunk
    }
  }
  const watched = new ByteSource(source.image, chunks())
  const finish = () => {
    watched.drain()
    const actual = hash?.digest('hex')
    if (actual !== promised?.value)
      throw source.corrupt(`its ${promised?.algorithm} is ${actual}, not ${promised?.value}`)
  }
  return { source: watched, finish }
}

/** One object of one layer, under as many names as it has in the end. */
interface Origin {
  readonly layer: number
  /** Its place among the layer's members. */
  readonly place: number
  readonly isDirectory: boolean
}

/** Which member each name comes from, layer upon layer. */
class LayeredTree {
  readonly #mostMembers: number
  readonly #names = new Map<Name, { readonly origin: Origin; readonly layer: number }>()
  readonly #children = new Map<Name, Set<Name>>()
  #layer = 0
  #place = 0
  #members = 0

  constructor(mostMembers: number) {
    this.#mostMembers = mostMembers
  }

  begin(layer: number): void {
    this.#layer = layer
    this.#place = 0
  }

  add(member: Member): void {
    const place = this.#place++
    if (++this.#members > this.#mostMembers) {
      throw new UnsafeEntryError(member.path, `is more than the ${this.#mostMembers} members that are allowed`)
    }
    const name = memberName(member.path, 0)
    if (name.length >= PATH_MAX) throw new UnsafeEntryError(member.path, 'has a name that is longer than any can be')
    const whiteout = whiteoutOf(name)
    if (whiteout === undefined) this.#put(name, this.#originOf(member, place))
    else if (whiteout.kind === 'opaque') this.#removeBelow(whiteout.name)
    else if (whiteout.kind === 'name') this.#remove(whiteout.name)
  }

  /** A hard link is the object that its target is by now, in whichever layer that came. */
  #originOf(member: Member, place: number): Origin {
    if (member.type !== 'link') return { layer: this.#layer, place, isDirectory: member.type === 'directory' }
    const target = this.#names.get(memberName(member.target ?? '', 0))
    if (target === undefined || target.origin.isDirectory) {
      throw new UnsafeEntryError(member.path, 'is a link to what no layer has')
    }
    return target.origin
  }

  #put(name: Name, origin: Origin): void {
    if (!origin.isDirectory) this.#removeBelow(name)
    this.#names.set(name, { origin, layer: this.#layer })
    if (name === '') return
    this.#putAbove(name)
    const parent = parentName(name)
    // A directory that no layer has, or that a lower one has as something else, is one from now on.
    const above = this.#names.get(parent)
    if (parent !== '' && above !== undefined && !above.origin.isDirectory && above.layer < this.#layer) {
      this.#names.delete(parent)
    }
  }

  /** Makes a name a child of its directory, and that of its own: a layer need not have members for them. */
  #putAbove(name: Name): void {
    for (let child = name; child !== ''; child = parentName(child)) {
      const siblings = this.#children.get(parentName(child)) ?? new Set()
      if (siblings.has(child)) return
      this.#children.set(parentName(child), siblings.add(child))
    }
  }

  /** Takes away what lower layers have under a name, with everything below it. */
  #remove(name: Name): void {
    this.#removeBelow(name)
    const known = this.#names.get(name)
    if (known !== undefined && known.layer < this.#layer) this.#names.delete(name)
  }

  #removeBelow(name: Name): void {
    for (const child of this.#children.get(name) ?? []) this.#remove(child)
  }

  /** For each layer: its members that have a name in the end, by their place, with all those names. */
  survivors(layers: number): ReadonlyMap<number, Name[]>[] {
    const byLayer = Array.from({ length: layers }, () => new Map<number, Name[]>())
    for (const [name, { origin }] of this.#names) {
      const places = byLayer[origin.layer] as Map<number, Name[]>
      const names = places.get(origin.place)
      if (names === undefined) places.set(origin.place, [name])
      else names.push(name)
    }
    return byLayer
  }
}
