// Alpine's packages (.apk, version 2): gzip members one behind the other, which unpack to one tar. A signature comes
// first, then what speaks of the package (names with a dot), then the files, each with a checksum in its pax header.

import type { ByteSource } from '../archive/byteSource.ts'
import type { Format, Head, Reading } from '../archive/format.ts'
import type { Member } from '../archive/member.ts'
import { PackageArchive } from '../archive/packageArchive.ts'
import { readTar } from '../archive/tarReader.ts'
import { keysOf, nameAndVersion, payloadOf } from './packageText.ts'

/** Whether a tar begins as Alpine's packages do: signed, or with abuild's .PKGINFO, which Arch's is not like. */
export function isApk({ firstPath = '', plain }: Head): boolean {
  if (firstPath.startsWith('.SIGN.')) return true
  return firstPath === '.PKGINFO' && /^datahash = [0-9a-f]{64}$/m.test(plain.toString('latin1', 512, 64 * 1024))
}

/** Alpine's packages of version 2; version 3 is another format. */
export const apkFormat: Format = {
  name: 'apk',
  reads: 'plain',
  recognises: (head: Head) => isApk(head) || isVersion3(head.stored),
  open: (source: ByteSource, reading: Reading) => new ApkArchive(source, reading),
}

function isVersion3(stored: Buffer): boolean {
  return stored.toString('latin1', 0, 3) === 'ADB'
}

class ApkArchive extends PackageArchive {
  #hasFacts = false;

  *members(): Generator<Member> {
    if (isVersion3(this.source.peek(4))) throw this.source.corrupt('is an Alpine package of version 3, not 2')
    const { headerBytes } = this.reading.limits
    for (const member of readTar(this.source, { ...this.reading, headerBytes, endless: true })) {
      if (!/^\.[^./]/.test(member.path)) yield this.#owned(member)
      else if (member.path === '.PKGINFO') {
        this.facts = nameAndVersion(keysOf(payloadOf(member, this.source).toString('latin1')))
        this.#hasFacts = true
      }
      if (!this.#hasFacts && !member.path.startsWith('.')) throw this.source.corrupt('files come before its .PKGINFO')
    }
    if (!this.#hasFacts) throw this.source.corrupt('the package has no .PKGINFO')
  }

  /** By the names that the root knows, else by the numbers of the archive, as apk does. */
  #owned(member: Member): Member {
    const { userName, groupName } = member
    const { accounts } = this.reading
    const uid = userName === undefined ? undefined : accounts.uid(userName)
    const gid = groupName === undefined ? undefined : accounts.gid(groupName)
    return { ...member, uid: uid ?? member.uid, gid: gid ?? member.gid }
  }
}
