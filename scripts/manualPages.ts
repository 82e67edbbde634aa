// The command line's reference as manual pages: rootmerge(1), and one page for each command.

import { exitCodeMeanings } from '../src/cli/exitCodes.ts'
import type { CommandReference } from '../src/cli/reference.ts'

/** One page. */
export interface ManualPage {
  /** `rootmerge-merge.1` */
  readonly name: string
  readonly text: string
}

/** All pages of a program; commands of commands stand on their parent's page. */
export function manualPages(program: CommandReference, version: string): ManualPage[] {
  return [programPage(program, version), ...program.commands.map((command) => commandPage(command, version))]
}

function programPage(program: CommandReference, version: string): ManualPage {
  const commands = program.commands.flatMap((command) => item(`rootmerge-${command.path[0]}(1)`, command.summary))
  const variables = [
    ...item('NO_COLOR', 'set to anything: no colours'),
    ...item(
      'ROOTMERGE_DEBUG',
      'set to anything: every phase, copy and declined method on standard error, errors with stack traces',
    ),
  ]
  const files = item('ROOT/var/lib/rootmerge', 'records, journal, lock and backups; another place by --state')
  const body = [
    ...section('SYNOPSIS', [text(program.usage)]),
    ...section('DESCRIPTION', [text(program.description)]),
    ...section('COMMANDS', commands),
    ...section(
      'EXIT STATUS',
      exitCodeMeanings.flatMap(([codes, meaning]) => item(codes, meaning)),
    ),
    ...section('ENVIRONMENT', variables),
    ...section('FILES', files),
  ]
  return page('rootmerge', 'the merge step of a package installer', version, body)
}

function commandPage(command: CommandReference, version: string): ManualPage {
  const body = [
    ...section(
      'SYNOPSIS',
      command.usage.split('\n').flatMap((line) => ['.PP', text(line.trim())]),
    ),
    ...section('DESCRIPTION', [text(command.description), ...command.notes.flatMap((note) => ['.PP', text(note)])]),
    ...optionsOf(command),
    ...command.commands.flatMap((child) => [
      `.SH ${text(child.path.join(' ').toUpperCase())}`,
      text(child.usage),
      '.PP',
      text(child.description),
      ...optionsOf(child, '.SS'),
    ]),
    ...section('EXAMPLES', examplesOf(command)),
    ...section('SEE ALSO', ['.BR rootmerge (1)']),
  ]
  return page(`rootmerge-${command.path.join('-')}`, command.summary, version, body)
}

function optionsOf(command: CommandReference, heading = '.SH'): string[] {
  const args = command.arguments.flatMap(({ usage, description }) => item(usage, description))
  const options = command.options.flatMap(({ flags, description }) => item(flags, description))
  return [
    ...(args.length > 0 ? [`${heading} ARGUMENTS`, ...args] : []),
    ...(options.length > 0 ? [`${heading} OPTIONS`, ...options] : []),
  ]
}

function examplesOf({ commands, examples }: CommandReference): string[] {
  const all = [...examples, ...commands.flatMap((child) => child.examples)]
  return all.flatMap(({ purpose, line }) => [
    '.PP',
    text(`${purpose}:`),
    '.PP',
    '.RS 4',
    '.nf',
    text(`rootmerge ${line}`),
    '.fi',
    '.RE',
  ])
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [`.SH ${title}`, ...lines]
}

function item(term: string, description: string): string[] {
  return ['.TP', `.B ${text(term)}`, text(description)]
}

function page(name: string, summary: string, version: string, body: readonly string[]): ManualPage {
  const head = [
    `.TH "${name.toUpperCase()}" "1" "" "rootmerge ${version}" "rootmerge"`,
    ...section('NAME', [`${text(name)} \\- ${text(summary)}`]),
  ]
  return { name: `${name}.1`, text: `${[...head, ...body].join('\n')}\n` }
}

/** Text for roff: a backslash, a hyphen that shall be copied, a dot or quote that would begin a request. */
function text(words: string): string {
  return words
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('…', '...')
    .replace(/^([.'])/, '\\&$1')
}
