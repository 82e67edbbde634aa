// rootmerge import

import type { Command } from 'commander'
import type { ImportReport, Manager } from '../merge/index.ts'
import type { Name } from '../sys/index.ts'
import { pathOf } from './arguments.ts'
import { withExamples, withNotes } from './help.ts'
import { counted } from './measures.ts'
import { print, printEvent } from './output.ts'
import { type RootFlags, rootCommand, rootOptions } from './rootOptions.ts'
import { watched } from './watched.ts'

type ImportFlags = RootFlags &
  Partial<Record<Manager, boolean>> & { readonly package?: string; readonly dryRun?: boolean }

const databaseOf: Readonly<Record<Manager, string>> = {
  dpkg: "dpkg's database (var/lib/dpkg)",
  pacman: "pacman's local database (var/lib/pacman/local)",
  portage: "Portage's installed packages (var/db/pkg)",
  apk: "apk's installed packages (lib/apk/db/installed)",
  rpm: "rpm's database, through rpmdb",
}

const managers = Object.keys(databaseOf) as Manager[]

/** rootmerge import */
export function importCommand(): Command {
  const command = rootCommand('import')
    .description('Make the packages of another installer known: they own their names and are verified.')
    .argument('[file]', 'a record, an mtree file or a Portage CONTENTS: its package becomes one of ours')
    .option('--package <name>', "the file's package")
    .option('--dry-run', 'only say what would become known')
  for (const manager of managers) command.option(`--${manager}`, databaseOf[manager])
  command.action(async (file: Name | undefined, flags: ImportFlags) => {
    const options = { ...rootOptions(flags), ...sourceOf(file, flags, command), dryRun: flags.dryRun ?? false }
    const { importPackages } = await import('../merge/index.ts')
    const { report } = await watched(flags, (watching) => importPackages({ ...options, ...watching }))
    if (flags.json) printEvent('import', report)
    else if (!flags.quiet) printReport(report, flags)
  })
  withExamples(
    command,
    { purpose: 'before the first merge on Debian, and again after each run of dpkg', line: 'import --dpkg' },
    { purpose: 'what somebody installed by hand', line: 'import ./installed.mtree --package handmade' },
  )
  return withNotes(
    command,
    'A database is only read. An imported package is called dpkg:bash, and only its installer changes it: merge, unmerge and --replaces leave it alone.',
  )
}

function sourceOf(file: Name | undefined, flags: ImportFlags, command: Command) {
  const [manager, ...more] = managers.filter((each) => flags[each] === true)
  if (more.length > 0 || (manager === undefined) === (file === undefined)) {
    command.error(`error: give one of a file, ${managers.map((each) => `--${each}`).join(', ')}`)
  }
  if (manager !== undefined && flags.package !== undefined)
    command.error(`error: --package is for a file: --${manager} imports all packages of the database`)
  if (manager !== undefined) return { manager }
  return { file: pathOf(file ?? ''), ...(flags.package === undefined ? {} : { package: flags.package }) }
}

function printReport(report: ImportReport, flags: ImportFlags): void {
  const { packages, entries, added, refreshed, removed, shared, leftOvers } = report
  if (flags.verbose) {
    for (const [word, names] of Object.entries({ added, refreshed, removed })) {
      for (const name of names) print(`${word} ${name}`)
    }
  }
  const changes = `${added.length} added, ${refreshed.length} refreshed, ${removed.length} removed`
  print(`${counted(packages, 'package')}, ${counted(entries, 'name')}: ${changes}${flags.dryRun ? ' (dry run)' : ''}`)
  for (const { name, packages: owners } of shared) print(`  /${name} belongs to ${owners.join(' and ')}`)
  for (const { name, reason } of leftOvers) print(`  left over ${name}: ${reason}`)
}
