// rootmerge undo

import type { Command } from 'commander'
import type { MergeDurability } from '../merge/index.ts'
import type { Name } from '../sys/index.ts'
import { durabilityOption } from './changeOptions.ts'
import { given } from './given.ts'
import { withExamples, withNotes } from './help.ts'
import { print, printEvent } from './output.ts'
import { type RootFlags, rootCommand, rootOptions } from './rootOptions.ts'
import { printRemarks } from './summary.ts'
import { watched } from './watched.ts'

interface UndoFlags extends RootFlags {
  readonly durability?: MergeDurability
}

/** rootmerge undo */
export function undoCommand(): Command {
  const command = rootCommand('undo')
    .description('Undo a finished transaction, the last one by default: everything is as it was before it.')
    .argument('[id]', "the transaction's, as `rootmerge history` lists it")
    .addOption(durabilityOption())
    .action(run)
  return withExamples(
    withNotes(
      command,
      'It is refused, with every reason, when the root is not as that transaction left it. The undoing is one transaction too; it cannot be undone itself.',
    ),
    { purpose: 'take the last merge back', line: 'undo' },
  )
}

async function run(id: Name | undefined, flags: UndoFlags): Promise<void> {
  const { undo } = await import('../merge/index.ts')
  const options = { ...rootOptions(flags), ...given({ id, durability: flags.durability }) }
  const { report, phases } = await watched(flags, (watching) => undo({ ...options, ...watching }))
  if (flags.json) return printEvent('undo', { ...report, phases })
  if (flags.quiet) return
  print(`${report.undone.packages.join(', ')}: transaction ${report.undone.id} is undone`)
  printRemarks(report)
}
