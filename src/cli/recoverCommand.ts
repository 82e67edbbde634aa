// rootmerge recover

import type { Command } from 'commander'
import type { RecoveryAction } from '../merge/index.ts'
import type { Name } from '../sys/index.ts'
import { pathOf } from './arguments.ts'
import { withExamples } from './help.ts'
import { print, printEvent } from './output.ts'
import { type RootFlags, rootCommand, rootOptions } from './rootOptions.ts'

const told: Readonly<Record<RecoveryAction, string>> = {
  nothing: 'nothing to recover',
  discard: 'what had been staged was removed: the root is as it was before',
  undo: 'it was undone: the root is as it was before',
  finish: 'it was finished: the root is as it should be after',
  'clean up': 'it had been finished; its clean-up was',
}

interface RecoverFlags extends RootFlags {
  readonly undo?: boolean
  readonly scan?: true | readonly Name[]
}

/** rootmerge recover */
export function recoverCommand(): Command {
  const command = rootCommand('recover')
    .description(
      'Finish or undo a transaction that was left behind. Every other command that changes a root does so too.',
    )
    .option('--undo', 'undo a committed transaction instead of finishing it')
    .option(
      '--scan [directory...]',
      'then look for staging names that no journal knows, in the root or in directories of it',
    )
    .action(async (flags: RecoverFlags) => {
      const { recover } = await import('../merge/index.ts')
      const scan = typeof flags.scan === 'object' ? flags.scan.map(pathOf) : (flags.scan ?? false)
      const report = await recover({ ...rootOptions(flags), undo: flags.undo ?? false, scan })
      if (flags.json) return printEvent('recover', report)
      if (flags.quiet) return
      print(report.packages.length > 0 ? `${report.packages.join(', ')}: ${told[report.action]}` : told[report.action])
      for (const { name, reason } of report.leftOvers) print(`  left over ${name}: ${reason}`)
      for (const name of report.scan?.removed ?? []) print(`  removed ${name}: a staging name that was left over`)
      for (const { name, reason } of report.scan?.kept ?? []) print(`  kept ${name}: ${reason}`)
    })
  return withExamples(
    command,
    { purpose: 'after a crash or a power cut', line: 'recover' },
    { purpose: 'a system that does not start, from outside', line: 'recover --root /mnt' },
    { purpose: 'what clean-ups had to leave behind, when that was mended', line: 'recover --scan' },
    { purpose: 'back to the state before, where the new one cannot be reached', line: 'recover --undo' },
  )
}
