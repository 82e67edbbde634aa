// Tables of the documentation that are made from the code, and from what was measured.

import { numbersTable, readResults } from '../bench/charts.ts'
import { type Rule, rules } from '../src/merge/decide.ts'
import { recoveryTable } from '../src/merge/recover.ts'

/** By their names in the pages: Markdown, with a line feed at the end. */
export const tables: Readonly<Record<string, () => string>> = {
  rules: () => table(['live object', 'owner', 'protected', 'edited', 'action'], rules.map(rowOf)),
  /** Written by `make bench`, as it measures. */
  numbers: () => numbersTable(readResults()),
  recovery: () =>
    table(
      ['last marker', 'reliable', '--undo', 'recovery does'],
      recoveryTable.map(([marker, reliable, undo, action]) => [
        marker,
        answer(reliable),
        answer(undo),
        `**${action}**`,
      ]),
    ),
}

const lives = {
  absent: 'absent',
  same: 'the same',
  sameContent: 'the same content, other metadata',
  different: 'different',
}

function rowOf({ live, owner, isProtected, isEdited, action }: Rule): string[] {
  const owners = Array.isArray(owner) ? owner.join(' or ') : String(owner)
  return [lives[live], owners, answer(isProtected), answer(isEdited), `**${action}**`]
}

function answer(value: unknown): string {
  if (value === true) return 'yes'
  return value === false ? 'no' : 'any'
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |\n`
  return [head, head.map(() => '---'), ...rows].map(line).join('')
}
