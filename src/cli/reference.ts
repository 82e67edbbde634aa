// The command line as data: what the manual pages, the completions and docs/commands.md are made from.

import type { Argument, Command, Option } from 'commander'
import { type Example, examplesOf, notesOf } from './help.ts'

/** One option. */
export interface OptionReference {
  /** As --help shows it: `--root <directory>`. */
  readonly flags: string
  /** Without dashes: `root`; `j` for a short one. */
  readonly long: string | undefined
  readonly short: string | undefined
  /** With choices and default. */
  readonly description: string
  readonly choices: readonly string[]
  /** What its value is called, such as `directory`; undefined when it takes none. */
  readonly value: string | undefined
}

/** One word of a command line that is no option. */
export interface ArgumentReference {
  /** As in the usage: `<image...>`, `[name]`. */
  readonly usage: string
  readonly name: string
  readonly description: string
  readonly choices: readonly string[]
}

/** One command, or one of its own commands. */
export interface CommandReference {
  /** Its words: [] for rootmerge itself, `['config', 'diff']`. */
  readonly path: readonly string[]
  readonly group: string
  readonly summary: string
  readonly description: string
  readonly usage: string
  readonly arguments: readonly ArgumentReference[]
  readonly options: readonly OptionReference[]
  readonly notes: readonly string[]
  readonly examples: readonly Example[]
  readonly commands: readonly CommandReference[]
}

/** The reference of a command and of all below it. */
export function referenceOf(command: Command, path: readonly string[] = []): CommandReference {
  const helper = command.createHelp()
  const children = helper.visibleCommands(command).filter((child) => child.name() !== 'help')
  return {
    path,
    group: command.helpGroup() ?? '',
    summary: command.summary() || command.description(),
    description: command.description(),
    usage: ['rootmerge', ...path, command.usage()].join(' '),
    arguments: command.registeredArguments.map((argument) =>
      argumentReference(argument, helper.argumentTerm(argument)),
    ),
    options: helper.visibleOptions(command).map((option) => optionReference(option, helper.optionDescription(option))),
    notes: notesOf(command),
    examples: examplesOf(command),
    commands: children.map((child) => referenceOf(child, [...path, child.name()])),
  }
}

/** A command and everything below it, in order. */
export function withChildren(reference: CommandReference): CommandReference[] {
  return [reference, ...reference.commands.flatMap(withChildren)]
}

function argumentReference(argument: Argument, name: string): ArgumentReference {
  const inner = `${name}${argument.variadic ? '...' : ''}`
  return {
    usage: argument.required ? `<${inner}>` : `[${inner}]`,
    name,
    description: argument.description,
    choices: argument.argChoices ?? [],
  }
}

function optionReference(option: Option, description: string): OptionReference {
  return {
    flags: option.flags,
    long: option.long?.replace(/^--/, ''),
    short: option.short?.replace(/^-/, ''),
    description,
    choices: option.argChoices ?? [],
    value: /[<[](.*?)(?:\.\.\.)?[>\]]/.exec(option.flags)?.[1],
  }
}
