// Unpacking: an archive's members become objects of a hidden tree, which is then the image.

import type { MetadataPolicy } from '../../movefile/index.ts'
import {
  type CancelFlag,
  displayName,
  type EngineShares,
  isSyscallError,
  type Kernel,
  type Name,
  type Stat,
  toName,
} from '../../sys/index.ts'
import { type Accounts, noAccounts } from '../accounts.ts'
import { InvalidArgumentError, NoSpaceError } from '../errors.ts'
import { ociFormat, openOciImage } from '../formats/ociImage.ts'
import type { LostOf } from '../lostMetadata.ts'
import type { SpareThreads } from '../stageThreads.ts'
import { openArchiveFile, readGiven } from './archiveFile.ts'
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
  /** Those that help to make files. */
  readonly spareThreads?: SpareThreads
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
  /** The sha256 of the payload that was unpacked under a name. */
  digestOf(name: Name): Uint8Array | undefined
  /** What the file that was unpacked under a name is; undefined where it has to be looked at. */
  statOf(name: Name): Stat | undefined
  /** Whether the object that was unpacked under a name is known to have no extended attributes. */
  isPlain(name: Name): boolean
  /** What of its metadata could not be kept. */
  readonly lost: readonly LostOf[]
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
    const { facts, files, lost, withXattrs } = fill(unpacking, archive, tree)
    return {
      path: tree.path,
      facts,
      lost,
      digestOf: (name) => files.digestOf(name),
      statOf: (name) => files.statOf(name),
      isPlain: (name) => tree.givesNoXattrs && !withXattrs.has(name),
      remove: () => tree.remove(),
    }
  } catch (error) {
    tree.remove()
    if (!isSyscallError(error, 'ENOSPC', 'EDQUOT')) throw error
    throw new NoSpaceError(unpacking.spool.root.pathOf(unpacking.spool.name), { cause: error })
  } finally {
    tree.root.close()
  }
}

function fill(unpacking: Unpacking, path: Name, tree: UnpackedTree) {
  const { options } = unpacking
  const manifest = options.manifest === undefined ? undefined : readManifest(unpacking, path, toName(options.manifest))
  return withArchive(unpacking, path, (archive, { allowance, threads }) => {
    const unpacker = new Unpacker({
      ...unpacking,
      tree: tree.root,
      image: path,
      allowance,
      manifest,
      stripComponents: options.stripComponents ?? archive.format.stripComponents ?? 0,
      threads,
    })
    try {
      for (const member of archive.members()) unpacker.add(member)
      if (options.stripComponents && !unpacker.hasNames) throw strippedAway(path, options.stripComponents)
      if (archive.facts.whiteouts !== undefined && options.stripComponents)
        throw new InvalidArgumentError("the names of a container's layer are the root's: none of their components goes")
      manifest?.finish()
      unpacker.finish()
    } catch (error) {
      unpacker.abandon()
      throw error
    }
    return { facts: archive.facts, files: unpacker.files, lost: unpacker.lost, withXattrs: unpacker.withXattrs }
  })
}

/** An archive of which nothing is left would replace a package by an empty one. */
export function strippedAway(path: Name, count: number): InvalidArgumentError {
  return new InvalidArgumentError(`without ${count} components no name of the archive '${displayName(path)}' is left`, {
    hint: 'Take off fewer; `rootmerge list --archive` shows its names.',
  })
}

/** A thread takes about 50 ms to start: an archive of fewer bytes is read by then. */
const worthThread = 4 * 1024 * 1024

/** What reading an archive needs; unpacking needs more. */
export type ArchiveInput = Pick<Unpacking, 'kernel' | 'cancel' | 'hasThread' | 'spareThreads' | 'options' | 'accounts'>

/** What is done with an open archive: how much it may bring, and threads, where it is worth them. */
type Use<T> = (
  archive: OpenedArchive,
  how: { readonly allowance: Allowance; readonly threads: EngineShares | undefined },
) => T

/** Opens an archive for `use`, which reads all its members; its integrity is checked afterwards. */
export function withArchive<T>(input: ArchiveInput, path: Name, use: Use<T>): T {
  const { kernel, cancel, hasThread, options, accounts, spareThreads } = input
  const startThreads = () => spareThreads?.start('makeShare')
  const limits = limitsOf(options.limits)
  const integrity = options.integrity === undefined ? undefined : new IntegrityCheck(options.integrity)
  const concatenated = options.concatenated ?? false
  const reading = { kernel, cancel, limits, concatenated, accounts: accounts ?? noAccounts }
  if (options.format === ociFormat.name)
    return withOciImage(reading, path, (archive, allowance) => use(archive, { allowance, threads: startThreads() }))
  const file = openArchiveFile(kernel, cancel, path)
  try {
    const source = new ByteSource(path, integrity?.watch(file.chunks) ?? file.chunks)
    const isLarge = hasThread === true && (file.size ?? Number.POSITIVE_INFINITY) >= worthThread
    const threads = isLarge ? startThreads() : undefined
    const archive = openArchive(source, { ...reading, decodesBeside: isLarge }, options.format)
    const result = use(archive, { allowance: new Allowance(limits, () => file.bytesRead), threads })
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
    const allowance = new Allowance(reading.limits, () => image.bytesRead)
    return use({ ...image, format: ociFormat }, allowance)
  } finally {
    image.close()
  }
}

/** @throws {InvalidArgumentError} when there is no such file, or a line of it is no digest */
function readManifest({ kernel, cancel }: Pick<Reading, 'kernel' | 'cancel'>, image: Name, path: Name): Manifest {
  return new Manifest(image, parseDigestList(readGiven(kernel, cancel, path, 'list of digests')))
}
