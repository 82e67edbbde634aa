// What of an object's metadata is kept, and what happens when some of it cannot be.

import { createRequire } from 'node:module'
import type { FileType, Name } from '../sys/index.ts'

/** What a caller may ask for. */
export interface MetadataOptions {
  /** `require` (default): what cannot be kept is an error. `best-effort`: it is in the report. */
  readonly metadata?: 'require' | 'best-effort'
  /** Patterns of attributes that are not kept (`*` and `?` match any character); Portage's list by default. */
  readonly excludeXattrs?: readonly string[]
  /** `preserve` copies security.selinux; `default` leaves the label to the kernel's policy. */
  readonly selinux?: 'preserve' | 'default'
  /** Whether inode flags are kept (nodatacow, append, immutable, nodump, noatime …); not by default. */
  readonly inodeFlags?: boolean
}

/** MetadataOptions with everything decided and the patterns compiled, once. */
export interface MetadataPolicy {
  /** What it was made from, for another thread to make the same. */
  readonly options: MetadataOptions
  readonly metadata: 'require' | 'best-effort'
  readonly selinux: 'preserve' | 'default'
  readonly inodeFlags: boolean
  /** Whether there are any patterns. */
  readonly excludesAny: boolean
  /** Whether the caller's patterns leave an attribute out. */
  excludes(attribute: Name): boolean
}

/**
 * PORTAGE_XATTR_EXCLUDE of Portage's make.globals, but for security.selinux, which has its own option: what belongs
 * to one file system, to the kernel, or to a desktop's memory of where a file came from.
 */
export const defaultExcludedXattrs: readonly string[] = [
  'bcachefs.*',
  'bcachefs_effective.*',
  'btrfs.*',
  'security.evm',
  'security.ima',
  'system.nfs4_acl',
  'user.apache_handler',
  'user.Beagle.*',
  'user.dublincore.*',
  'user.mime_encoding',
  'user.xdg.*',
]

// Loaded for the first attribute that is seen: most files have none.
const require: NodeJS.Require = createRequire(import.meta.url)

/** As fnmatch(3) has it: a star matches dots and slashes too, a backslash and braces are themselves. */
function compile(patterns: readonly string[]): ((attribute: Name) => boolean)[] {
  const { matcher } = require('micromatch') as typeof import('micromatch')
  return patterns.map((pattern) => matcher(pattern, { bash: true, dot: true, nobrace: true }))
}

/** Decides what `options` leave open. */
export function metadataPolicy(options: MetadataOptions = {}): MetadataPolicy {
  const patterns = options.excludeXattrs ?? defaultExcludedXattrs
  let matchers: ReturnType<typeof compile> | undefined
  const known = new Map<Name, boolean>()
  const { metadata = 'require', selinux = 'default', inodeFlags = false } = options
  return {
    options: { metadata, selinux, inodeFlags, excludeXattrs: patterns },
    metadata,
    selinux,
    inodeFlags,
    excludesAny: patterns.length > 0,
    excludes(attribute) {
      let excluded = known.get(attribute)
      if (excluded === undefined) {
        matchers ??= compile(patterns)
        excluded = matchers.some((matches) => matches(attribute))
        if (known.size < 1000) known.set(attribute, excluded)
      }
      return excluded
    },
  }
}

/**
 * Attributes that hold a file system's own state and would be false anywhere else: XFS shows ACLs a second time as
 * trusted.SGI_*, overlayfs keeps its whiteouts and origins in its upper layer, EVM signs an inode.
 */
const neverCopied = /^(trusted\.SGI_|trusted\.overlay\.|user\.overlay\.|security\.evm$)/

/** Whether a copy of an object of `type` gets an attribute of the source. */
export function isCopied(attribute: Name, type: FileType, policy: MetadataPolicy): boolean {
  if (attribute === 'security.selinux') return policy.selinux === 'preserve'
  if (attribute === defaultAcl && type !== 'directory') return false // setting it gives EACCES
  return !neverCopied.test(attribute) && !policy.excludes(attribute)
}

/**
 * Whether a rename has to take an attribute off, so that it ends as a copy would: only what the caller's patterns
 * exclude, and only where attributes are a user's; labels and a file system's properties stay with their inode.
 */
export function isStripped(attribute: Name, policy: MetadataPolicy): boolean {
  return /^(user|trusted)\./.test(attribute) && !neverCopied.test(attribute) && policy.excludes(attribute)
}

/**
 * Whether an object with these attributes, renamed as it is, would end otherwise than a copy of it: some are stripped,
 * or it has a label that a copy would get from the place that it is made in.
 */
export function differsFromCopy(attributes: readonly Name[], policy: MetadataPolicy): boolean {
  return attributes.some(
    (name) => isStripped(name, policy) || (name === 'security.selinux' && policy.selinux === 'default'),
  )
}

/** The attribute that holds an object's POSIX ACL. */
export const accessAcl = 'system.posix_acl_access'
/** The attribute that holds the ACL that a directory gives to what is made in it. */
export const defaultAcl = 'system.posix_acl_default'
