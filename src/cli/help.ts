// What a command's help says beside its options: examples and notes. The manual pages and docs/commands.md take the same.

import { styleText } from 'node:util'
import type { Command } from 'commander'
import { columnsOf, usualColumns } from './table.ts'
import { isTerminal } from './terminal.ts'
import { output } from './write.ts'

/** One thing that a person wants to do, and what to type for it. */
export interface Example {
  /** A phrase, such as `an archive, under a name of its own`. */
  readonly purpose: string
  /** What follows `rootmerge`, the command's own name included. */
  readonly line: string
}

const examplesByCommand = new WeakMap<Command, readonly Example[]>()
const notesByCommand = new WeakMap<Command, readonly string[]>()

/** Gives a command its examples; --help shows them after the options. */
export function withExamples(command: Command, ...examples: readonly Example[]): Command {
  examplesByCommand.set(command, examples)
  return command.addHelpText('after', () => {
    const lines = examples.map(({ purpose, line }) => `  # ${purpose}\n  rootmerge ${line}`)
    return `\n${title('Examples:')}\n${lines.join('\n')}`
  })
}

/** Gives a command paragraphs that its options have no place for. */
export function withNotes(command: Command, ...notes: readonly string[]): Command {
  notesByCommand.set(command, notes)
  return command.addHelpText('after', ({ command: asked }) => {
    const helper = asked.createHelp()
    return `\n${notes.map((note) => helper.boxWrap(note, helpWidth())).join('\n\n')}`
  })
}

/** The examples of a command; [] when it has none. */
export function examplesOf(command: Command): readonly Example[] {
  return examplesByCommand.get(command) ?? []
}

/** The notes of a command; [] when it has none. */
export function notesOf(command: Command): readonly string[] {
  return notesByCommand.get(command) ?? []
}

/** A heading as the options' own: bold on a terminal. */
export function title(text: string): string {
  return isColoured() ? styleText('bold', text, { stream: process.stdout }) : text
}

/** Whether what goes to standard output may have colours at all: the stream, which knows exactly, takes 3 ms to make. */
export function isColoured(): boolean {
  return isTerminal(output) || process.env.FORCE_COLOR !== undefined
}

/** How wide help is written. */
export function helpWidth(): number {
  return isTerminal(output) ? columnsOf(process.stdout) : usualColumns
}
