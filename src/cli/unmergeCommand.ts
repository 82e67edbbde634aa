// rootmerge unmerge

import type { Command } from 'commander'
import type { MergeDurability } from '../merge/index.ts'
import type { Name } from '../sys/index.ts'
import { given } from './given.ts'
import { withExamples } from './help.ts'
import { durabilityOption, writeChanged } from './mergeCommand.ts'
import { print, printEvent } from './output.ts'
import { type RootFlags, rootCommand, rootOptions } from './rootOptions.ts'
import { describePhases, printDetail, printRemarks } from './summary.ts'
import { watched } from './watched.ts'

interface UnmergeFlags extends RootFlags {
  readonly changed?: Name
  readonly durability?: MergeDurability
  readonly dryRun?: boolean
}

/** rootmerge unmerge */
export function unmergeCommand(): Command {
  const command = rootCommand('unmerge')
    .description('Remove packages; files that were edited since stay, and are listed.')
    .argument('<name...>', "the packages' names")
    .addOption(durabilityOption())
    .option('--changed <file>', 'write every removed name to a file, each ended by a NUL')
    .option('--dry-run', 'print what would be done and write nothing')
    .action(run)
  return withExamples(
    command,
    { purpose: 'remove a package', line: 'unmerge hello-1.0' },
    { purpose: 'see what would go from another root', line: 'unmerge hello-1.0 --root /srv/root --dry-run' },
  )
}

async function run(packages: Name[], flags: UnmergeFlags): Promise<void> {
  const { unmerge } = await import('../merge/index.ts')
  const { durability, dryRun } = flags
  const options = { ...rootOptions(flags), ...given({ durability, dryRun, listChanged: flags.changed !== undefined }) }
  const { report, phases } = await watched(flags, (watching) => unmerge({ ...options, packages, ...watching }))
  writeChanged(report, flags.changed)
  const { changed: _, ...told } = report
  if (flags.json) return printEvent('unmerge', { ...told, phases })
  if (flags.quiet) return
  const verb = flags.dryRun ? 'would be unmerged' : 'unmerged'
  print(`${report.packages.join(', ')} ${verb}: ${report.removed} names ${flags.dryRun ? 'would go' : 'removed'}`)
  printRemarks(report)
  if (flags.dryRun !== true) printDetail(describePhases(phases))
}
