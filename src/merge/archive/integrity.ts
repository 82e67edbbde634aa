// Whether an archive is the one that was meant: the digest of all its bytes, and a list of digests of its files.

import { createHash, type Hash } from 'node:crypto'
import { displayName, type Name } from '../../sys/index.ts'
import { CorruptImageError, InvalidArgumentError } from '../errors.ts'
import type { Digest } from './member.ts'

/** From the weakest to the strongest; of several the strongest decides (https://www.w3.org/TR/SRI/). */
const sriAlgorithms = ['sha256', 'sha384', 'sha512']

/** Sees all bytes of an archive as they are read, and says in the end whether they are those that were meant. */
export class IntegrityCheck {
  readonly #algorithm: string
  readonly #expected: readonly string[]
  readonly #hash: Hash

  /** @throws {InvalidArgumentError} when `integrity` is none, such as `sha512-…` in base64 */
  constructor(integrity: string) {
    const words = integrity.split(/\s+/).filter((word) => word !== '')
    const digests = words.map((word) => /^(sha256|sha384|sha512)-([A-Za-z0-9+/]+={0,2})(\?.*)?$/.exec(word))
    const wrong = words[digests.indexOf(null)] ?? (words.length === 0 ? integrity : undefined)
    if (wrong !== undefined)
      throw new InvalidArgumentError(`'${wrong}' is no integrity`, {
        hint: 'It is sha256-, sha384- or sha512- and the digest in base64, as npm writes it.',
      })
    const found = digests.map((match) => [match?.[1] ?? '', match?.[2] ?? ''] as const)
    this.#algorithm = sriAlgorithms.findLast((each) => found.some(([algorithm]) => algorithm === each)) ?? 'sha512'
    this.#expected = found.filter(([algorithm]) => algorithm === this.#algorithm).map(([, digest]) => digest)
    this.#hash = createHash(this.#algorithm)
  }

  /** The same chunks, each seen on its way. */
  *watch(chunks: Iterable<Buffer>): Generator<Buffer> {
    for (const chunk of chunks) {
      this.#hash.update(chunk)
      yield chunk
    }
  }

  /** @throws {CorruptImageError} when the bytes were others */
  finish(image: Name): void {
    const actual = this.#hash.digest()
    if (this.#expected.some((digest) => Buffer.from(digest, 'base64').equals(actual))) return
    const reason = `its integrity is ${this.#algorithm}-${actual.toString('base64')}, not ${this.#algorithm}-${this.#expected.join(' or ')}`
    throw new CorruptImageError(image, reason)
  }
}

/** Digests by name, each of which has to be met by a file, and every file by one of them. */
export class Manifest {
  readonly #digests: ReadonlyMap<Name, Digest>
  readonly #missing: Set<Name>
  readonly #image: Name

  constructor(image: Name, digests: ReadonlyMap<Name, Digest>) {
    this.#image = image
    this.#digests = digests
    this.#missing = new Set(digests.keys())
  }

  /** What a file's payload has to be. @throws {CorruptImageError} for a file that the list has not */
  digestOf(name: Name): Digest {
    const digest = this.#digests.get(name)
    if (digest === undefined) throw new CorruptImageError(this.#image, 'is not in the list of digests', { entry: name })
    this.#missing.delete(name)
    return digest
  }

  /** @throws {CorruptImageError} when a file that the list has did not come */
  finish(): void {
    const [missing] = this.#missing
    if (missing === undefined) return
    const others = this.#missing.size > 1 ? ` and ${this.#missing.size - 1} others` : ''
    throw new CorruptImageError(this.#image, `is in the list of digests, but not in the archive${others}`, {
      entry: missing,
    })
  }
}

const algorithms: Readonly<Record<number, string>> = {
  32: 'md5',
  40: 'sha1',
  56: 'sha224',
  64: 'sha256',
  96: 'sha384',
  128: 'sha512',
}

/**
 * The digests in a list as sha256sum and its kin write it, plain or with --tag: names are relative to the root.
 *
 * @throws {InvalidArgumentError} for a line that is none
 */
export function parseDigestList(text: Buffer): ReadonlyMap<Name, Digest> {
  const digests = new Map<Name, Digest>()
  text
    .toString('latin1')
    .split('\n')
    .forEach((line, index) => {
      if (line === '') return
      const plain = /^(\\?)([0-9a-fA-F]{32,128}) [ *](.+)$/.exec(line)
      const tagged = /^(\\?)[A-Z0-9-]+ \((.+)\) = ([0-9a-fA-F]{32,128})$/.exec(line)
      const [escaped, name, value] = plain ? [plain[1], plain[3], plain[2]] : [tagged?.[1], tagged?.[2], tagged?.[3]]
      const algorithm = algorithms[value?.length ?? 0]
      if (name === undefined || value === undefined || algorithm === undefined)
        throw new InvalidArgumentError(`line ${index + 1} of the list of digests is none: '${displayName(line)}'`)
      const real =
        escaped === '' ? name : name.replace(/\\([n\\])/g, (_, letter: string) => (letter === 'n' ? '\n' : '\\'))
      digests.set(real.replace(/^(\.?\/+)+/, ''), { algorithm, value: value.toLowerCase() })
    })
  return digests
}
