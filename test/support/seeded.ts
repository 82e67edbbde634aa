// Chance that can be repeated: a generator with a seed, which a failing run prints.

/** Numbers in [0, 1), the same ones for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** The seed of this run: ROOTMERGE_TEST_SEED, or a new one. */
export const seed: number = Number(process.env.ROOTMERGE_TEST_SEED ?? Math.floor(Math.random() * 2 ** 32))

/** At most `count` of some things, in their own order. */
export function sample<T>(all: readonly T[], count: number, random: () => number): T[] {
  const keyed = all.map((value, index) => ({ value, index, key: random() }))
  const chosen = keyed.toSorted((a, b) => a.key - b.key).slice(0, count)
  return chosen.toSorted((a, b) => a.index - b.index).map(({ value }) => value)
}
