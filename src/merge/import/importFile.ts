// A package that no installer's database knows, by a file that lists it: from then on it is one of ours.

import { type CancelFlag, type Name, toName } from '../../sys/index.ts'
import { accountsOf } from '../accounts.ts'
import { readGiven } from '../archive/archiveFile.ts'
import type { RecordedEntry } from '../entry.ts'
import { CorruptDatabaseError, InvalidArgumentError } from '../errors.ts'
import { withLiveFacts } from '../liveFacts.ts'
import { checkPackageName } from '../packageName.ts'
import { type PackageRecord, parseRecord } from '../record.ts'
import type { Root } from '../root.ts'
import { parseManifest } from './mtreeManifest.ts'
import { parseContents } from './parseContents.ts'

/**
 * Reads a record, an mtree file or a CONTENTS; what it does not say is taken from the live objects.
 *
 * @throws {CorruptDatabaseError} @throws {CorruptRecordError} @throws {InvalidArgumentError} without a package's name
 */
export function readPackageFile(
  root: Root,
  cancel: CancelFlag,
  given: { file: string | Uint8Array; package?: string },
): PackageRecord {
  const file = toName(given.file)
  const bytes = readGiven(root.kernel, cancel, file, 'file')
  const { packageName, entries } = parseFile(root, file, bytes)
  const name = given.package ?? packageName
  if (name === undefined) {
    throw new InvalidArgumentError('the file does not name its package', { hint: 'Name it with --package.' })
  }
  return { packageName: checkPackageName(name), entries: entries.map((entry) => withLiveFacts(root, entry)) }
}

function parseFile(root: Root, file: Name, bytes: Buffer): { packageName?: string; entries: readonly RecordedEntry[] } {
  const corrupt = (line: number, reason: string) => new CorruptDatabaseError(file, line, reason)
  const text = bytes.toString('latin1')
  const noText = text.indexOf('\0')
  if (noText >= 0) throw corrupt(text.slice(0, noText).split('\n').length, 'there is a NUL, so it is no list of names')
  if (/^#mtree\n# rootmerge \d/.test(text)) return parseRecord(bytes, file)
  if (!/^(dir|obj|sym|fif|dev) /.test(text) && /^\s*[#/.]/.test(text)) {
    return { entries: parseManifest(text, { accounts: accountsOf(root), corrupt }) }
  }
  return { entries: parseContents(text, corrupt) }
}
