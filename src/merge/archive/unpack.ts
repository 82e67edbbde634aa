// Unpacking: an archive's members become objects of a hidden tree, which is then the image.

import type { MetadataPolicy } from '../../movefile/index.ts'
import type { CancelFlag, Kernel, Name } from '../../sys/index.ts'
import { type Accounts, noAccounts } from '../accounts.ts'
import { openArchiveFile } from './archiveFile.ts'
import { ByteSource } from './byteSource.ts'
import type { PackageFacts } from './format.ts'
import { openArchive } from './formats.ts'
import { Allowance, type Limits, limitsOf } from './limits.ts'
import { type Spool, UnpackedTree } from './unpackedTree.ts'
import { Unpacker } from './unpacker.ts'

/** What a caller can ask of an archive. */
export interface ArchiveOptions {
  /** The archive's format by its name; told by its content by default. */
  readonly format?: string
  /** Leading components taken off an archive's names; an npm package has one, `package/`. */
  readonly stripComponents?: number
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
export async function unpackArchive(unpacking: Unpacking, archive: Name): Promise<UnpackedArchive> {
  const tree = new UnpackedTree(unpacking.kernel, unpacking.spool)
  try {
    const { facts, digests } = await fill(unpacking, archive, tree)
    return { path: tree.path, facts, digestOf: (name) => digests.get(name), remove: () => tree.remove() }
  } catch (error) {
    tree.remove()
    throw error
  }
}

async function fill(unpacking: Unpacking, path: Name, tree: UnpackedTree) {
  const { kernel, cancel, options } = unpacking
  const limits = limitsOf(options.limits)
  const file = openArchiveFile(kernel, cancel, path)
  try {
    const source = new ByteSource(path, file)
    const reading = {
      kernel,
      cancel,
      limits,
      accounts: unpacking.accounts ?? noAccounts,
      concatenated: options.concatenated ?? false,
    }
    const archive = await openArchive(source, reading, options.format)
    const unpacker = new Unpacker({
      ...unpacking,
      tree: tree.root,
      allowance: new Allowance(limits, () => file.bytesRead),
      stripComponents: options.stripComponents ?? archive.format.stripComponents ?? 0,
    })
    for await (const member of archive.members()) await unpacker.add(member)
    unpacker.finish()
    return { facts: archive.facts, digests: unpacker.digests }
  } finally {
    tree.root.close()
    file.close()
  }
}
