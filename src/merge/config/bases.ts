// Bases: the contents of protected files as their packages brought them, so that what an administrator and a package
// changed since can be merged. One file beside each record, readable by its owner only: a file of mode 0600 may be in it.
//
// A line each: the contents' sha256, a blank, and the contents, deflated, in base64. What does not have its digest any
// more is taken for absent; a merge then has no base.

import { createHash } from 'node:crypto'
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { withDescriptor } from '../../movefile/index.ts'
import { type Name, O_RDONLY, tryOpenat } from '../../sys/index.ts'
import type { RecordedEntry } from '../entry.ts'
import type { Root } from '../root.ts'
import { readWhole } from '../state.ts'
import { ownFile } from '../stateFiles.ts'

/** The file's name, in the directory of the record. */
export const basesFile: Name = 'bases'

/** Larger files have no base: nobody merges them by hand, and the state would grow. Bytes. */
export const largestBase: number = 1024 * 1024

const head = '# rootmerge bases 1\n'

/** Contents by their sha256, in hexadecimal. */
export type Bases = ReadonlyMap<string, Buffer>

/** The bytes of a file of bases. */
export function formatBases(bases: Bases): Buffer {
  const lines = [...bases].map(([sha256, contents]) => `${sha256} ${deflateRawSync(contents).toString('base64')}\n`)
  return Buffer.from(head + lines.join(''), 'latin1')
}

/** Everything in a file of bases that is whole. */
export function parseBases(bytes: Buffer): Bases {
  const bases = new Map<string, Buffer>()
  const text = bytes.toString('latin1')
  if (!text.startsWith(head)) return bases
  for (const line of text.slice(head.length).split('\n')) {
    const [sha256 = '', deflated = ''] = line.split(' ')
    const contents = inflate(deflated)
    if (contents !== undefined && sha256Of(contents) === sha256) bases.set(sha256, contents)
  }
  return bases
}

function inflate(text: string): Buffer | undefined {
  try {
    return inflateRawSync(Buffer.from(text, 'base64'), { maxOutputLength: largestBase })
  } catch {
    return undefined // damaged: as if it had never been kept
  }
}

/** The digest that contents are kept under. */
export function sha256Of(contents: Uint8Array): string {
  return createHash('sha256').update(contents).digest('hex')
}

/** The bases beside a record; empty where there are none. @throws {SyscallError} EACCES for who may not read them */
export function readBases(root: Root, directory: Name): Bases {
  const { kernel } = root
  const opened = root.findDirectory(directory)
  const fd = opened && tryOpenat(kernel, opened.fd, basesFile, O_RDONLY | ownFile)
  if (fd === undefined) return new Map()
  return withDescriptor(kernel, fd, () => parseBases(readWhole(kernel, fd)))
}

/** The digests of the contents that some entries may be merged from: what they were, and what their live files come from. */
export function basesWanted(entries: Iterable<RecordedEntry>): Set<string> {
  const wanted = new Set<string>()
  for (const { protection, type, sha256 } of entries) {
    if (protection === undefined) continue
    if (type === 'file' && sha256 !== undefined) wanted.add(sha256)
    if (protection.base !== undefined) wanted.add(protection.base)
  }
  return wanted
}
