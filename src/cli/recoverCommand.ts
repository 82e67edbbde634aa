// rootmerge recover

import type { Command } from 'commander'
import { type RecoveryAction, recover } from '../merge/index.ts'
import { print, printEvent } from './output.ts'
import { type RootFlags, rootCommand, rootOptions } from './rootOptions.ts'

const told: Readonly<Record<RecoveryAction, string>> = {
  nothing: 'nothing to recover',
  discard: 'what had been staged was removed: the root is as it was before',
  undo: 'it was undone: the root is as it was before',
  finish: 'it was finished: the root is as it should be after',
  'clean up': 'it had been finished; its clean-up was',
}

/** rootmerge recover */
export function recoverCommand(): Command {
  return rootCommand('recover')
    .description(
      'Finish or undo a transaction that was left behind. Every other command that changes a root does so too.',
    )
    .option('--undo', 'undo a committed transaction instead of finishing it')
    .action(async (flags: RootFlags & { undo?: boolean }) => {
      const report = await recover({ ...rootOptions(flags), undo: flags.undo ?? false })
      if (flags.json) return printEvent('recover', report)
      if (flags.quiet) return
      print(report.packages.length > 0 ? `${report.packages.join(', ')}: ${told[report.action]}` : told[report.action])
      for (const { name, reason } of report.leftOvers) print(`  left over ${name}: ${reason}`)
    })
}
