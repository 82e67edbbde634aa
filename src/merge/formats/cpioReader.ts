// Reads cpio archives as rpm writes them: `newc`, and the stripped form of packages with files beyond four gibibytes.

import type { Name } from '../../sys/index.ts'
import type { ByteSource } from '../archive/byteSource.ts'

/** A member's header, and its payload, which is valid until the next member is asked for. */
export interface CpioMember {
  /** As it is written; absent in the stripped form, where the header of the package knows. */
  readonly path?: Name
  /** In the stripped form: the file's place in the header of the package. */
  readonly place?: number
  /** Bytes of payload; in the stripped form the header of the package knows, and `payload` is asked for with it. */
  readonly size?: number
  payload(size: number): ByteSource
}

const fields = 13
const fieldDigits = 8
const magicBytes = 6
/** PATH_MAX is 4096; a longer name cannot be a file's. */
const longestPath = 4096
const trailer = 'TRAILER!!!'

/** The members of a cpio, to its trailer. @throws {CorruptImageError} */
export function* readCpio(source: ByteSource): Generator<CpioMember> {
  for (;;) {
    const magic = source.take(magicBytes).toString('latin1')
    if (magic === '07070X') {
      const place = hexadecimal(source.take(fieldDigits), source)
      skipPadding(source, magicBytes + fieldDigits)
      yield* member(source, { place })
      continue
    }
    if (magic !== '070701' && magic !== '070702')
      throw source.corrupt(`no member of a cpio is here ('${printable(magic)}')`)
    const header = source.take(fields * fieldDigits)
    const field = (number: number) =>
      hexadecimal(header.subarray(number * fieldDigits, (number + 1) * fieldDigits), source)
    const [size, pathBytes] = [field(6), field(11)]
    if (pathBytes < 1 || pathBytes > longestPath) throw source.corrupt(`a member with a name of ${pathBytes} bytes`)
    const path = source.take(pathBytes).toString('latin1', 0, pathBytes - 1)
    skipPadding(source, magicBytes + fields * fieldDigits + pathBytes)
    if (path === trailer) return
    yield* member(source, { path, size })
  }
}

function* member(source: ByteSource, facts: Omit<CpioMember, 'payload'>): Generator<CpioMember> {
  let taken: { readonly payload: ByteSource; readonly size: number } | undefined
  const payload = (size: number) => {
    taken ??= { payload: source.within(size), size }
    return taken.payload
  }
  yield { ...facts, payload }
  if (facts.size !== undefined) payload(facts.size)
  if (taken === undefined) return
  taken.payload.drain()
  skipPadding(source, taken.size)
}

/** Headers and payloads each begin at a multiple of four. */
function skipPadding(source: ByteSource, length: number): void {
  source.skip((4 - (length % 4)) % 4)
}

function hexadecimal(digits: Buffer, source: ByteSource): number {
  const text = digits.toString('latin1')
  if (!/^[0-9a-fA-F]{8}$/.test(text)) throw source.corrupt(`'${printable(text)}' is no number of a cpio header`)
  return Number.parseInt(text, 16)
}

function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?')
}
