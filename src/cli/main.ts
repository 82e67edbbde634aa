#!/usr/bin/env node
// The command: words in, one library call, words and an exit code out. No decisions are taken here.

import module from 'node:module'
import { type Command, CommanderError } from 'commander'
import { argumentBytes } from './arguments.ts'
import { commands, groups, makeProgram } from './commands.ts'
import { debugFromEnvironment } from './debug.ts'
import { exitCodeOf, exitCodes } from './exitCodes.ts'
import { title } from './help.ts'
import { printError, toleratesClosedPipes } from './output.ts'
import { packageVersion } from './version.ts'

/** Commander throws instead of ending the process, and says in one line where help is. */
function prepared(command: Command): Command {
  for (const each of command.commands) prepared(each)
  return command
    .exitOverride()
    .showHelpAfterError('(add --help for the options)')
    .configureHelp({ showGlobalOptions: false, styleTitle: title })
}

/** The command that is asked for, also as `help COMMAND`. */
function wantedCommand(args: readonly string[]): string | undefined {
  const [first, second] = args.filter((argument) => !argument.startsWith('-'))
  return first === 'help' ? second : first
}

function usesRoot(wanted: string | undefined): boolean {
  return commands.some(({ name, group }) => name === wanted && group === groups.root)
}

/** The engine's thread starts while this one reads the command line. */
function prepareEngine(wanted: string | undefined, args: readonly string[]): void {
  if (!usesRoot(wanted) || args.includes('--help') || args.includes('-h')) return
  void import('../sys/engineThread.ts').then(({ prepareThread }) => prepareThread('mergeImages'))
}

async function main(): Promise<void> {
  const args = argumentBytes()
  const wanted = wantedCommand(args)
  try {
    await debugFromEnvironment()
    prepareEngine(wanted, args)
    const program = prepared(await makeProgram(packageVersion(), wanted))
    await program.parseAsync(args, { from: 'user' })
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? exitCodes.done : exitCodes.usage // commander has printed it
      return
    }
    process.exitCode = exitCodeOf(error)
    printError(error, { json: args.includes('--json'), exitCode: process.exitCode, isOnRoot: usesRoot(wanted) })
  }
}

// Node 22.1 and newer: what was compiled once is loaded faster. The types are those of the oldest Node that it runs on.
const { enableCompileCache } = module as { enableCompileCache?: () => unknown }
enableCompileCache?.()
toleratesClosedPipes()
await main()
