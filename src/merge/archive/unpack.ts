// Unpacking: an archive's members become objects of a hidden tree, which is then the image.

import { type MetadataPolicy, withDescriptor } from '../../movefile/index.ts'
import { type CancelFlag, isSyscallError, type Kernel, type Name, toName } from '../../sys/index.ts'
import { type Accounts, noAccounts } from '../accounts.ts'
import { InvalidArgumentError, NoSpaceError } from '../errors.ts'
import { ociFormat, openOciImage } from '../formats/ociImage.ts'
import { readWhole } from '../state.ts'
import { openArchiveFile, openExisting } from './archiveFile.ts'
import { ByteSource } from './byteSource.ts'
import type { PackageFacts, Reading } from './format.ts'
import { type OpenedArchive, openArchive } from './formats.ts'
import { IntegrityCheck, Manifest, parseDigestList } from './integrity.ts'
import { Allowance, type Limits, limitsOf } from './limits.ts'
import { type Spool, UnpackedTree } from './unpackedTree.ts'
import { Unpacker } from './unpacker.ts'

/** What a caller can ask of an archive. */
export interface ArchiveOptions {
  /** The archive's format by its name; told by its content by default. */
  readonly format?: string
  /** Leading components taken off an archive's names; an npm package has one, `package/`. */
  readonly stripComponents?: number
  /** What all bytes of the archive digest to, in the form of npm and of browsers: `sha512-…` in base64. */
  readonly integrity?: string
  /** A file of digests as sha256sum writes it: each file of the archive has to be in it, and to be as it says. */
  readonly manifest?: string | Uint8Array
  /** Refuse devices. */
  readonly noDevices?: boolean
  /** Refuse set-id bits and capabilities. */
  readonly noSetId?: boolean
  /** What an archive may bring at most. */
  readonly limits?: Partial<Limits>
  /** Read on where another tar follows the end of the first, which is refused otherwise. */
  readonly concatenated?: boolean
}

/** What unpacking works with. */
export interface Unpacking {
  readonly kernel: Kernel
  readonly cancel: CancelFlag
  /** Whether other threads may help. */
  readonly hasThread?: boolean
  /** The directory that the hidden tree is made in. */
  readonly spool: Spool
  readonly options: ArchiveOptions
  readonly policy: MetadataPolicy
  /** Who a name is in the root that the archive is for; nobody but root is known by default. */
  readonly accounts?: Accounts
  /** Whether payloads are digested on their way. */
  readonly digests: boolean
  readonly onEntry: (bytes: number) => void
}

/** An archive that was unpacked. */
export interface UnpackedArchive {
  /** The path of the hidden tree. */
  readonly path: Name
  /** What the package says of itself. */
  readonly facts: PackageFacts
  /** The sha256, in hexadecimal, of the payload that was unpacked under a name. */
  digestOf(name: Name): string | undefined
  /** Removes what is still in the hidden tree. */
  remove(): void
}

/**
 * Unpacks an archive into a hidden tree.
 *
 * The tree has everything that the archive says, as it is to be in the root; nothing outside the tree was touched. After
 * an error nothing is left.
 *
 * @throws {CorruptImageError} @throws {UnsafeEntryError} @throws {InvalidArgumentError}
 */
export function unpackArchive(unpacking: Unpacking, archive: Name): UnpackedArchive {
  const tree = new UnpackedTree(unpacking.kernel, unpacking.spool)
  try {
    const { facts, digests } = fill(unpacking, archive, tree)
    return { path: tree.path, facts, digestOf: (name) => digests.get(name), remove: () => tree.remove() }
  } catch (error) {
    tree.remove()
    if (!isSyscallError(error, 'ENOSPC', 'EDQUOT')) throw error
    throw new NoSpaceError(unpacking.spool.root.pathOf(unpacking.spool.name), { cause: error })
  } finally {
    tree.root.close()
  }
}

function fill(unpacking: Unpacking, path: Name, tree: UnpackedTree) {
  const { kernel, options } = unpacking
  const manifest = options.manifest === undefined ? undefined : readManifest(kernel, path, toName(options.manifest))
  return withArchive(unpacking, path, (archive, allowance) => {
    const unpacker = new Unpacker({
      ...unpacking,
      tree: tree.root,
      allowance,
      manifest,
      stripComponents: options.stripComponents ?? archive.format.stripComponents ?? 0,
    })
    for (const member of archive.members()) unpacker.add(member)
    if (archive.facts.whiteouts !== undefined && options.stripComponents)
      throw new InvalidArgumentError("the names of a container's layer are the root's: none of their components goes")
    manifest?.finish()
    unpacker.finish()
    return { facts: archive.facts, digests: unpacker.digests }
  })
}

/** A thread takes about 50 ms to start: an archive of fewer bytes is read by then. */
const worthThread = 4 * 1024 * 1024

/** What reading an archive needs; unpacking needs more. */
export type ArchiveInput = Pick<Unpacking, 'kernel' | 'cancel' | 'hasThread' | 'options' | 'accounts'>

/** Opens an archive for `use`, which reads all its members; its integrity is checked afterwards. */
export function withArchive<T>(
  { kernel, cancel, hasThread, options, accounts }: ArchiveInput,
  path: Name,
  use: (archive: OpenedArchive, allowance: Allowance) => T,
): T {
  const limits = limitsOf(options.limits)
  const integrity = options.integrity === undefined ? undefined : new IntegrityCheck(options.integrity)
  const concatenated = options.concatenated ?? false
  const reading = { kernel, cancel, limits, concatenated, accounts: accounts ?? noAccounts }
  if (options.format === ociFormat.name) return withOciImage(reading, path, use)
  const file = openArchiveFile(kernel, cancel, path)
  try {
    const source = new ByteSource(path, integrity?.watch(file.chunks) ?? file.chunks)
    const decodesBeside = hasThread === true && (file.size ?? Number.POSITIVE_INFINITY) >= worthThread
    const archive = openArchive(source, { ...reading, decodesBeside }, options.format)
    const result = use(archive, new Allowance(limits, () => file.bytesRead))
    source.drain()
    integrity?.finish(path)
    return result
  } finally {
    file.close()
  }
}

/** A container image is no stream of bytes: its layers are read twice, and have digests of their own. */
function withOciImage<T>(reading: Reading, path: Name, use: (archive: OpenedArchive, allowance: Allowance) => T): T {
  const image = openOciImage(reading, path)
  try {
    return use({ ...image, format: ociFormat }, new Allowance(reading.limits, () => image.bytesRead))
  } finally {
    image.close()
  }
}

/** @throws {InvalidArgumentError} when there is no such file, or a line of it is no digest */
function readManifest(kernel: Kernel, image: Name, path: Name): Manifest {
  const fd = openExisting(kernel, path, 'list of digests')
  return withDescriptor(kernel, fd, () => new Manifest(image, parseDigestList(readWhole(kernel, fd))))
}
