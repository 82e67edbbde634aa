// rootmerge list, rootmerge owner

import { type Command, Option } from 'commander'
import { list, listEntries, owner, readContents, readRecord } from '../merge/index.ts'
import type { Name } from '../sys/index.ts'
import { pathOf } from './arguments.ts'
import { exitCodes } from './exitCodes.ts'
import { print, printEvent } from './output.ts'
import { type RootFlags, rootCommand, rootOptions } from './rootOptions.ts'

type Format = 'paths' | 'mtree' | 'contents'

/** rootmerge list */
export function listCommand(): Command {
  return rootCommand('list')
    .description('List the packages of a root, or what one of them owns.')
    .argument('[name]', "a package's name")
    .addOption(
      new Option('--format <format>', "paths, the record itself, or Portage's CONTENTS")
        .choices(['paths', 'mtree', 'contents'])
        .default('paths'),
    )
    .action(async (name: Name | undefined, flags: RootFlags & { format: Format }) => {
      if (name === undefined) return printPackages(flags)
      if (flags.format !== 'paths') {
        const read = flags.format === 'mtree' ? readRecord : readContents
        process.stdout.write(await read({ ...rootOptions(flags), package: name }))
        return
      }
      for (const entry of await listEntries({ ...rootOptions(flags), package: name })) {
        if (flags.json) printEvent('entry', entry)
        else print(`/${entry.name}`)
      }
    })
}

async function printPackages(flags: RootFlags): Promise<void> {
  for (const name of await list(rootOptions(flags))) {
    if (flags.json) printEvent('package', { package: name })
    else print(name)
  }
}

/** rootmerge owner */
export function ownerCommand(): Command {
  return rootCommand('owner')
    .description('Say which packages own names. Exits with 1 when nobody owns any of them.')
    .argument('<path...>', 'paths inside the root, or glob patterns')
    .action(async (paths: Name[], flags: RootFlags) => {
      const found = await owner({ ...rootOptions(flags), names: paths.map(pathOf) })
      for (const { name, packages } of found) {
        if (flags.json) printEvent('owner', { name, packages })
        else print(`/${name}: ${packages.length > 0 ? packages.join(', ') : 'nobody'}`)
      }
      if (found.every(({ packages }) => packages.length === 0)) process.exitCode = exitCodes.refused
    })
}
