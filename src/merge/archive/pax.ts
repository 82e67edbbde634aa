// Extended headers of pax: records of any bytes, which override what a header says.

/** The records of an extended header, keys and values as they stand; a key can come several times. */
export type PaxRecords = readonly (readonly [key: string, value: Buffer])[]

const space = 0x20
const newline = 0x0a
const equals = 0x3d

/**
 * Splits an extended header into its records, `LENGTH KEY=VALUE\n` each.
 *
 * @returns undefined when it is none
 */
export function parsePax(bytes: Buffer): PaxRecords | undefined {
  const records: [string, Buffer][] = []
  for (let start = 0; start < bytes.length; ) {
    if (bytes[start] === 0) return records // padding that some writers count as payload
    const gap = bytes.indexOf(space, start)
    const digits = bytes.toString('latin1', start, Math.min(gap, start + 20))
    const end = start + (/^[0-9]{1,10}$/.test(digits) ? Number(digits) : 0)
    const split = bytes.indexOf(equals, gap)
    if (gap < 0 || end <= gap + 1 || end > bytes.length || bytes[end - 1] !== newline) return undefined
    if (split < 0 || split >= end) return undefined
    records.push([bytes.toString('latin1', gap + 1, split), bytes.subarray(split + 1, end - 1)])
    start = end
  }
  return records
}

/** The records that hold for one member: its own after the global ones. */
export class PaxFacts {
  readonly records: PaxRecords
  readonly #last = new Map<string, Buffer>()

  constructor(records: PaxRecords) {
    this.records = records
    for (const [key, value] of records) this.#last.set(key, value)
  }

  /** The value that counts, as latin1; undefined where there is none, or an empty one, which takes an earlier one back. */
  text(key: string): string | undefined {
    const value = this.#last.get(key)
    return value === undefined || value.length === 0 ? undefined : value.toString('latin1')
  }

  /** A whole number, not negative; NaN when it is something else. */
  number(key: string): number | undefined {
    const text = this.text(key)
    if (text === undefined) return undefined
    const value = /^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN
    return Number.isSafeInteger(value) ? value : Number.NaN
  }

  /** A time in nanoseconds; null when it is none. */
  time(key: string): bigint | null | undefined {
    const text = this.text(key)
    return text === undefined ? undefined : parseTime(text)
  }
}

/** Seconds with any number of decimals, before 1970 too: -0.5 is half a second before. */
function parseTime(text: string): bigint | null {
  const match = /^(-?)([0-9]{1,18})(?:\.([0-9]*))?$/.exec(text)
  if (match === null) return null
  const [, sign, seconds = '0', fraction = ''] = match
  const nanoseconds = BigInt(seconds) * 1_000_000_000n + BigInt(fraction.slice(0, 9).padEnd(9, '0'))
  return sign === '-' ? -nanoseconds : nanoseconds
}
