// Rows for people: in columns that fit the terminal, and as plain lines where a program reads them.

import { print } from './output.ts'

const gap = '  '
/** A continued cell begins here, so that it is seen to be one. */
const hanging = '    '

/**
 * Rows as lines of a terminal of some width: cells of a column begin under each other; the last cell of a row that is too
 * long goes on below, at blanks. Nothing is ever left out: a name may be copied from here.
 */
export function tableLines(rows: readonly (readonly string[])[], width: number): string[] {
  const widest = (column: number) => rows.reduce((width, row) => Math.max(width, row[column]?.length ?? 0), 0)
  const widths = (rows[0] ?? []).map((_, column) => widest(column))
  return rows.flatMap((row) => {
    const cells = row.slice(0, -1).map((cell, column) => cell.padEnd(widths[column] ?? 0))
    const [last = ''] = row.slice(-1)
    const whole = [...cells, last].join(gap)
    if (whole.length <= width) return [whole.trimEnd()]
    return [...wrapped([...cells, ''].join(gap), last, width)]
  })
}

/** A long cell behind what stands before it in its row; below that where there is hardly any room. */
function* wrapped(head: string, cell: string, width: number): Generator<string> {
  const hasRoom = width - head.length >= width / 3
  if (!hasRoom) yield head.trimEnd()
  const indent = hasRoom && head !== '' ? ' '.repeat(head.length) : hanging
  let line = hasRoom ? head : indent
  for (const word of cell.split(' ')) {
    if (line.trim() !== '' && line.length + word.length > width) {
      yield line.trimEnd()
      line = indent
    }
    line += `${word} `
  }
  yield line.trimEnd()
}

/** Of a terminal that does not say how wide it is, or says 0, as one without a size does. */
export const usualColumns = 80

/** How wide a terminal is. */
export function columnsOf({ columns }: { readonly columns?: number }): number {
  return columns || usualColumns
}

/** Prints rows: in columns on a terminal, else with two blanks between cells. */
export function printRows(rows: readonly (readonly string[])[]): void {
  const { stdout } = process
  const lines = stdout.isTTY ? tableLines(rows, columnsOf(stdout)) : rows.map((row) => row.join(gap))
  for (const line of lines) print(line)
}
