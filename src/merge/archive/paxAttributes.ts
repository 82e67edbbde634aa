// Extended attributes in pax headers, in the three ways that tars write them.

import { accessAcl, defaultAcl, type Xattr } from '../../movefile/index.ts'
import type { Name } from '../../sys/index.ts'
import type { Accounts } from '../accounts.ts'
import { parseAcl } from './aclText.ts'
import type { PaxFacts } from './pax.ts'

const none: readonly Xattr[] = []

/** What a record is to a member: an attribute, or why it cannot be one. */
type Reading = Xattr | string

/** How each kind of key is read, by its beginning; what follows that is `rest`. */
const readers: readonly (readonly [
  prefix: string,
  read: (rest: string, value: Buffer, accounts: Accounts) => Reading,
])[] = [
  // GNU tar, star, Python: the value as it is. GNU tar (for % and =) and bsdtar escape characters of the name.
  ['SCHILY.xattr.', (rest, value) => ({ name: unescapeUrl(rest), value })],
  // bsdtar: the name as in a URL, the value in base64 without padding.
  ['LIBARCHIVE.xattr.', (rest, value) => ({ name: unescapeUrl(rest), value: Buffer.from(value.toString(), 'base64') })],
  // GNU tar --selinux: with the NUL that the kernel ends it by.
  [
    'RHT.security.selinux',
    (_, value) => ({ name: 'security.selinux', value: Buffer.concat([value, Buffer.alloc(1)]) }),
  ],
  ['SCHILY.acl.access', (_, value, accounts) => readAcl(accessAcl, value, accounts)],
  ['SCHILY.acl.default', (_, value, accounts) => readAcl(defaultAcl, value, accounts)],
  ['SCHILY.acl.ace', () => 'an NFSv4 ACL, which Linux has no place for'],
]

/**
 * The attributes that a member's records bring, each name once.
 *
 * @returns why one of them cannot be kept, instead
 */
export function paxXattrs(pax: PaxFacts, accounts: Accounts): readonly Xattr[] | string {
  if (pax.records.length === 0) return none
  const found = new Map<Name, Xattr>()
  for (const [key, value] of pax.records) {
    const reader = readers.find(([prefix]) => key.startsWith(prefix))
    if (reader === undefined) continue
    const reading = reader[1](key.slice(reader[0].length), value, accounts)
    if (typeof reading === 'string') return reading
    if (reading.name === '' || reading.name.includes('\0')) return `an attribute without a possible name: ${key}`
    found.set(reading.name, reading)
  }
  return [...found.values()]
}

function readAcl(name: Name, value: Buffer, accounts: Accounts): Reading {
  const acl = parseAcl(value.toString('latin1'), accounts)
  return typeof acl === 'string' ? `an ACL that means nothing here: '${acl}'` : { name, value: acl }
}

function unescapeUrl(text: string): string {
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)))
}
