// rpm's database, asked through rpm itself: `rpmdb --exportdb` writes every installed package's header.
//
// rpm makes files beside a database that it only reads (seen with 4.18: -shm, -wal), so it is given a copy.

import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Name } from '../../sys/index.ts'
import { type Accounts, accountsOf } from '../accounts.ts'
import type { RecordedEntry, Unknown } from '../entry.ts'
import { InvalidArgumentError } from '../errors.ts'
import { capabilityBytes } from '../formats/capabilities.ts'
import { filesOf, type RpmFile, rpmPackageName } from '../formats/rpmFiles.ts'
import { BadHeader, headerLength, RpmHeader } from '../formats/rpmHeader.ts'
import type { DatabaseFiles } from './databaseFiles.ts'
import type { ForeignDatabase, ForeignPackage, ForeignSource } from './foreign.ts'

/** Fedora and SUSE have moved it; either may be a symlink to the other. */
const directories: readonly Name[] = ['usr/lib/sysimage/rpm', 'var/lib/rpm']
/** Of the three kinds of database that rpm has had. Lock files and indexes that it can make anew stay behind. */
const databaseFiles = ['rpmdb.sqlite', 'rpmdb.sqlite-wal', 'rpmdb.sqlite-shm', 'Packages.db', 'Packages'] as const
const places = directories.flatMap((directory) =>
  ['rpmdb.sqlite', 'Packages.db', 'Packages'].map((file) => `${directory}/${file}`),
)

/** rpm's database. */
export const rpm: ForeignDatabase = {
  places,
  async read({ files, cancel }: ForeignSource): Promise<ForeignPackage[]> {
    const found = places.find((place) => files.has(place)) ?? ''
    const exported = await exportDatabase(files, directories.find((directory) => found.startsWith(directory)) ?? '')
    cancel.check()
    const accounts = accountsOf(files.root)
    return headersIn(exported, (reason) => files.corrupt(found, 1, reason)).map((header): ForeignPackage => {
      const installed = filesOf(header).filter(({ isInstalled }) => isInstalled)
      return { name: rpmPackageName(header) ?? '', entries: installed.map((file) => entryOf(file, accounts)) }
    })
  },
}

async function exportDatabase(files: DatabaseFiles, directory: Name): Promise<Buffer> {
  const copy = mkdtempSync(join(tmpdir(), 'rootmerge-rpmdb-'))
  try {
    for (const file of databaseFiles) {
      const bytes = files.bytes(`${directory}/${file}`)
      if (bytes !== undefined) writeFileSync(join(copy, file), bytes)
    }
    return await run('rpmdb', ['--dbpath', copy, '--exportdb'])
  } finally {
    rmSync(copy, { recursive: true })
  }
}

function run(command: string, args: readonly string[]): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const options = { encoding: 'buffer' as const, maxBuffer: Number.POSITIVE_INFINITY }
    execFile(command, args, options, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout)
      const isMissing = error.code === 'ENOENT'
      const reason = isMissing ? `there is no ${command} here to ask it` : stderr.toString('utf8').trim()
      reject(
        new InvalidArgumentError(`rpm's database cannot be read: ${reason}`, {
          ...(isMissing ? { hint: 'Install rpm, of any distribution: the root itself needs none.' } : {}),
          cause: error,
        }),
      )
    })
  })
}

/** Headers stand one behind the other. rpm's own keys (gpg-pubkey) are among them, and have no files. */
function headersIn(exported: Buffer, corrupt: (reason: string) => Error): RpmHeader[] {
  const headers: RpmHeader[] = []
  try {
    for (let at = 0; at < exported.length; ) {
      const length = headerLength(exported.subarray(at))
      headers.push(new RpmHeader(exported.subarray(at, at + length)))
      at += length
    }
  } catch (error) {
    if (error instanceof BadHeader) throw corrupt(error.message)
    throw error
  }
  return headers.filter((header) => rpmPackageName(header)?.startsWith('gpg-pubkey-') === false)
}

/** What rpm does not compare either: of a ghost contents and time, of any file what its package has left out. */
function entryOf(file: RpmFile, accounts: Accounts): RecordedEntry {
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
