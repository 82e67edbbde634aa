// Planned entries in little memory. Of most entries of a large image no more is known than a name, which is its live name
// too, a stat and a fate: as objects they took most of what a merge needs memory for.

import { type FileType, type Name, packStat, type Stat, statWords, unpackStat } from '../sys/index.ts'
import { PackedNames } from './packedNames.ts'
import type { Fate, PackageImage, PlannedEntry } from './plan.ts'
import { type Row, Rows } from './rows.ts'
import type { TreeEntry } from './treeImage.ts'

/** All that is packed. */
const plannedParts = partsOf<PlannedEntry>({ from: 1, entry: 1, fate: 1, liveName: 1, isInNewDirectory: 1 })
const entryParts = partsOf<TreeEntry>({ name: 1, type: 1, stat: 1 })

function partsOf<T>(parts: { readonly [Part in keyof T]?: 1 }): ReadonlySet<string> {
  return new Set(Object.keys(parts))
}

/** Of an entry: the number of what it has in common with others, and its stat. */
const column = { common: 0, stat: 1, all: 1 + statWords } as const

/** What many entries have in common. */
interface Common {
  readonly from: PackageImage
  readonly fate: Fate
  readonly isInNewDirectory: boolean
}

/** Entries of which all that there is to know is packed; each has a number, from 0 on as they come. */
export class PackedEntries {
  /** So many entries of a plan stay objects, which are quicker: few do not need much memory. Tests have fewer. */
  static few = 32_768
  readonly #rows = new Rows(column.all)
  readonly #names = new PackedNames()
  readonly #commons: Common[] = []
  /** How many more entries stay objects. */
  #unpacked: number

  constructor(few: number = PackedEntries.few) {
    this.#unpacked = few
  }

  /**
   * Takes an entry.
   *
   * @returns its number: `at` then makes an equal one; undefined for one that stays an object, since there is more to
   * know of it, or were few before it
   */
  add(planned: PlannedEntry): number | undefined {
    if (this.#unpacked > 0) {
      this.#unpacked--
      return undefined
    }
    const { entry, liveName } = planned
    if (entry.name !== liveName || !hasOnly(planned, plannedParts) || !hasOnly(entry, entryParts)) return undefined
    const number = this.#names.add(liveName)
    const { words, start } = this.#rows.at(number)
    words[start + column.common] = this.#numberOf(planned)
    packStat(entry.stat, words, start + column.stat)
    return number
  }

  #numberOf({ from, fate, isInNewDirectory }: Common): number {
    const number = this.#commons.findLastIndex(
      (each) => each.from === from && each.fate === fate && each.isInNewDirectory === isInNewDirectory,
    )
    return number < 0 ? this.#commons.push({ from, fate, isInNewDirectory }) - 1 : number
  }

  /** The entry that has a number. */
  at(number: number): PlannedEntry {
    const row = this.#rows.at(number)
    return new PackedEntry(this.#commons[row.words[row.start + column.common] as number] as Common, row, () =>
      this.#names.at(number),
    )
  }

  /** The first entry that has a live name. */
  find(liveName: Name): PlannedEntry | undefined {
    const number = this.#names.find(liveName)
    return number === undefined ? undefined : this.at(number)
  }
}

/** A packed entry: both what was planned and the entry of the tree. Spreading one would lose what it makes when asked. */
class PackedEntry implements PlannedEntry, TreeEntry {
  readonly from: PackageImage
  readonly fate: Fate
  readonly isInNewDirectory: boolean
  readonly stat: Stat
  readonly #makeName: () => Name
  #name: Name | undefined

  constructor({ from, fate, isInNewDirectory }: Common, { words, start }: Row, makeName: () => Name) {
    this.from = from
    this.fate = fate
    this.isInNewDirectory = isInNewDirectory
    this.stat = unpackStat(words, start + column.stat)
    this.#makeName = makeName
  }

  get entry(): TreeEntry {
    return this
  }

  get name(): Name {
    this.#name ??= this.#makeName()
    return this.#name
  }

  get liveName(): Name {
    return this.name
  }

  get type(): FileType {
    return this.stat.type
  }
}

function hasOnly(object: object, parts: ReadonlySet<string>): boolean {
  for (const part in object) if (!parts.has(part)) return false
  return true
}
