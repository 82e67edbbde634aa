// rootmerge unmerge

import type { Command } from 'commander'
import type { MergeDurability, Triggers } from '../merge/index.ts'
import type { Name } from '../sys/index.ts'
import { checkWritable, durabilityOption, keepUndoOption, triggerOption, writeChanged } from './changeOptions.ts'
import { given } from './given.ts'
import { withExamples } from './help.ts'
import { counted } from './measures.ts'
import { print, printEvent } from './output.ts'
import { dryRunOption, printPlan } from './planOutput.ts'
import { type RootFlags, rootCommand, rootOptions } from './rootOptions.ts'
import { describePhases, printDetail, printRemarks } from './summary.ts'
import { watched } from './watched.ts'

interface UnmergeFlags extends RootFlags {
  readonly changed?: Name
  readonly durability?: MergeDurability
  readonly keepUndo?: number
  readonly trigger?: Triggers
  readonly dryRun?: boolean
  readonly purge?: boolean
}

/** rootmerge unmerge */
export function unmergeCommand(): Command {
  const command = rootCommand('unmerge')
    .description('Remove packages; files that were edited since stay, and are listed.')
    .argument('<name...>', "the packages' names")
    .addOption(durabilityOption())
    .addOption(keepUndoOption())
    .option('--changed <file>', 'write every removed name to a file, each ended by a NUL')
    .addOption(triggerOption())
    .option('--purge', 'remove protected configuration too, edited or not, and forget what was remembered of it')
    .addOption(dryRunOption())
    .action(run)
  return withExamples(
    command,
    { purpose: 'remove a package', line: 'unmerge hello-1.0' },
    { purpose: 'see what would go from another root', line: 'unmerge hello-1.0 --root /srv/root --dry-run' },
  )
}

async function run(packages: Name[], flags: UnmergeFlags): Promise<void> {
  checkWritable(flags.changed)
  const { planUnmerge, unmerge } = await import('../merge/index.ts')
  const { durability, keepUndo, purge, trigger: triggers } = flags
  const options = {
    ...rootOptions(flags),
    packages,
    ...given({ durability, keepUndo, purge, triggers, listChanged: flags.changed !== undefined }),
  }
  if (flags.dryRun) {
    const { report: planned } = await watched(flags, (watching) => planUnmerge({ ...options, ...watching }))
    return printPlan(planned, 'unmerged', flags)
  }
  const { report, phases } = await watched(flags, (watching) => unmerge({ ...options, ...watching }))
  writeChanged(report, flags.changed)
  const { changed: _, ...told } = report
  if (flags.json) return printEvent('unmerge', { ...told, phases })
  if (flags.quiet) return
  print(`${report.packages.join(', ')} unmerged: ${counted(report.removed, 'name')} removed`)
  printRemarks(report)
  printDetail(describePhases(phases))
}
