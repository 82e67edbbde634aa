// rpm's database, asked through rpm itself: `rpmdb --exportdb` writes every installed package's header.
//
// rpm makes files beside a database that it only reads (seen with 4.18: -shm, -wal), so it is given a copy.

import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Name } from '../../sys/index.ts'
import { accountsOf } from '../accounts.ts'
import { InvalidArgumentError } from '../errors.ts'
import { recordedRpmFile } from '../formats/rpmEntry.ts'
import { filesOf, rpmPackageName } from '../formats/rpmFiles.ts'
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
      return { name: rpmPackageName(header) ?? '', entries: installed.map((file) => recordedRpmFile(file, accounts)) }
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
