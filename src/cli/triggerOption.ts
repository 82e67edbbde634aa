// --trigger NAME=PATTERN, of every command that changes packages.

import { InvalidArgumentError, Option } from 'commander'
import type { Triggers } from '../merge/index.ts'
import { textOf } from './arguments.ts'

/** --trigger; what was given comes as the library takes it. */
export function triggerOption(): Option {
  return new Option(
    '--trigger <name=pattern>',
    'say whether names of a glob pattern were changed; may be given several times',
  ).argParser(addTrigger)
}

function addTrigger(given: string, before: Triggers = {}): Triggers {
  const equals = given.indexOf('=')
  if (equals < 1) throw new InvalidArgumentError('It is not NAME=PATTERN.')
  const [name, pattern] = [textOf(given.slice(0, equals)), textOf(given.slice(equals + 1))]
  return { ...before, [name]: [...(before[name] ?? []), pattern] }
}
