// The files of an rpm header: what a package, or rpm's database, says of each.

import { type Device, type FileType, fileTypeOf, type Name } from '../../sys/index.ts'
import type { Digest, Unknown } from '../entry.ts'
import { BadHeader, type RpmHeader } from './rpmHeader.ts'

/** rpm's numbers for what is read here (rpmtag.h). */
export const tags = {
  name: 1000,
  version: 1001,
  release: 1002,
  epoch: 1003,
  arch: 1022,
  oldFileNames: 1027,
  sizes: 1028,
  states: 1029,
  modes: 1030,
  rdevs: 1033,
  mtimes: 1034,
  digests: 1035,
  linkTos: 1036,
  flags: 1037,
  users: 1039,
  groups: 1040,
  verifyFlags: 1045,
  inodes: 1096,
  directoryIndexes: 1116,
  baseNames: 1117,
  directoryNames: 1118,
  payloadFormat: 1124,
  payloadCompressor: 1125,
  longSizes: 5008,
  capabilities: 5010,
  digestAlgorithm: 5011,
  payloadDigest: 5092,
  payloadDigestAlgorithm: 5093,
} as const

/** Bits of a file's flags (rpmfiles.h). */
const flagBits = { config: 1, missingOk: 8, noReplace: 16, ghost: 64 } as const

/** What of a file rpm verifies, by bit (rpmvf.h); a package may leave some out (%verify). */
const verifiedBits: readonly (readonly [fact: Unknown | 'digest', bit: number])[] = [
  ['digest', 1],
  ['size', 2],
  ['link', 4],
  ['owner', 8],
  ['group', 16],
  ['mtime', 32],
  ['mode', 64],
  ['device', 128],
]

/** OpenPGP's numbers, which rpm uses (rpmpgp.h); 0 and a missing tag are md5. */
const algorithms: Readonly<Record<number, Digest['algorithm']>> = {
  0: 'md5',
  1: 'md5',
  2: 'sha1',
  8: 'sha256',
  9: 'sha384',
  10: 'sha512',
}

/** A file of a package, before its owners have numbers. */
export interface RpmFile {
  readonly name: Name
  readonly type: FileType
  /** Permission bits, `0o7777`. */
  readonly mode: number
  readonly user: Name
  readonly group: Name
  readonly size: number
  readonly mtimeNs: bigint
  readonly target: Name | undefined
  readonly rdev: Device | undefined
  readonly digest: Digest | undefined
  /** In cap_from_text(3)'s words; '' for none. */
  readonly capabilities: string
  /** Files of one package with the same number are one inode. */
  readonly inode: number
  readonly isConfig: boolean
  /** What is edited stays, and the new version goes beside it. */
  readonly isNoReplace: boolean
  /** Owned, but not in the payload. */
  readonly isGhost: boolean
  /** Its absence is no fault. */
  readonly mayBeMissing: boolean
  /** What rpm does not compare, by the package's wish. */
  readonly unverified: ReadonlySet<Unknown | 'digest'>
  /** In a database: whether it was installed, and not left out for its language or its kind. */
  readonly isInstalled: boolean
}

/** Every file of a header, in its order. @throws {BadHeader} when its arrays do not fit together */
export function filesOf(header: RpmHeader): RpmFile[] {
  const names = namesOf(header)
  const column = <T>(values: readonly T[], what: string): readonly T[] => {
    if (values.length > 0 && values.length !== names.length) {
      throw new BadHeader(`${names.length} files, but ${values.length} ${what}`)
    }
    return values
  }
  const sizes = column(
    header.has(tags.longSizes) ? header.numbers(tags.longSizes) : header.numbers(tags.sizes),
    'sizes',
  )
  const modes = column(header.numbers(tags.modes), 'modes')
  const rdevs = column(header.numbers(tags.rdevs), 'device numbers')
  const mtimes = column(header.numbers(tags.mtimes), 'times')
  const digests = column(header.strings(tags.digests), 'digests')
  const targets = column(header.strings(tags.linkTos), 'link targets')
  const flags = column(header.numbers(tags.flags), 'flags')
  const users = column(header.strings(tags.users), 'users')
  const groups = column(header.strings(tags.groups), 'groups')
  const inodes = column(header.numbers(tags.inodes), 'inodes')
  const states = column(header.numbers(tags.states), 'states')
  const verifyFlags = column(header.numbers(tags.verifyFlags), 'verify flags')
  const capabilities = column(header.strings(tags.capabilities), 'capabilities')
  const algorithm = algorithms[header.numbers(tags.digestAlgorithm)[0] ?? 0]
  return names.map((name, at): RpmFile => {
    const mode = modes[at] ?? 0
    const type = fileTypeOf(mode)
    if (type === undefined) throw new BadHeader(`'${name}' is of no known type (mode ${mode.toString(8)})`)
    const bits = flags[at] ?? 0
    const value = digests[at] ?? ''
    return {
      name,
      type,
      mode: mode & 0o7777,
      user: users[at] ?? 'root',
      group: groups[at] ?? 'root',
      size: type === 'file' ? (sizes[at] ?? 0) : 0,
      mtimeNs: BigInt(mtimes[at] ?? 0) * 1_000_000_000n,
      target: type === 'symlink' ? (targets[at] ?? '') : undefined,
      rdev: type === 'character' || type === 'block' ? deviceOf(rdevs[at] ?? 0) : undefined,
      digest: type === 'file' && algorithm !== undefined && value !== '' ? { algorithm, value } : undefined,
      capabilities: capabilities[at] ?? '',
      inode: inodes[at] ?? at,
      isConfig: (bits & flagBits.config) !== 0,
      isNoReplace: (bits & flagBits.noReplace) !== 0,
      isGhost: (bits & flagBits.ghost) !== 0,
      mayBeMissing: (bits & (flagBits.ghost | flagBits.missingOk)) !== 0,
      unverified: unverifiedOf(verifyFlags[at] ?? ~0),
      isInstalled: (states[at] ?? 0) === 0,
    }
  })
}

function unverifiedOf(flags: number): ReadonlySet<Unknown | 'digest'> {
  return new Set(verifiedBits.filter(([, bit]) => (flags & bit) === 0).map(([fact]) => fact))
}

/** Directories and names in them; packages of before 2001 have whole paths. */
function namesOf(header: RpmHeader): Name[] {
  if (!header.has(tags.baseNames)) return header.strings(tags.oldFileNames).map(relative)
  const directories = header.strings(tags.directoryNames)
  const indexes = header.numbers(tags.directoryIndexes)
  return header.strings(tags.baseNames).map((base, at) => {
    const directory = directories[indexes[at] ?? -1]
    if (directory === undefined) throw new BadHeader(`'${base}' is in directory ${indexes[at]}, which there is not`)
    return relative(directory + base)
  })
}

function relative(path: Name): Name {
  return path.replace(/^\/+/, '').replace(/\/+$/, '')
}

/** As the kernel's 16 bits, where the header has no more: eight each. */
function deviceOf(rdev: number): Device {
  return { major: (rdev >> 8) & 0xfff, minor: (rdev & 0xff) | ((rdev >> 12) & 0xfff00) }
}

/** name-version-release.architecture, as rpm's own queries name a package. */
export function rpmPackageName(header: RpmHeader): string | undefined {
  const [name, version, release] = [tags.name, tags.version, tags.release].map((tag) => header.string(tag))
  if (name === undefined || version === undefined || release === undefined) return undefined
  const architecture = header.string(tags.arch)
  return `${name}-${version}-${release}${architecture === undefined ? '' : `.${architecture}`}`
}
