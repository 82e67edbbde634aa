// How fast a phase goes: entries and bytes a second over the last moments, and the time that is left.

/** One look at the counters. */
export interface Look {
  /** Milliseconds, by any clock that only goes forward. */
  readonly at: number
  readonly entries: number
  readonly bytes: number
}

/** How far back the rate looks: long enough to be calm, short enough to follow. */
const window = 3000

/** See the head of this file. One for each phase. */
export class Pace {
  readonly #looks: Look[] = []

  look(look: Look): void {
    this.#looks.push(look)
    while (this.#looks.length > 2 && look.at - (this.#looks[1] as Look).at >= window) this.#looks.shift()
  }

  /** A second; undefined before there is anything to measure. */
  get rate(): { readonly entries: number; readonly bytes: number } | undefined {
    const [first, last] = [this.#looks[0], this.#looks.at(-1)]
    if (first === undefined || last === undefined || last.at - first.at < 200) return undefined
    const seconds = (last.at - first.at) / 1000
    return { entries: (last.entries - first.entries) / seconds, bytes: (last.bytes - first.bytes) / seconds }
  }

  /** Milliseconds to the last of `total` entries; undefined while nothing can be said. */
  left(total: number | undefined): number | undefined {
    const last = this.#looks.at(-1)
    const rate = this.rate?.entries ?? 0
    if (total === undefined || last === undefined || rate <= 0 || last.entries >= total) return undefined
    return ((total - last.entries) / rate) * 1000
  }
}
