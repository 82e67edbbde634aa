// What the files of a package that speak of it say: lines of `key = value`.

import type { ByteSource } from '../archive/byteSource.ts'
import type { Member } from '../archive/member.ts'

/** Bytes that one file about a package may have. */
const mostBytes = 64 * 1024 * 1024

/** The payload of a member that speaks of the package. @throws {CorruptImageError} when it is larger than any is */
export function payloadOf({ payload, size, path }: Member, source: ByteSource): Buffer {
  if (size > mostBytes) throw source.corrupt('is too large to speak of a package', { entry: path })
  return payload === undefined ? Buffer.alloc(0) : Buffer.from(payload.take(size))
}

/** `key = value` lines, as makepkg and abuild write .PKGINFO; a key can come several times. */
export function keysOf(text: string): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>()
  for (const line of text.split('\n')) {
    const [, key, value = ''] = /^([^#\s][^=]*?) = (.*)$/.exec(line) ?? []
    if (key !== undefined) found.set(key, [...(found.get(key) ?? []), value])
  }
  return found
}

/** The facts that both kinds of .PKGINFO have. */
export function nameAndVersion(keys: ReadonlyMap<string, readonly string[]>): {
  packageName?: string
  version?: string
} {
  const [packageName] = keys.get('pkgname') ?? []
  const [version] = keys.get('pkgver') ?? []
  return { ...(packageName === undefined ? {} : { packageName }), ...(version === undefined ? {} : { version }) }
}
