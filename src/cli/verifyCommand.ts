// rootmerge verify

import { type Command, Option } from 'commander'
import { differences, type VerifiedEntry, verify } from '../merge/index.ts'
import type { Name } from '../sys/index.ts'
import { exitCodes } from './exitCodes.ts'
import { print, printEvent } from './output.ts'
import { numberOf, type RootFlags, rootCommand, rootOptions } from './rootOptions.ts'
import { cancellable } from './signals.ts'

/** One letter a column, as rpm -V has them: size, mode, digest, device, link, user, group, time, and X for attributes. */
const letters = 'SM5DLUGTX'

interface VerifyFlags extends RootFlags {
  readonly fast?: boolean
  readonly jobs?: number
}

/** rootmerge verify */
export function verifyCommand(): Command {
  return rootCommand('verify')
    .description('Compare what packages own with their records. Exits with 1 when something differs.')
    .argument('[name...]', "the packages' names (default: all)")
    .option('--fast', 'compare everything but the contents of files')
    .addOption(new Option('--jobs <n>', 'threads (default: as many as cores, at most 4)').argParser(numberOf))
    .addHelpText(
      'after',
      `\nColumns are ${letters}: size mode digest device link user group time xattrs; a dot is equal.`,
    )
    .action(async (packages: Name[], flags: VerifyFlags) => {
      const jobs = flags.jobs === undefined ? {} : { jobs: flags.jobs }
      const options = { ...rootOptions(flags), packages, digests: flags.fast !== true, ...jobs }
      const found = await cancellable((signal) => verify({ ...options, signal }))
      for (const entry of found) {
        if (flags.json) printEvent('differs', entry)
        else if (!flags.quiet) print(`${columns(entry)}  ${entry.name} (${entry.package})`)
      }
      if (flags.json) printEvent('verify', { differing: found.length })
      else if (!flags.quiet && found.length === 0) print('everything is as recorded')
      if (found.length > 0) process.exitCode = exitCodes.refused
    })
}

function columns({ differences: found }: VerifiedEntry): string {
  if (found.includes('missing')) return 'missing  '
  if (found.includes('type')) return 'type     '
  return differences.map((difference, index) => (found.includes(difference) ? letters[index] : '.')).join('')
}
