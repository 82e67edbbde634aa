// The one thing that has to be known of what a POSIX ACL says.

// struct posix_acl_xattr_header and _entry (linux/posix_acl_xattr.h), little endian: version (4 bytes), then tag (2),
// permissions (2) and id (4) an entry.
const version = 2
const tagOfOwningGroup = 0x04
const tagOfMask = 0x10

/**
 * What the owning group may do by an ACL, as three permission bits; undefined when it is no ACL that we know.
 *
 * The group bits of the mode show the mask instead, which may be wider.
 */
export function groupBitsWithoutAcl(acl: Buffer): number | undefined {
  if (acl.length < 4 || acl.readUInt32LE(0) !== version) return undefined
  let group: number | undefined
  let mask = 0o7
  for (let entry = 4; entry + 8 <= acl.length; entry += 8) {
    const tag = acl.readUInt16LE(entry)
    if (tag === tagOfOwningGroup) group = acl.readUInt16LE(entry + 2)
    if (tag === tagOfMask) mask = acl.readUInt16LE(entry + 2)
  }
  return group === undefined ? undefined : group & mask
}
