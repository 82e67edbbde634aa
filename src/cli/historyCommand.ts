// rootmerge history

import type { Command } from 'commander'
import { withExamples, withNotes } from './help.ts'
import { printEvent, say } from './output.ts'
import { type RootFlags, rootCommand, rootOptions } from './rootOptions.ts'
import { printRows } from './table.ts'

/** rootmerge history */
export function historyCommand(): Command {
  const command = rootCommand('history')
    .description('List the transactions that can be undone, the newest first.')
    .action(run)
  return withExamples(
    withNotes(
      command,
      'A transaction can be undone if it ran with --keep-undo: what it displaced is kept until later ones push it out.',
    ),
    { purpose: 'what can be undone here', line: 'history' },
  )
}

async function run(flags: RootFlags): Promise<void> {
  const { history } = await import('../merge/index.ts')
  const entries = await history(rootOptions(flags))
  if (flags.json) for (const entry of entries) printEvent('transaction', entry)
  else if (entries.length > 0) printRows(entries.map(({ id, time, packages }) => [id, time, packages.join(', ')]))
  else if (!flags.quiet) say('no transaction is kept: --keep-undo keeps those that follow')
}
