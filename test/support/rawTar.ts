// Tar archives byte by byte, for what no tar writes.

/** A header of which everything can be wrong. */
export interface RawHeader {
  readonly name?: string
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  readonly mtime?: number
  /** The payload's length by default. */
  readonly size?: number
  /** The type flag: `0` file, `1` link, `2` symlink, `5` directory, … */
  readonly type?: string
  readonly target?: string
  readonly device?: readonly [major: number, minor: number]
  readonly prefix?: string
  readonly magic?: 'ustar' | 'gnu' | 'v7'
  /** Bytes that are put over the header, by offset, before the checksum. */
  readonly over?: Readonly<Record<number, Uint8Array>>
  /** Added to the right checksum. */
  readonly checksumError?: number
  /** Whether the checksum is of signed bytes, as old systems have it. */
  readonly isSigned?: boolean
  readonly payload?: string | Buffer
}

const magics = { ustar: 'ustar\x0000', gnu: 'ustar  \0', v7: '' }

/** A member: its header and its padded payload. */
export function rawMember(header: RawHeader): Buffer {
  const given = header.payload ?? ''
  const payload = typeof given === 'string' ? Buffer.from(given, 'latin1') : given
  return Buffer.concat([rawHeader(header, payload.length), payload, Buffer.alloc((512 - (payload.length % 512)) % 512)])
}

function rawHeader(header: RawHeader, length: number): Buffer {
  const { name = 'x', mode = 0o644, uid = 0, gid = 0, mtime = 1e9, type = '0', target = '', prefix = '' } = header
  const block = Buffer.alloc(512)
  const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, '0')}\0`
  block.write(name, 0, 100, 'latin1')
  block.write(octal(mode, 7), 100)
  block.write(octal(uid, 7), 108)
  block.write(octal(gid, 7), 116)
  block.write(octal(header.size ?? length, 11), 124)
  block.write(octal(mtime, 11), 136)
  block.write(type, 156, 'latin1')
  block.write(target, 157, 100, 'latin1')
  block.write(magics[header.magic ?? 'ustar'], 257, 'latin1')
  block.write(octal(header.device?.[0] ?? 0, 7), 329)
  block.write(octal(header.device?.[1] ?? 0, 7), 337)
  block.write(prefix, 345, 155, 'latin1')
  for (const [offset, bytes] of Object.entries(header.over ?? {})) block.set(bytes, Number(offset))
  block.fill(' ', 148, 156)
  const bytes = header.isSigned ? new Int8Array(block) : block
  const sum = [...bytes].reduce((total, byte) => total + byte, 0) + (header.checksumError ?? 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return block
}

/** The text of an extended header of pax. */
export function paxText(records: Readonly<Record<string, string>>): string {
  return Object.entries(records)
    .map(([key, value]) => {
      const rest = ` ${key}=${value}\n`
      let length = rest.length + 1
      while (String(length).length + rest.length !== length) length = String(length).length + rest.length
      return `${length}${rest}`
    })
    .join('')
}

/** An extended header of pax; for one member, or (type g) for all that follow. */
export function rawPax(records: Readonly<Record<string, string>>, type: 'x' | 'g' = 'x'): Buffer {
  return rawMember({ name: 'PaxHeaders/x', type, payload: paxText(records) })
}

/** A GNU long name (type L), or long target (type K), for the next member. */
export function rawLongName(name: string, type: 'L' | 'K' = 'L'): Buffer {
  return rawMember({ name: '././@LongLink', type, magic: 'gnu', payload: `${name}\0` })
}

/** The two blocks of zeros that end an archive. */
export const rawEnd: Buffer = Buffer.alloc(1024)

/** A whole archive. */
export function rawTar(...members: readonly Buffer[]): Buffer {
  return Buffer.concat([...members, rawEnd])
}
