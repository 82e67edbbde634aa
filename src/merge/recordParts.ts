// How much of a list one record of the journal holds; the rest of it takes further records.

/** Two names of the longest kind each, escaped by JSON, so many times, fit into one record. */
export const namesPerRecord = 250
/** So many names of the longest kind, each byte of them escaped by JSON, fit with their identities into one record. */
export const membersPerRecord = 500
/** So many paths of the longest kind, each byte of them escaped by JSON, fit into one record. */
export const pathsPerRecord = 40

/** A list in parts of a length, the last one shorter; none of an empty list. */
export function* inParts<T>(list: readonly T[], length: number): Generator<readonly T[]> {
  for (let start = 0; start < list.length; start += length) yield list.slice(start, start + length)
}
