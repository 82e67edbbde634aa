// The command line's reference as one page of Markdown, docs/commands.md.

import { exitCodeMeanings } from '../src/cli/exitCodes.ts'
import { type CommandReference, withChildren } from '../src/cli/reference.ts'

/** The page. */
export function commandPage(program: CommandReference): string {
  const exitCodes = exitCodeMeanings.map(([codes, meaning]) => `| ${codes} | ${meaning} |`)
  return [
    '# The command',
    '',
    'Made by `make docs` from the command itself; `rootmerge COMMAND --help` and `man rootmerge-COMMAND` say the same.',
    '',
    program.description,
    '',
    '| command | |',
    '|---|---|',
    ...program.commands.map(({ path, summary }) => `| [${path[0]}](#rootmerge-${path[0]}) | ${summary} |`),
    '',
    ...withChildren(program).slice(1).flatMap(describe),
    '## Exit codes',
    '',
    '| code | |',
    '|---|---|',
    ...exitCodes,
    '',
  ].join('\n')
}

function describe(command: CommandReference): string[] {
  const depth = '#'.repeat(command.path.length + 1)
  const rows = [
    ...command.arguments.map(({ usage, description }) => `| \`${usage}\` | ${cell(description)} |`),
    ...command.options.map(({ flags, description }) => `| \`${cell(flags)}\` | ${cell(description)} |`),
  ]
  const examples = command.examples.flatMap(({ purpose, line }) => [`# ${purpose}`, `rootmerge ${line}`])
  return [
    `${depth} rootmerge ${command.path.join(' ')}`,
    '',
    '```',
    command.usage,
    '```',
    '',
    command.description,
    '',
    ...command.notes.flatMap((note) => [note, '']),
    ...(rows.length > 0 ? ['| | |', '|---|---|', ...rows, ''] : []),
    ...(examples.length > 0 ? ['```', ...examples, '```', ''] : []),
  ]
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}
