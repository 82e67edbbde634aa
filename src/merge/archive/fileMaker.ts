// Makes the regular files of an archive: the same in the engine's own thread and in those that help it.

import { type MetadataPolicy, namingPlace, withWrittenDescriptor } from '../../movefile/index.ts'
import {
  baseName,
  type Fd,
  type Kernel,
  type Name,
  O_CREAT,
  O_EXCL,
  O_NOFOLLOW,
  O_WRONLY,
  parentName,
  type Stat,
} from '../../sys/index.ts'
import type { Root } from '../root.ts'
import type { MadeFile } from './madeFiles.ts'
import { makeAnew, type NewPlace } from './makeAnew.ts'
import type { Member } from './member.ts'
import { type MemberFacts, MemberMetadata } from './memberMetadata.ts'
import type { PayloadSink } from './payload.ts'
import { PayloadDigest } from './payloadDigest.ts'

const createFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW

/** What a file is to be. */
export type FileFacts = MemberFacts & Pick<Member, 'path' | 'size' | 'digest'>

/** Writes a payload into an empty file, and shows each piece of it to `seen` before. */
export type WritePayload = (fd: Fd, seen: PayloadSink) => void

/** What files are made with. */
export interface FileMakerInput {
  readonly kernel: Kernel
  /** The hidden tree. */
  readonly tree: Root
  readonly policy: MetadataPolicy
  /** Whether payloads are digested. */
  readonly digests: boolean
  /** What the archive is called in messages. */
  readonly image: Name
}

/** Makes files in one hidden tree, whose directories are there already. */
export class FileMaker {
  readonly metadata: MemberMetadata
  readonly #input: FileMakerInput
  readonly #kernel: Kernel

  constructor(input: FileMakerInput) {
    this.#input = input
    this.#kernel = input.kernel
    this.metadata = new MemberMetadata(input.kernel, input.tree.fd, input.policy)
  }

  /**
   * Makes a file; after an error it may be there, incomplete.
   *
   * @throws {CorruptImageError} when the payload is not what was promised @throws {UnsafeEntryError}
   */
  make(name: Name, facts: FileFacts, write: WritePayload): MadeFile {
    const { digests, image, tree } = this.#input
    const mode = this.metadata.modeToMake(facts)
    const place = {
      kernel: this.#kernel,
      directory: tree.directory(parentName(name)).fd,
      component: baseName(name),
      name,
    }
    const digest = new PayloadDigest(digests, facts, image)
    const fd = makeAnew(place, () => this.#kernel.openat(place.directory, place.component, createFlags, mode))
    const stat = this.#filled(fd, place, () => {
      write(fd, digest)
      this.metadata.apply({ fd, type: 'file', inherited: this.metadata.inheritedWith(fd, mode) }, name, facts)
    })
    const sha256 = digest.finish()
    return { stat, digest: sha256 === undefined ? undefined : Buffer.from(sha256, 'hex') }
  }

  /** What a new file is once it is filled; closed, with an error that names it where writes were lost. */
  #filled(fd: Fd, { directory, component }: NewPlace, fill: () => void): Stat {
    try {
      return withWrittenDescriptor(this.#kernel, fd, () => {
        fill()
        return this.#kernel.fstat(fd)
      })
    } catch (error) {
      throw namingPlace(this.#kernel, error, { directory, name: component })
    }
  }
}
