// Names in little memory: as strings that are keys of a map, a million of them take a hundred megabytes.

import { baseName, joinName, type Name, parentName } from '../sys/index.ts'
import { Rows } from './rows.ts'

/** Of a name: its directory's number, where its last component begins in the text, how long that is, and its hash. */
const column = { directory: 0, start: 1, length: 2, hash: 3, all: 4 } as const
/** Bytes of names that lie in one piece of memory, a component always in one. */
const textAtOnce = 1024 * 1024

/** Names, each with a number, from 0 on as they come. */
export class PackedNames {
  readonly #rows = new Rows(column.all)
  readonly #directories: Name[] = []
  readonly #directoryNumbers = new Map<Name, number>()
  readonly #text: Buffer[] = []
  #textUsed = 0
  #count = 0
  /** By hash: a name's number and one more; 0 in those that are free, a quarter at least, so that looking ends soon. */
  #slots = new Uint32Array(1024)

  /** Takes a name. @returns its number: `at` then makes an equal string */
  add(name: Name): number {
    const number = this.#count++
    const directory = this.#addDirectory(parentName(name))
    const component = baseName(name)
    const { words, start } = this.#rows.at(number)
    words[start + column.directory] = directory
    words[start + column.start] = this.#addText(component)
    words[start + column.length] = component.length
    words[start + column.hash] = hashOf(directory, component)
    if (4 * this.#count > 3 * this.#slots.length) this.#grow()
    else this.#index(number)
    return number
  }

  /** The name that has a number. */
  at(number: number): Name {
    const directory = this.#directories[this.#rows.get(number, column.directory)] as Name
    return joinName(directory, this.#componentOf(number))
  }

  #componentOf(number: number): Name {
    const start = this.#rows.get(number, column.start)
    const offset = start % textAtOnce
    return this.#textAt(start).toString('latin1', offset, offset + this.#rows.get(number, column.length))
  }

  /** The number of a name: the first, where it came several times; undefined where it did not come. */
  find(name: Name): number | undefined {
    if (this.#count === 0) return undefined
    const directory = this.#directoryNumbers.get(parentName(name))
    if (directory === undefined) return undefined
    const component = baseName(name)
    const hash = hashOf(directory, component)
    const mask = this.#slots.length - 1
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const number = (this.#slots[slot] as number) - 1
      if (number < 0) return undefined
      if (this.#rows.get(number, column.hash) === hash && this.#is(number, directory, component)) return number
    }
  }

  #is(number: number, directory: number, component: Name): boolean {
    return this.#rows.get(number, column.directory) === directory && this.#componentOf(number) === component
  }

  #addDirectory(name: Name): number {
    const known = this.#directoryNumbers.get(name)
    if (known !== undefined) return known
    this.#directoryNumbers.set(name, this.#directories.length)
    return this.#directories.push(name) - 1
  }

  /** @returns where it begins */
  #addText(component: Name): number {
    const room = this.#text.length * textAtOnce
    if (this.#textUsed + component.length > room) {
      this.#text.push(Buffer.allocUnsafeSlow(textAtOnce))
      this.#textUsed = room
    }
    const start = this.#textUsed
    this.#textAt(start).write(component, start % textAtOnce, 'latin1')
    this.#textUsed += component.length
    return start
  }

  #textAt(start: number): Buffer {
    return this.#text[Math.floor(start / textAtOnce)] as Buffer
  }

  /** Behind an equal name that came before. */
  #index(number: number): void {
    const mask = this.#slots.length - 1
    let slot = this.#rows.get(number, column.hash) & mask
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask
    this.#slots[slot] = number + 1
  }

  #grow(): void {
    this.#slots = new Uint32Array(2 * this.#slots.length)
    for (let number = 0; number < this.#count; number++) this.#index(number)
  }
}

/** Another one in each process: names of an archive from an enemy must not all have one hash, and be looked for in turn. */
const seed = Math.floor(Math.random() * 2 ** 32)

/** FNV-1a, with its upper bits mixed into the lower ones. */
function hashOf(directory: number, component: Name): number {
  let hash = seed ^ directory
  for (let index = 0; index < component.length; index++)
    hash = Math.imul(hash ^ component.charCodeAt(index), 0x01000193)
  return (hash ^ (hash >>> 15)) >>> 0
}
