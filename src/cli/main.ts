#!/usr/bin/env node
// The command: words in, one library call, words and an exit code out. No decisions are taken here.

import { Command, CommanderError } from 'commander'
import { argumentBytes } from './arguments.ts'
import { copyCommand } from './copyCommand.ts'
import { exitCodeOf, exitCodes } from './exitCodes.ts'
import { listCommand, ownerCommand } from './listCommand.ts'
import { mergeCommand, unmergeCommand } from './mergeCommand.ts'
import { moveCommand } from './moveCommand.ts'
import { printError } from './output.ts'
import { recoverCommand } from './recoverCommand.ts'
import { verifyCommand } from './verifyCommand.ts'
import { packageVersion } from './version.ts'

function rootmerge(): Command {
  const program = new Command('rootmerge')
    .description('Installs images into a live root: one merge is one transaction that survives a crash at any instant.')
    .version(packageVersion())
    .showHelpAfterError('(add --help for the options)')
    .configureHelp({ showGlobalOptions: false })
  const commands = [
    mergeCommand(),
    unmergeCommand(),
    verifyCommand(),
    listCommand(),
    ownerCommand(),
    recoverCommand(),
    copyCommand(),
    moveCommand(),
  ]
  for (const command of commands) program.addCommand(command.exitOverride().showHelpAfterError())
  return program.exitOverride()
}

async function main(): Promise<void> {
  try {
    await rootmerge().parseAsync(argumentBytes(), { from: 'user' })
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? exitCodes.done : exitCodes.usage // commander has printed it
      return
    }
    printError(error)
    process.exitCode = exitCodeOf(error)
  }
}

await main()
