// The table of commands. Each is one file, loaded only when it is asked for: starting takes longer than most answers.

import { Command } from 'commander'

/** One command of `rootmerge`. */
export interface CommandEntry {
  readonly name: string
  /** The heading that it stands under. */
  readonly group: string
  /** One line, for the list of commands; everything else is said by the command itself. */
  readonly summary: string
  load(): Promise<Command>
}

/** The headings. */
export const groups = { root: 'Commands on a root:', files: 'Commands on files:', shell: 'For the shell:' } as const

const { root, files, shell } = groups

/** Every command, in the order in which a reader meets them. */
export const commands: readonly CommandEntry[] = [
  {
    name: 'merge',
    group: root,
    summary: 'install an image as a package, in place of its older version',
    load: async () => (await import('./mergeCommand.ts')).mergeCommand(),
  },
  {
    name: 'unmerge',
    group: root,
    summary: 'remove packages',
    load: async () => (await import('./unmergeCommand.ts')).unmergeCommand(),
  },
  {
    name: 'verify',
    group: root,
    summary: 'compare what packages own with their records',
    load: async () => (await import('./verifyCommand.ts')).verifyCommand(),
  },
  {
    name: 'list',
    group: root,
    summary: 'list packages, or what one of them owns',
    load: async () => (await import('./listCommand.ts')).listCommand(),
  },
  {
    name: 'owner',
    group: root,
    summary: 'say which packages own names',
    load: async () => (await import('./listCommand.ts')).ownerCommand(),
  },
  {
    name: 'import',
    group: root,
    summary: "make another installer's packages known",
    load: async () => (await import('./importCommand.ts')).importCommand(),
  },
  {
    name: 'history',
    group: root,
    summary: 'list the transactions that can be undone',
    load: async () => (await import('./historyCommand.ts')).historyCommand(),
  },
  {
    name: 'undo',
    group: root,
    summary: 'undo a finished transaction',
    load: async () => (await import('./undoCommand.ts')).undoCommand(),
  },
  {
    name: 'config',
    group: root,
    summary: 'resolve updates of configuration files',
    load: async () => (await import('./configCommand.ts')).configCommand(),
  },
  {
    name: 'recover',
    group: root,
    summary: 'finish or undo a transaction that was left behind',
    load: async () => (await import('./recoverCommand.ts')).recoverCommand(),
  },
  {
    name: 'copy',
    group: files,
    summary: 'copy contents: shared, or by the cheapest calls that work',
    load: async () => (await import('./copyCommand.ts')).copyCommand(),
  },
  {
    name: 'move',
    group: files,
    summary: 'move any object with everything that belongs to it',
    load: async () => (await import('./moveCommand.ts')).moveCommand(),
  },
  {
    name: 'completion',
    group: shell,
    summary: 'print a completion script for bash, zsh or fish',
    load: async () => (await import('./completionCommand.ts')).completionCommand(),
  },
]

/**
 * The whole command line, ready to parse.
 *
 * @param wanted  the one command that is loaded, `{ all: true }` for every one; the others are names and summaries
 */
export async function makeProgram(
  version: string,
  wanted: string | undefined | { readonly all: true },
): Promise<Command> {
  const program = new Command('rootmerge')
    .description('Installs images into a live root: one merge is one transaction that survives a crash at any instant.')
    .version(version)
    .helpCommand('help [command]', 'show the help of a command')
  for (const { name, group, summary, load } of commands) {
    const command = wanted === name || typeof wanted === 'object' ? await load() : new Command(name)
    program.addCommand(command.summary(summary).helpGroup(group))
  }
  return program
}
