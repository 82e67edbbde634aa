#!/usr/bin/env node
// The command: words in, one library call, words and an exit code out. No decisions are taken here.

import module from 'node:module'
import { type Command, CommanderError, type OutputConfiguration } from 'commander'
import { argumentBytes } from './arguments.ts'
import { commands, groups, makeProgram } from './commands.ts'
import { debugFromEnvironment } from './debug.ts'
import { exitCodeOf, exitCodes } from './exitCodes.ts'
import { helpWidth, isColoured, title } from './help.ts'
import { printError, printEvent, say } from './output.ts'
import { lookAtSignals } from './signals.ts'
import { packageVersion } from './version.ts'
import { complaints, lostOutput, write } from './write.ts'

/** Where commander writes, and what it would ask the streams about. */
const commanderOutput: OutputConfiguration = {
  writeOut: (text) => write(text),
  writeErr: (text) => write(text, complaints),
  getOutHelpWidth: helpWidth,
  getOutHasColors: isColoured,
}

/** Commander throws instead of ending the process, and says in one line where help is. */
function prepared(command: Command): Command {
  for (const each of command.commands) prepared(each)
  return command
    .exitOverride()
    .configureOutput(commanderOutput)
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

/** This process has nothing else to do than its engine's work, so that is done here. */
async function runEngines(): Promise<void> {
  const [{ engines }, { runEnginesHere }] = await Promise.all([import('../engines.ts'), import('../sys/index.ts')])
  runEnginesHere(engines, lookAtSignals)
}

async function main(): Promise<void> {
  const args = argumentBytes()
  const wanted = wantedCommand(args)
  try {
    await debugFromEnvironment()
    const program = prepared(await makeProgram(packageVersion(), wanted))
    program.hook('preAction', runEngines)
    const isUnknown =
      args[0] === 'help' && wanted !== undefined && program.commands.every((each) => each.name() !== wanted)
    await program.parseAsync(isUnknown ? [wanted] : args, { from: 'user' }) // commander would only show all that there is
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? exitCodes.done : exitCodes.usage // commander has printed it
      if (process.exitCode === exitCodes.usage && args.includes('--json'))
        printEvent('error', {
          name: 'UsageError',
          message: error.message.replace(/^error: /, ''),
          exitCode: exitCodes.usage,
        })
      return
    }
    process.exitCode = exitCodeOf(error)
    printError(error, { json: args.includes('--json'), exitCode: process.exitCode, isOnRoot: usesRoot(wanted) })
  }
}

/** A result that did not arrive is no success, though what was done is done. */
function tellLostOutput(): void {
  const error = lostOutput()
  if (error === undefined) return
  process.exitCode ||= exitCodes.system
  say(`rootmerge: not all of its output could be written: ${error.message}`)
}

// Node 22.1 and newer: what was compiled once is loaded faster. The types are those of the oldest Node that it runs on.
const { enableCompileCache } = module as { enableCompileCache?: () => unknown }
enableCompileCache?.()

// The command is published as CommonJS (see scripts/bundle.ts), where nothing can be awaited out here. What a top-level await
// would do beside that is done by hand: a command that waits for what never comes has failed, by Node's own code for it.
const unsettled = 13
const failUnsettled = (): void => {
  process.exitCode ||= unsettled
}
process.once('exit', failUnsettled)
void main().then(() => {
  process.off('exit', failUnsettled)
  tellLostOutput()
})
