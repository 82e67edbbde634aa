// A file of an rpm header as a record has it: for what rpm has installed, and for ghosts, which no package brings.

import type { Accounts } from '../accounts.ts'
import type { RecordedEntry, Unknown } from '../entry.ts'
import { capabilityBytes } from './capabilities.ts'
import type { RpmFile } from './rpmFiles.ts'

/** A file without what rpm does not compare either: of a ghost contents and time, of any file what its package left out. */
export function recordedRpmFile(file: RpmFile, accounts: Accounts): RecordedEntry {
  const [uid, gid] = [accounts.uid(file.user), accounts.gid(file.group)]
  const unknown = new Set<Unknown>(['xattrs', ...(file.isGhost ? ghostly : [])])
  if (file.type !== 'file') unknown.add('mtime') // rpmVerifyFile compares times of regular files only
  for (const fact of file.unverified) if (fact !== 'digest') unknown.add(fact)
  if (uid === undefined) unknown.add('owner')
  if (gid === undefined) unknown.add('group')
  if (file.mayBeMissing) unknown.add('missing')
  const known = <T>(fact: Unknown, value: T, otherwise: T) => (unknown.has(fact) ? otherwise : value)
  const capability = capabilityBytes(file.capabilities)
  const digest = file.isGhost || file.unverified.has('digest') ? undefined : file.digest
  const [target, rdev] = [known('link', file.target, undefined), known('device', file.rdev, undefined)]
  return {
    name: file.name,
    type: file.type,
    uid: known('owner', uid ?? 0, 0),
    gid: known('group', gid ?? 0, 0),
    mode: known('mode', file.mode, 0),
    mtimeNs: known('mtime', file.mtimeNs, 0n),
    size: known('size', file.size, 0),
    xattrs: capability === undefined ? [] : [{ name: 'security.capability', value: capability }],
    ...(target === undefined ? {} : { target }),
    ...(rdev === undefined ? {} : { rdev }),
    ...(digest?.algorithm === 'sha256' ? { sha256: digest.value } : digest && { foreignDigest: digest }),
    ...(file.isConfig ? { isConfig: true } : {}),
    unknown,
  }
}

const ghostly: readonly Unknown[] = ['size', 'mtime', 'link']
