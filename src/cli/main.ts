#!/usr/bin/env node
// The command: words in, one library call, words and an exit code out. No decisions are taken here.

import { type Command, CommanderError } from 'commander'
import { argumentBytes } from './arguments.ts'
import { makeProgram } from './commands.ts'
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

async function main(): Promise<void> {
  const args = argumentBytes()
  try {
    await debugFromEnvironment()
    const program = prepared(await makeProgram(packageVersion(), wantedCommand(args)))
    await program.parseAsync(args, { from: 'user' })
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? exitCodes.done : exitCodes.usage // commander has printed it
      return
    }
    process.exitCode = exitCodeOf(error)
    printError(error, { json: args.includes('--json'), exitCode: process.exitCode })
  }
}

toleratesClosedPipes()
await main()
