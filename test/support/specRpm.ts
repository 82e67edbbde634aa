// rpm packages byte by byte, for those that rpmbuild would never make.

import { createHash } from 'node:crypto'

/** A value of a header: numbers (of 16, 32 or 64 bits), strings, or one string. */
export type TagValue =
  | { readonly int16: readonly number[] }
  | { readonly int32: readonly number[] }
  | { readonly int64: readonly number[] }
  | readonly string[]
  | string

/** A file of the header, and what the payload has of it. */
export interface RpmSpecFile {
  readonly path: string
  /** With the bits of its type; a plain file by default. */
  readonly mode?: number
  readonly target?: string
  readonly data?: string
  readonly inode?: number
  /** What the header says where it is to lie. */
  readonly size?: number
  readonly digest?: string
}

/** What a package is made of; what is not given is right. */
export interface RpmSpec {
  readonly files: readonly RpmSpecFile[]
  /** Tags over those of the files, by number; undefined leaves one out. */
  readonly tags?: Readonly<Record<number, TagValue | undefined>>
  /** Members of the payload: the files, in their order, by default. */
  readonly payload?: readonly {
    readonly path: string
    readonly mode?: number
    readonly data?: string
    readonly size?: number
  }[]
  readonly trailer?: boolean
  /** Members by their files' numbers, without header fields: how rpm packs files beyond four gibibytes. */
  readonly stripped?: readonly { readonly number: number | string; readonly data?: string }[]
  readonly signature?: Readonly<Record<number, TagValue>>
  /** 1 is a source package. */
  readonly leadType?: number
}

/** The bytes of a header. */
export function headerOf(tags: Readonly<Record<number, TagValue | undefined>>): Buffer {
  const index: Buffer[] = []
  const data: Buffer[] = []
  let offset = 0
  for (const [tag, value] of Object.entries(tags)) {
    if (value === undefined) continue
    const { type, count, bytes, align } = encode(value)
    const padding = (align - (offset % align)) % align
    data.push(Buffer.alloc(padding), bytes)
    offset += padding
    const entry = Buffer.alloc(16)
    for (const [field, number] of [Number(tag), type, offset, count].entries()) entry.writeUInt32BE(number, 4 * field)
    index.push(entry)
    offset += bytes.length
  }
  const intro = Buffer.from('8eade801000000000000000000000000', 'hex')
  intro.writeUInt32BE(index.length, 8)
  intro.writeUInt32BE(offset, 12)
  return Buffer.concat([intro, ...index, ...data])
}

function encode(value: TagValue): { type: number; count: number; bytes: Buffer; align: number } {
  if (typeof value === 'string') return { type: 6, count: 1, bytes: Buffer.from(`${value}\0`, 'latin1'), align: 1 }
  if ('int16' in value) {
    const bytes = Buffer.alloc(2 * value.int16.length)
    for (const [at, number] of value.int16.entries()) bytes.writeUInt16BE(number, 2 * at)
    return { type: 3, count: value.int16.length, bytes, align: 2 }
  }
  if ('int32' in value) {
    const bytes = Buffer.alloc(4 * value.int32.length)
    for (const [at, number] of value.int32.entries()) bytes.writeUInt32BE(number, 4 * at)
    return { type: 4, count: value.int32.length, bytes, align: 4 }
  }
  if ('int64' in value) {
    const bytes = Buffer.alloc(8 * value.int64.length)
    for (const [at, number] of value.int64.entries()) bytes.writeBigUInt64BE(BigInt(number), 8 * at)
    return { type: 5, count: value.int64.length, bytes, align: 8 }
  }
  return {
    type: 8,
    count: value.length,
    bytes: Buffer.from(value.map((text) => `${text}\0`).join(''), 'latin1'),
    align: 1,
  }
}

const plain = 0o100644
const trailerName = 'TRAILER!!!'

/** The header of a package, as its file has it, and the database that it is installed in. */
export function rpmHeaderOf(spec: Pick<RpmSpec, 'files' | 'tags'>): Buffer {
  const { files } = spec
  const directories = [...new Set(files.map(({ path }) => path.slice(0, path.lastIndexOf('/') + 1)))]
  const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
  return headerOf({
    1000: 'tool',
    1001: '1',
    1002: '1',
    1022: 'noarch',
    1028: { int32: files.map(({ size, data = '' }) => size ?? data.length) },
    1030: { int16: files.map(({ mode = plain }) => mode) },
    1034: { int32: files.map(() => 1500000000) },
    1035: files.map(({ data, digest }) => digest ?? (data === undefined ? '' : sha256(data))),
    1036: files.map(({ target = '' }) => target),
    1039: files.map(() => 'root'),
    1040: files.map(() => 'root'),
    1096: { int32: files.map(({ inode }, at) => inode ?? at + 1) },
    1116: { int32: files.map(({ path }) => directories.indexOf(path.slice(0, path.lastIndexOf('/') + 1))) },
    1117: files.map(({ path }) => path.slice(path.lastIndexOf('/') + 1)),
    1118: directories,
    1124: 'cpio',
    5011: { int32: [8] },
    ...spec.tags,
  })
}

/** A whole package, whose payload is not compressed. */
export function rpmOf(spec: RpmSpec): Buffer {
  const header = rpmHeaderOf(spec)
  const lead = Buffer.alloc(96)
  lead.write('edabeedb0300', 'hex')
  lead.writeUInt16BE(spec.leadType ?? 0, 6)
  const signature = headerOf({ 273: createHash('sha256').update(header).digest('hex'), ...spec.signature })
  return Buffer.concat([lead, signature, Buffer.alloc((8 - (signature.length % 8)) % 8), header, cpioOf(spec)])
}

function cpioOf({ files, payload, trailer = true, stripped }: RpmSpec): Buffer {
  const end = { path: trailerName, mode: 0 }
  if (stripped !== undefined) return Buffer.concat([...stripped.flatMap(strippedMember), ...member(end)])
  const members =
    payload ?? files.map(({ path, mode = plain, target, data = '' }) => ({ path, mode, data: target ?? data }))
  return Buffer.concat([...members, ...(trailer ? [end] : [])].flatMap(member))
}

function member({ path, mode = plain, data = '', size }: NonNullable<RpmSpec['payload']>[number]): Buffer[] {
  const name = Buffer.from(`${path === trailerName ? '' : '.'}${path}\0`, 'latin1')
  const fields = [1, mode, 0, 0, 1, 1500000000, size ?? data.length, 0, 0, 0, 0, name.length, 0]
  const header = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`)
  return [padded(Buffer.concat([header, name])), padded(Buffer.from(data, 'latin1'))]
}

/** A number of eight digits, or any text in their place. */
function strippedMember({ number, data = '' }: NonNullable<RpmSpec['stripped']>[number]): Buffer[] {
  const digits = typeof number === 'string' ? number : number.toString(16).padStart(8, '0')
  return [padded(Buffer.from(`07070X${digits}`)), padded(Buffer.from(data, 'latin1'))]
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)])
}
