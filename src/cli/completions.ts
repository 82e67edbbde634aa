// Completion scripts for bash, zsh and fish, made from the command line's own reference.

import type { ArgumentReference, CommandReference, OptionReference } from './reference.ts'
import { withChildren } from './reference.ts'

/** The shells that there is a script for. */
export const shells = ['bash', 'zsh', 'fish'] as const

/** One of them. */
export type Shell = (typeof shells)[number]

/** The completion script of a shell. */
export function completionScript(shell: Shell, reference: CommandReference): string {
  return { bash, zsh, fish }[shell](reference)
}

/** What stands at a place: names of packages, paths, directories, or something that nobody can know. */
type Kind = 'packages' | 'files' | 'directories' | 'unknown'

/** By what a value or argument is called in the usage. */
const kinds: Readonly<Record<string, Kind>> = {
  name: 'packages',
  directory: 'directories',
  root: 'directories',
  file: 'files',
  image: 'files',
  path: 'files',
  paths: 'files',
  source: 'files',
  target: 'files',
}

function kindOf(name: string | undefined): Kind {
  return kinds[name ?? ''] ?? 'unknown'
}

function kindOfArguments({ arguments: all }: CommandReference): Kind {
  return kindOf(all.at(-1)?.name)
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}

function words(option: OptionReference): string[] {
  return [option.long && `--${option.long}`, option.short && `-${option.short}`].filter(
    (word) => word !== undefined && word !== '',
  ) as string[]
}

function names({ commands }: CommandReference): string[] {
  return commands.map(({ path }) => path.at(-1) ?? '')
}

/** Words that can only be some: commands, or the choices of an argument. */
function fixedWords(command: CommandReference): string[] {
  return [...names(command), ...command.arguments.flatMap(({ choices }) => choices)]
}

/** Asks the command itself; the root is the one that stands on the line. */
const askPackages = 'rootmerge list --root "$root" 2>/dev/null'

function bash(reference: CommandReference): string {
  const all = withChildren(reference)
  const path = (command: CommandReference) => command.path.join(' ')
  const how: Readonly<Record<Kind, string>> = {
    packages: `$(compgen -W "$(${askPackages})" -- "$current")`,
    files: '$(compgen -f -- "$current")',
    directories: '$(compgen -d -- "$current")',
    unknown: '',
  }
  const values = all.flatMap((command) =>
    command.options
      .filter(({ value }) => value !== undefined)
      .map((option) => {
        const places = words(option)
          .map((word) => quoted(`${path(command)} ${word}`))
          .join('|')
        const reply =
          option.choices.length > 0
            ? `$(compgen -W ${quoted(option.choices.join(' '))} -- "$current")`
            : how[kindOf(option.value)]
        return `    ${places}) COMPREPLY=(${reply}); return ;;`
      }),
  )
  const commandLines = all.map((command) => {
    const options = quoted(command.options.flatMap(words).join(' '))
    return `    ${quoted(path(command))}) commands=${quoted(fixedWords(command).join(' '))} options=${options} kind=${kindOfArguments(command)} ;;`
  })
  const paths = all
    .filter(({ path }) => path.length > 0)
    .map((command) => quoted(path(command)))
    .join('|')
  return `# bash completion of rootmerge. Load it: source <(rootmerge completion bash)
_rootmerge() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]}
  local path= root=/ commands= options= kind= index word
  compopt -o filenames 2>/dev/null
  for ((index = 1; index < COMP_CWORD; index++)); do
    word=\${COMP_WORDS[index]}
    [[ $word == --root ]] && root=\${COMP_WORDS[index+1]}
    case "\${path:+$path }$word" in
    ${paths}) path="\${path:+$path }$word" ;;
    esac
  done
  case "$path $previous" in
${values.join('\n')}
  esac
  case "$path" in
${commandLines.join('\n')}
  esac
  if [[ $current == -* ]]; then COMPREPLY=($(compgen -W "$options" -- "$current")); return; fi
  if [[ -n $commands ]]; then COMPREPLY=($(compgen -W "$commands" -- "$current")); return; fi
  case "$kind" in
  packages) COMPREPLY=(${how.packages}) ;;
  files) COMPREPLY=(${how.files}) ;;
  directories) COMPREPLY=(${how.directories}) ;;
  esac
}
complete -F _rootmerge rootmerge
`
}

function zsh(reference: CommandReference): string {
  const how: Readonly<Record<Kind, string>> = {
    packages: '_rootmerge_packages',
    files: '_files',
    directories: '_files -/',
    unknown: ' ',
  }
  const plain = (text: string) => text.replaceAll(/[[\]:\\]/g, '\\$&')
  const optionSpec = (option: OptionReference) => {
    const action = option.choices.length > 0 ? `(${option.choices.join(' ')})` : how[kindOf(option.value)]
    const value = option.value === undefined ? '' : `:${plain(option.value)}:${action}`
    return words(option).map((word) => quoted(`*${word}[${plain(option.description)}]${value}`))
  }
  const argumentSpec = (argument: ArgumentReference) =>
    quoted(
      `*:${plain(argument.name)}:${argument.choices.length > 0 ? `(${argument.choices.join(' ')})` : how[kindOf(argument.name)]}`,
    )
  const functionOf = (command: CommandReference) => ['_rootmerge', ...command.path].join('_').replaceAll('-', '_')
  const functions = withChildren(reference).map((command) => {
    const options = command.options.flatMap(optionSpec)
    if (command.commands.length === 0) {
      const specs = [...options, ...command.arguments.slice(-1).map(argumentSpec)]
      return `${functionOf(command)}() {\n  _arguments -s \\\n    ${specs.join(' \\\n    ')}\n}`
    }
    const list = command.commands.map((child) => quoted(`${child.path.at(-1)}:${plain(child.summary)}`))
    const cases = command.commands.map((child) => `    ${child.path.at(-1)}) ${functionOf(child)} ;;`)
    return `${functionOf(command)}() {
  local state line
  _arguments -C -s \\
    ${[...options, "'1:command:->command'", "'*::argument:->argument'"].join(' \\\n    ')}
  case $state in
  command)
    local -a commands=(
      ${list.join('\n      ')}
    )
    _describe command commands
    ;;
  argument)
    case $line[1] in
${cases.join('\n')}
    esac
    ;;
  esac
}`
  })
  return `#compdef rootmerge
# zsh completion of rootmerge. Put it into a directory of $fpath as _rootmerge.
_rootmerge_packages() {
  local root=/ index=\${words[(i)--root]}
  (( index < $#words )) && root=$words[index+1]
  compadd -- \${(f)"$(${askPackages})"}
}
${functions.join('\n')}
if [[ $funcstack[1] == _rootmerge ]]; then _rootmerge "$@"; else compdef _rootmerge rootmerge; fi
`
}

function fish(reference: CommandReference): string {
  const how: Readonly<Record<Kind, string>> = {
    packages: `-x -a '(rootmerge list 2>/dev/null)'`,
    files: '-r -F',
    directories: `-x -a '(__fish_complete_directories)'`,
    unknown: '-x',
  }
  const lines = withChildren(reference).flatMap((command) => {
    const children = names(command)
    const seen = command.path.map((word) => `__fish_seen_subcommand_from ${word}`)
    const inChild = children.length > 0 ? [`not __fish_seen_subcommand_from ${children.join(' ')}`] : []
    const condition = command.path.length === 0 ? ['__fish_use_subcommand'] : [...seen, ...inChild]
    const when = `complete -c rootmerge -n ${quoted(condition.join('; and '))}`
    const options = command.options.map((option) => {
      const flags = [option.long && `-l ${option.long}`, option.short && `-s ${option.short}`].filter(Boolean).join(' ')
      const choices = `-x -a ${quoted(option.choices.join(' '))}`
      const value = option.value === undefined ? '' : option.choices.length > 0 ? choices : how[kindOf(option.value)]
      return `${when} ${flags} ${value} -d ${quoted(option.description)}`
    })
    const below = command.commands.map((child) => `${when} -a ${child.path.at(-1)} -d ${quoted(child.summary)}`)
    const choices = command.arguments.flatMap((argument) => argument.choices.map((word) => `${when} -a ${word}`))
    const rest = { ...how, files: '-F', unknown: '' }[kindOfArguments(command)].replace(/^-[xr] /, '')
    return [...below, ...choices, ...options, ...(rest === '' || children.length > 0 ? [] : [`${when} ${rest}`])]
  })
  return `# fish completion of rootmerge. Put it into ~/.config/fish/completions/rootmerge.fish
complete -c rootmerge -f
${lines.join('\n')}
`
}
