// A package that no installer's database knows, by a file that lists it: from then on it is one of ours.

import { withDescriptor } from '../../movefile/index.ts'
import { type Kernel, type Name, O_RDONLY, openPath, toName } from '../../sys/index.ts'
import { accountsOf } from '../accounts.ts'
import type { RecordedEntry } from '../entry.ts'
import { CorruptDatabaseError, InvalidArgumentError } from '../errors.ts'
import { withLiveFacts } from '../liveFacts.ts'
import { checkPackageName } from '../packageName.ts'
import { type PackageRecord, parseRecord } from '../record.ts'
import type { Root } from '../root.ts'
import { readWhole } from '../state.ts'
import { parseManifest } from './mtreeManifest.ts'
import { parseContents } from './parseContents.ts'

/**
 * Reads a record, an mtree file or a CONTENTS; what it does not say is taken from the live objects.
 *
 * @throws {CorruptDatabaseError} @throws {CorruptRecordError} @throws {InvalidArgumentError} without a package's name
 */
export function readPackageFile(root: Root, given: { file: string | Uint8Array; package?: string }): PackageRecord {
  const file = toName(given.file)
  const bytes = readOutside(root.kernel, file)
  const { packageName, entries } = parseFile(root, file, bytes)
  const name = given.package ?? packageName
  if (name === undefined) {
    throw new InvalidArgumentError('the file does not name its package', { hint: 'Name it with --package.' })
  }
  return { packageName: checkPackageName(name), entries: entries.map((entry) => withLiveFacts(root, entry)) }
}

function readOutside(kernel: Kernel, file: Name): Buffer {
  return withDescriptor(kernel, openPath(kernel, file, O_RDONLY), (fd) => readWhole(kernel, fd))
}

function parseFile(root: Root, file: Name, bytes: Buffer): { packageName?: string; entries: readonly RecordedEntry[] } {
  const corrupt = (line: number, reason: string) => new CorruptDatabaseError(file, line, reason)
  const text = bytes.toString('latin1')
  if (/^#mtree\n# rootmerge \d/.test(text)) return parseRecord(bytes, file)
  if (!/^(dir|obj|sym|fif|dev) /.test(text) && /^\s*[#/.]/.test(text)) {
    return { entries: parseManifest(text, { accounts: accountsOf(root), corrupt }) }
  }
  return { entries: parseContents(text, corrupt) }
}
