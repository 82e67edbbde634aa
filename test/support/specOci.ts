// Container images by the OCI's specification, and as `docker save` writes them: layers as tar members, uncompressed or not.

import { createHash } from 'node:crypto'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { type TarMember, tarOf } from './specPackages.ts'

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

/** Changes a layout's files, by their names, before they are written. */
export type Bend = (files: Map<string, Buffer>) => void

/** The files of a layout with one image of these layers, by their names. */
export function layoutOf(layers: readonly (readonly TarMember[])[], bend: Bend = () => {}): Map<string, Buffer> {
  const files = new Map<string, Buffer>()
  const put = (bytes: Buffer, mediaType: string) => {
    const digest = sha256(bytes)
    files.set(`blobs/sha256/${digest}`, bytes)
    return { mediaType, digest: `sha256:${digest}`, size: bytes.length }
  }
  const json = (value: object) => Buffer.from(JSON.stringify(value))
  const tars = layers.map((members) => tarOf(members))
  // Every other layer is compressed.
  const described = tars.map((tar, number) =>
    number % 2 === 0
      ? put(tar, 'application/vnd.oci.image.layer.v1.tar')
      : put(gzipSync(tar), 'application/vnd.oci.image.layer.v1.tar+gzip'),
  )
  const rootfs = { type: 'layers', diff_ids: tars.map((tar) => `sha256:${sha256(tar)}`) }
  const config = put(json({ architecture: 'amd64', os: 'linux', rootfs }), 'application/vnd.oci.image.config.v1+json')
  const manifest = put(
    json({ schemaVersion: 2, config, layers: described }),
    'application/vnd.oci.image.manifest.v1+json',
  )
  files.set('oci-layout', json({ imageLayoutVersion: '1.0.0' }))
  files.set('index.json', json({ schemaVersion: 2, manifests: [manifest] }))
  bend(files)
  return files
}

/** The files that `docker save` writes for one image of these layers. */
export function savedOf(layers: readonly (readonly TarMember[])[], bend: Bend = () => {}): Map<string, Buffer> {
  const files = new Map<string, Buffer>()
  const tars = layers.map((members) => tarOf(members))
  const names = tars.map((tar) => `${sha256(tar)}/layer.tar`)
  for (const [number, tar] of tars.entries()) files.set(names[number] as string, tar)
  const rootfs = { type: 'layers', diff_ids: tars.map((tar) => `sha256:${sha256(tar)}`) }
  files.set('config.json', Buffer.from(JSON.stringify({ os: 'linux', rootfs })))
  const manifest = [{ Config: 'config.json', RepoTags: ['tool:1'], Layers: names }]
  files.set('manifest.json', Buffer.from(JSON.stringify(manifest)))
  bend(files)
  return files
}

/** Writes files below a directory, which is made. */
export function writeFiles(directory: string, files: ReadonlyMap<string, Buffer>): string {
  for (const [name, bytes] of files) {
    fs.mkdirSync(join(directory, name, '..'), { recursive: true })
    fs.writeFileSync(join(directory, name), bytes)
  }
  return directory
}

/** Writes files as one tar. */
export function writeTar(path: string, files: ReadonlyMap<string, Buffer>): string {
  fs.writeFileSync(path, tarOf([...files].map(([name, data]) => ({ path: name, data }))))
  return path
}
