// What the commands that change a root have in common.

import { accessSync, constants, existsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { InvalidArgumentError, Option } from 'commander'
import type { Triggers } from '../merge/index.ts'
import type { Name } from '../sys/index.ts'
import { pathOf, textOf } from './arguments.ts'
import { numberOf } from './rootOptions.ts'
import { writeToFile } from './write.ts'

/** --durability. */
export function durabilityOption(): Option {
  return new Option('--durability <kind>', 'transaction and file survive power cuts, none only kills')
    .choices(['transaction', 'file', 'none'])
    .default('transaction')
}

/** --keep-undo. */
export function keepUndoOption(): Option {
  return new Option('--keep-undo <count>', 'keep what the last transactions displaced: rootmerge undo').argParser(
    numberOf,
  )
}

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

/** Writes the list of changed names, where it was asked for. */
export function writeChanged({ changed }: { changed?: Uint8Array }, file: Name | undefined): void {
  if (file !== undefined && changed !== undefined) writeToFile(pathOf(file), changed)
}

/** Demands that files which are written after a change can be, as far as that is known before: nothing is made yet. */
export function checkWritable(...files: readonly (Name | undefined)[]): void {
  for (const file of files) {
    if (file === undefined) continue
    const path = pathOf(file)
    const exists = existsSync(path)
    accessSync(exists ? path : pathOf(dirname(file)), constants.W_OK)
    if (exists && statSync(path).isDirectory())
      throw Object.assign(new Error(`EISDIR: '${textOf(file)}' is a directory`), { code: 'EISDIR' })
  }
}
