// ar archives, as dpkg writes them: a magic line, then members with a header of 60 characters each.

import type { Name } from '../../sys/index.ts'
import type { ByteSource } from './byteSource.ts'

/** What every ar archive begins with. */
export const arMagic: Buffer = Buffer.from('!<arch>\n')

const headerBytes = 60

/** One member of an ar archive. */
export interface ArMember {
  readonly name: Name
  readonly size: number
  /** Valid until the next member is asked for; what was not read then is skipped. */
  readonly payload: ByteSource
}

/** Reads the members of an ar archive. @throws {CorruptImageError} */
export function* readAr(source: ByteSource): Generator<ArMember> {
  const magic = source.take(arMagic.length)
  if (!magic.equals(arMagic)) throw source.corrupt('is no ar archive', { offset: 0 })
  while (source.peek(1).length > 0) {
    const header = source.take(headerBytes).toString('latin1')
    // GNU's ar ends names by a slash, which dpkg does not.
    const name = header.slice(0, 16).trimEnd().replace(/\/$/, '')
    const size = Number(header.slice(48, 58).trimEnd())
    if (header.slice(58) !== '`\n' || !/^[0-9]+ *$/.test(header.slice(48, 58)))
      throw source.corrupt('no header of an ar archive is here', { offset: source.offset - headerBytes })
    const payload = source.within(size)
    yield { name, size, payload }
    payload.drain()
    if (size % 2 === 1 && source.peek(1).length > 0) source.skip(1)
  }
}
