// The options that every command on a root has.

import { Command, InvalidArgumentError, Option } from 'commander'
import type { RootOptions } from '../merge/index.ts'
import type { Name } from '../sys/index.ts'
import { pathOf } from './arguments.ts'
import type { OutputOptions } from './output.ts'

/** As commander gives them. */
export interface RootFlags extends OutputOptions {
  readonly root: Name
  readonly state?: Name
  readonly lockWait?: number
}

/** A command on a root, with the options that all of them share. */
export function rootCommand(name: string): Command {
  return new Command(name)
    .option('--root <directory>', 'the root to work on', '/')
    .option('--state <name>', 'where the state is, inside the root (default: var/lib/rootmerge)')
    .addOption(new Option('--lock-wait <seconds>', 'wait for another writer').argParser(numberOf))
    .option('--json', 'print one event per line')
    .option('--quiet', 'print errors only')
    .option('--verbose', 'say how each file was copied, and why')
}

/** The library's options of these flags. */
export function rootOptions({ root, state, lockWait }: RootFlags): RootOptions {
  return {
    root: pathOf(root),
    ...(state === undefined ? {} : { state: pathOf(state) }),
    ...(lockWait === undefined ? {} : { lockWait }),
  }
}

/** A number that is not negative. */
export function numberOf(text: string): number {
  const number = Number(text)
  if (text === '' || !Number.isFinite(number) || number < 0)
    throw new InvalidArgumentError('It is not a number from 0 up.')
  return number
}

/** Adds a value to those that were given before, for options that may come several times. */
export function collect(value: string, before: readonly string[] = []): string[] {
  if (value === '') throw new InvalidArgumentError('It is empty.') // a variable that is not set
  return [...before, value]
}
