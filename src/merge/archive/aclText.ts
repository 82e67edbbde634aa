// Access control lists as tar writes them (SCHILY.acl.*, the text form of acl(5)), made into the kernel's form.

import { accessAcl, type Xattr } from '../../movefile/index.ts'
import type { Accounts } from '../accounts.ts'

// struct posix_acl_xattr_header and _entry of linux/posix_acl_xattr.h, little endian: version (4 bytes), then tag (2),
// permissions (2) and id (4) an entry.
const version = 2
const noId = 0xffffffff
const tags = { user: [0x01, 0x02], group: [0x04, 0x08], mask: [0x10, 0x10], other: [0x20, 0x20] } as const

interface AclEntry {
  readonly tag: number
  readonly permissions: number
  readonly id: number
}

/**
 * The value of system.posix_acl_access, or _default, that a text means.
 *
 * Entries are parted by commas or newlines; a fourth field (star, bsdtar) is the number of the name in the second.
 *
 * @returns the word of the text that has no meaning, instead
 */
export function parseAcl(text: string, accounts: Accounts): Buffer | string {
  const entries: AclEntry[] = []
  for (const line of text.split(/[,\n]/)) {
    const word = line.replace(/#.*$/, '').trim()
    if (word === '') continue
    const entry = parseEntry(word.replace(/^default:/, ''), accounts)
    if (entry === undefined) return word
    entries.push(entry)
  }
  // The kernel demands this order: owner, users, owning group, groups, mask, others, each by ascending id.
  entries.sort((one, other) => one.tag - other.tag || one.id - other.id)
  const bytes = Buffer.alloc(4 + 8 * entries.length)
  bytes.writeUInt32LE(version, 0)
  entries.forEach(({ tag, permissions, id }, index) => {
    bytes.writeUInt16LE(tag, 4 + 8 * index)
    bytes.writeUInt16LE(permissions, 6 + 8 * index)
    bytes.writeUInt32LE(id, 8 + 8 * index)
  })
  return bytes
}

function parseEntry(word: string, accounts: Accounts): AclEntry | undefined {
  const fields = word.split(':')
  // `mask:rwx` and `other:rwx` may leave the empty name out.
  if (fields.length === 2) fields.splice(1, 0, '')
  const [kindText = '', name = '', permissionText = '', number] = fields
  const kind = kinds.find((each) => each === kindText || each[0] === kindText)
  const permissions = permissionsOf(permissionText)
  if (kind === undefined || permissions === undefined) return undefined
  const [ownTag, namedTag] = tags[kind]
  if (name === '') return { tag: ownTag, permissions, id: noId }
  if (kind !== 'user' && kind !== 'group') return undefined
  const id = idOf(number ?? '') ?? idOf(name) ?? (kind === 'user' ? accounts.uid(name) : accounts.gid(name))
  return id === undefined ? undefined : { tag: namedTag, permissions, id }
}

const kinds = ['user', 'group', 'mask', 'other'] as const

function permissionsOf(text: string): number | undefined {
  if (!/^[rwx-]{1,3}$/.test(text)) return undefined
  return (text.includes('r') ? 4 : 0) | (text.includes('w') ? 2 : 0) | (text.includes('x') ? 1 : 0)
}

function idOf(text: string): number | undefined {
  return /^[0-9]{1,10}$/.test(text) && Number(text) < noId ? Number(text) : undefined
}

/**
 * The group bits that a file with this ACL has: its mask, or, without one, what its owning group may.
 *
 * bsdtar writes a mode with the rights of the owning group beside an ACL, the kernel has the mask there.
 */
function groupBitsOf(acl: Buffer): number | undefined {
  let bits: number | undefined
  for (let entry = 4; entry + 8 <= acl.length; entry += 8) {
    const tag = acl.readUInt16LE(entry)
    if (tag === tags.mask[0] || (tag === tags.group[0] && bits === undefined)) bits = acl.readUInt16LE(entry + 2)
  }
  return bits
}

/** A mode whose group bits are those of an ACL among the attributes. */
export function modeWith(mode: number, xattrs: readonly Xattr[]): number {
  const acl = xattrs.find(({ name }) => name === accessAcl)
  const bits = acl && groupBitsOf(acl.value)
  return bits === undefined ? mode : (mode & 0o7707) | (bits << 3)
}
