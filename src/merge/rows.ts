// A table of 32-bit numbers that grows without being copied.

/** Rows that lie in one piece of memory, as a power of two. */
const rowsAtOnce = 13
const withinPiece = (1 << rowsAtOnce) - 1

/** Where a row is. */
export interface Row {
  readonly words: Uint32Array
  readonly start: number
}

/** Rows of so many columns, each 0 until it is set; they are asked for one behind the other at first. */
export class Rows {
  readonly #columns: number
  readonly #pieces: Uint32Array[] = []

  constructor(columns: number) {
    this.#columns = columns
  }

  at(row: number): Row {
    return { words: this.#pieceOf(row), start: (row & withinPiece) * this.#columns }
  }

  get(row: number, column: number): number {
    return this.#pieceOf(row)[(row & withinPiece) * this.#columns + column] as number
  }

  set(row: number, column: number, value: number): void {
    this.#pieceOf(row)[(row & withinPiece) * this.#columns + column] = value
  }

  #pieceOf(row: number): Uint32Array {
    const piece = row >>> rowsAtOnce
    if (piece === this.#pieces.length) this.#pieces.push(new Uint32Array(this.#columns << rowsAtOnce))
    return this.#pieces[piece] as Uint32Array
  }
}
