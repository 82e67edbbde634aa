// rootmerge config

import { Argument, type Command, Option } from 'commander'
import type { ConfigUpdate, MergeDurability, RootOptions } from '../merge/index.ts'
import type { Name } from '../sys/index.ts'
import { pathOf } from './arguments.ts'
import { durabilityOption } from './changeOptions.ts'
import { exitCodes } from './exitCodes.ts'
import { given } from './given.ts'
import { withExamples, withNotes } from './help.ts'
import { print, printEvent } from './output.ts'
import { type RootFlags, rootCommand, rootOptions } from './rootOptions.ts'
import { printRows } from './table.ts'

/** What to do where both sides changed the same lines. */
export type OnConflict = 'refuse' | 'edit' | 'markers' | 'live' | 'update'

/** As commander gives them. */
export interface ConfigFlags extends RootFlags {
  readonly all?: boolean
  readonly force?: boolean
  readonly conflicts?: OnConflict
  readonly durability?: MergeDurability
}

/** What an action works with. */
export interface ConfigTask {
  readonly options: RootOptions
  readonly flags: ConfigFlags
  readonly updates: readonly ConfigUpdate[]
}

const actions = ['list', 'diff', 'accept', 'reject', 'edit', 'merge'] as const
type Action = (typeof actions)[number]

/** rootmerge config */
export function configCommand(): Command {
  const command = rootCommand('config')
    .description(
      'Resolve the updates of configuration files that wait beside edited ones. Without an action: one after the other, on a terminal; else list.',
    )
    .addArgument(new Argument('[action]', 'what to do').choices(actions))
    .argument('[path...]', 'files, updates, or directories above them (default: all)')
    .option('--all', 'accept, reject or merge all of them, without asking')
    .option('--force', 'accept an update in which conflict markers are left')
    .addOption(
      new Option(
        '--conflicts <how>',
        'merge: what to do where both changed the same lines (default: edit on a terminal)',
      ).choices(['refuse', 'edit', 'markers', 'live', 'update']),
    )
    .addOption(durabilityOption())
    .action(run)
  withNotes(
    command,
    'list names each update with its file and package; diff shows what would change (exit code 1 when anything would); ' +
      'accept puts the update in place; reject removes it, and the same version is not offered again; edit opens $VISUAL ' +
      'or $EDITOR on the update and puts what comes out in place; merge takes what you and the package changed since the ' +
      'version that your file comes from. With --conflicts markers the merged text becomes the update, and waits.',
    'Each file is a transaction of its own, as a merge is.',
  )
  return withExamples(
    command,
    { purpose: 'go through all updates', line: 'config' },
    { purpose: 'what would change in /etc/ssh', line: 'config diff /etc/ssh' },
    { purpose: 'take one', line: 'config accept /etc/hello.conf' },
    { purpose: 'merge all that can be merged without a question', line: 'config merge --all' },
  )
}

async function run(action: Action | undefined, paths: readonly Name[], flags: ConfigFlags, command: Command) {
  const { configUpdates } = await import('../merge/index.ts')
  const options = rootOptions(flags)
  const isTerminal = process.stdin.isTTY === true && process.stdout.isTTY === true && flags.json !== true
  const isList = action === 'list' || (action === undefined && !isTerminal)
  const updates = await configUpdates({ ...options, names: paths.map(pathOf), resolvable: !isList })
  if (isList) return list(updates, flags)
  if (action === 'edit' || flags.conflicts === 'edit') wantEditor(isTerminal, command)
  const task: ConfigTask = { options: { ...options, ...given({ durability: flags.durability }) }, flags, updates }
  const { diffAll, resolveAll } = await import('./configActions.ts')
  if (action === 'diff') return diffAll(task)
  if (action === undefined) return (await import('./configDialog.ts')).resolveInDialog(task)
  const isSure = paths.length > 0 || flags.all === true || action === 'edit' || action === 'merge'
  if (!isSure && !isTerminal) command.error(`error: say which updates to ${action}, or --all`)
  if (isSure) return resolveAll(task, action, isTerminal)
  return (await import('./configDialog.ts')).resolveIfConfirmed(task, action)
}

/** vi, which is called where nothing else is named, waits for ever where nobody can type. */
function wantEditor(isTerminal: boolean, command: Command): void {
  if (isTerminal || process.env.VISUAL || process.env.EDITOR) return
  command.error('error: this is no terminal to edit on: set EDITOR to a command that needs none')
}

function list(updates: readonly ConfigUpdate[], flags: ConfigFlags): void {
  if (flags.json) for (const update of updates) printEvent('configUpdate', update)
  else
    printRows(
      updates.map(({ update, name, packages }) => [update, `for ${name} (${packages.join(', ') || 'no package'})`]),
    )
  if (updates.length === 0 && !flags.json && !flags.quiet) print('no updates are waiting')
}

/** The exit code of several answers: the first that is not the usual one. */
export function remember(code: number): void {
  if (process.exitCode === undefined || process.exitCode === exitCodes.done) process.exitCode = code
}
