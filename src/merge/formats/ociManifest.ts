// Which layers a container image has: by the OCI's image layout, or by the manifest of `docker save`.

import { createHash } from 'node:crypto'
import type { Name } from '../../sys/index.ts'
import type { Digest } from '../archive/member.ts'
import { CorruptImageError } from '../errors.ts'
import type { Blobs } from './ociBlobs.ts'

/** As the OCI's specification allows for a manifest at least, and more than any has. */
const mostJsonBytes = 4 * 1024 * 1024
const mostLayers = 1000

/** A layer: a tar, compressed or not. */
export interface Layer {
  /** Its file's name. */
  readonly blob: Name
  /** Of the file. */
  readonly digest?: Digest
  readonly size?: number
  /** Of the tar in it, without its compression. */
  readonly diffId?: Digest
}

interface Descriptor {
  readonly mediaType?: string
  readonly digest?: string
  readonly size?: number
  readonly platform?: { readonly os?: string; readonly architecture?: string }
}

/** The members of JSON documents that are read here. */
interface Document {
  readonly mediaType?: string
  readonly manifests?: readonly Descriptor[]
  readonly layers?: readonly Descriptor[]
  readonly config?: Descriptor
  readonly rootfs?: { readonly diff_ids?: readonly string[] }
}

interface SavedImage {
  readonly Config?: string
  readonly Layers?: readonly string[]
}

/** Node's names of architectures in the OCI's words. */
const architectures: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' }

/** The layers of the image for this machine, the lowest first. @throws {CorruptImageError} */
export function layersOf(blobs: Blobs, image: Name): Layer[] {
  const reader = new ManifestReader(blobs, image)
  const index = reader.json<Document>('index.json')
  const layers = index === undefined ? reader.saved() : reader.layout(index)
  if (layers.length > mostLayers) throw new CorruptImageError(image, `${layers.length} layers`)
  return layers
}

class ManifestReader {
  readonly #blobs: Blobs
  readonly #image: Name

  constructor(blobs: Blobs, image: Name) {
    this.#blobs = blobs
    this.#image = image
  }

  #corrupt(reason: string): CorruptImageError {
    return new CorruptImageError(this.#image, reason)
  }

  /** A JSON document, which digests to what was promised; undefined when there is none. */
  json<T>(name: Name, digest?: Digest): T | undefined {
    const found = this.#blobs.find(name)
    if (found === undefined) return undefined
    if (found.size > mostJsonBytes) throw this.#corrupt(`${name} has ${found.size} bytes`)
    const bytes = found.source.take(found.size)
    found.source.close()
    const actual = digest && createHash(digest.algorithm).update(bytes).digest('hex')
    if (actual !== digest?.value) throw this.#corrupt(`the digest of ${name} is ${actual}`)
    try {
      const document = JSON.parse(bytes.toString('utf8')) as T
      if (typeof document !== 'object' || document === null) throw new Error('it is no object')
      return document
    } catch (error) {
      throw this.#corrupt(`${name} cannot be read: ${(error as Error).message}`)
    }
  }

  layout(index: Document, depth = 0): Layer[] {
    const chosen = this.#choose(listIn(index.manifests))
    const manifest = this.#described(chosen, 'manifest')
    // An index inside an index is an image for several machines.
    if (manifest.manifests !== undefined) {
      if (depth > 3) throw this.#corrupt('indexes inside of indexes without an end')
      return this.layout(manifest, depth + 1)
    }
    const config = manifest.config === undefined ? undefined : this.#described(manifest.config, 'config')
    const diffIds = listIn(config?.rootfs?.diff_ids)
    return listIn(manifest.layers).map((layer, place): Layer => {
      const digest = this.#digestOf(layer)
      const diffId = diffIds[place]
      return {
        blob: blobName(digest),
        digest,
        ...(typeof layer.size === 'number' ? { size: layer.size } : {}),
        ...(diffId === undefined ? {} : { diffId: this.#digestOf({ digest: diffId }) }),
      }
    })
  }

  #choose(manifests: readonly Descriptor[]): Descriptor {
    const architecture = architectures[process.arch]
    const isHere = ({ platform }: Descriptor) => platform?.os === 'linux' && platform.architecture === architecture
    const fitting = manifests.length > 1 ? manifests.filter(isHere) : manifests
    const [chosen] = fitting
    if (chosen !== undefined && fitting.length === 1) return chosen
    throw this.#corrupt(`it has ${manifests.length} images, of which ${fitting.length} are for linux/${architecture}`)
  }

  #described(descriptor: Descriptor, what: string): Document {
    const digest = this.#digestOf(descriptor)
    const document = this.json<Document>(blobName(digest), digest)
    if (document === undefined) throw this.#corrupt(`its ${what} ${descriptor.digest} is missing`)
    return document
  }

  #digestOf({ digest }: Descriptor): Digest {
    const [, algorithm, value] = /^(sha256|sha512):([0-9a-f]{64,128})$/.exec(String(digest)) ?? []
    if (algorithm === undefined || value === undefined) throw this.#corrupt(`'${digest}' is no digest`)
    return { algorithm, value }
  }

  /** `docker save`: one image; its config has the digests of the layers' tars. */
  saved(): Layer[] {
    const images = this.json<readonly SavedImage[]>('manifest.json')
    if (images === undefined) throw this.#corrupt('there is neither index.json nor manifest.json')
    const [image] = listIn(images)
    if (image === undefined || images.length !== 1) throw this.#corrupt(`it has ${images.length} images, not one`)
    const config = this.json<Document>(String(image.Config))
    const diffIds = listIn(config?.rootfs?.diff_ids)
    return listIn(image.Layers).map((blob, place): Layer => {
      const diffId = diffIds[place]
      if (diffId === undefined) throw this.#corrupt(`its config has no digest of ${blob}`)
      return { blob: String(blob), diffId: this.#digestOf({ digest: diffId }) }
    })
  }
}

function blobName({ algorithm, value }: Digest): Name {
  return `blobs/${algorithm}/${value}`
}

/** A list of a document that may be anything. */
function listIn<T>(value: readonly T[] | undefined): readonly T[] {
  return Array.isArray(value) ? value : []
}
