// Update names: where what is offered beside a protected file goes, and which file a name found there belongs to.
//
// A name that would be longer than a component can be is cut, and told apart by a digest of the whole. Numbers have four
// digits and grow: past 9999 they have five (Portage overwrites `._cfg10000_` with every later update, and never finds it).

import { createHash } from 'node:crypto'
import { type Name, nameBytes } from '../../sys/index.ts'
import { type Style, type UpdateForm, updateForms } from './styles.ts'

/** NAME_MAX: bytes in a component. */
const longestComponent = 255
/** What stays of a name that is cut: so much that every prefix and ending fits, numbers of 20 digits too. */
const cutLength = 200
const digits = 4

/** A component that is the update name of some file. */
export interface ParsedUpdateName {
  /** The file's own component, whole or cut. */
  readonly stem: Name
  /** Absent where the form has no numbers. */
  readonly number?: number
}

/** The update name of a file's last component; `number` counts only in forms that have numbers. */
export function updateNameOf(base: Name, form: UpdateForm, number: number): Name {
  if ('ending' in form) return withEnding(base, form.ending)
  const prefix = `${form.numbered}${String(number).padStart(digits, '0')}_`
  return prefix + fitting(base, prefix.length)
}

/** A file's last component with an ending, cut where it would be too long. */
export function withEnding(base: Name, ending: string): Name {
  return fitting(base, ending.length) + ending
}

/** The forms of names by which a file's updates are found: the whole of its last component, and what it is cut to. */
export function stemsOf(base: Name): readonly Name[] {
  return base.length + longestAffix <= longestComponent ? [base] : [base, cut(base)]
}

const longestAffix = 26

function fitting(base: Name, more: number): Name {
  return base.length + more <= longestComponent ? base : cut(base)
}

function cut(base: Name): Name {
  let end = cutLength
  while (end > cutLength - 3 && (base.charCodeAt(end) & 0xc0) === 0x80) end-- // not inside a character of UTF-8
  return `${base.slice(0, end)}~${createHash('sha256').update(nameBytes(base)).digest('hex').slice(0, 16)}`
}

const numbered = /^\._cfg(\d{4}|[1-9]\d{4,14})_(.+)$/s

/** What a component is the update name of; undefined when it is none. */
export function parseUpdateName(component: Name): ParsedUpdateName | undefined {
  const match = numbered.exec(component)
  if (match !== null) return { number: Number(match[1]), stem: match[2] ?? '' }
  for (const form of updateForms) {
    if ('ending' in form && component.endsWith(form.ending) && component.length > form.ending.length)
      return { stem: component.slice(0, -form.ending.length) }
  }
  return undefined
}

/** Whether a style's own updates have such names. */
export function isOfForm(component: Name, { update }: Style): boolean {
  return 'ending' in update ? component.endsWith(update.ending) : numbered.test(component)
}
