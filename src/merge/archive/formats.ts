// Every format that an archive can have, and how it is told which one an archive is.

import { InvalidArgumentError } from '../errors.ts'
import { apkFormat } from '../formats/apkFormat.ts'
import { gpkgFormat } from '../formats/gpkgFormat.ts'
import { ociFormat } from '../formats/ociImage.ts'
import { ociLayerFormat } from '../formats/ociLayer.ts'
import { pacmanFormat } from '../formats/pacmanFormat.ts'
import { rpmFormat } from '../formats/rpmFormat.ts'
import { xpakFormat } from '../formats/xpakFormat.ts'
import { ByteSource } from './byteSource.ts'
import { debFormat } from './debFormat.ts'
import { decompressed } from './decompression.ts'
import type { Archive, Format, Head, Reading } from './format.ts'
import { npmFormat } from './npmFormat.ts'
import { tarFormat } from './tarFormat.ts'
import { readTar } from './tarReader.ts'

/** The formats in the order in which they are asked whether an archive is theirs; any tar is the last one's. */
export const formats: readonly Format[] = [
  rpmFormat,
  debFormat,
  apkFormat,
  pacmanFormat,
  gpkgFormat,
  xpakFormat,
  ociFormat,
  ociLayerFormat,
  npmFormat,
  tarFormat,
]

/** Bytes that formats are told by; long names before the first member are among them. */
const headBytes = 64 * 1024

/** An archive, open, with the format that it has. */
export interface OpenedArchive extends Archive {
  readonly format: Format
}

/**
 * Opens an archive by its content, or as the format that the caller names.
 *
 * @throws {InvalidArgumentError} when no format has that name
 * @throws {CorruptImageError} when it is of no format that is known
 */
export function openArchive(source: ByteSource, reading: Reading, formatName?: string): OpenedArchive {
  const named = formatName === undefined ? undefined : formatNamed(formatName)
  const stored = Buffer.from(source.peek(headBytes))
  const byStored =
    named ?? formats.find((format) => format.reads === 'stored' && format.recognises({ stored, plain: stored }))
  if (byStored?.reads === 'stored') return openAs(byStored, source, source, reading)
  const inner = decompressed(source, reading)
  const head = headOf(stored, Buffer.from(inner.peek(headBytes)))
  const format = named ?? formats.find((each) => each.reads === 'plain' && each.recognises(head))
  if (format === undefined)
    throw stored.length === 0
      ? source.corrupt('is empty')
      : source.corrupt('is no archive of a format that is known', {
          hint: 'Look at what it is; --help has the formats.',
        })
  return openAs(format, inner, source, reading)
}

/** Whatever stands behind the compressed bytes is read too, so that whoever checks them sees all. */
function openAs(format: Format, inner: ByteSource, outer: ByteSource, reading: Reading): OpenedArchive {
  const archive = format.open(inner, reading)
  return {
    format,
    get facts() {
      return archive.facts
    },
    *members() {
      try {
        yield* archive.members()
        inner.drain()
        outer.drain()
      } finally {
        inner.close()
      }
    },
  }
}

/** @throws {InvalidArgumentError} */
export function formatNamed(name: string): Format {
  const format = formats.find((each) => each.name === name)
  if (format !== undefined) return format
  throw new InvalidArgumentError(`there is no archive format '${name}'`, {
    hint: `Formats: ${formats.map((each) => each.name).join(', ')}.`,
  })
}

function headOf(stored: Buffer, plain: Buffer): Head {
  const firstPath = firstPathOf(plain)
  return firstPath === undefined ? { stored, plain } : { stored, plain, firstPath }
}

/** The path of the first member, when the bytes begin as a tar does. */
function firstPathOf(plain: Buffer): string | undefined {
  try {
    const first = readTar(new ByteSource('', [plain]), { headerBytes: headBytes }).next()
    return first.done === true ? undefined : first.value.path
  } catch {
    return undefined // cut short, or no tar; whoever reads it as one will say what is wrong
  }
}
