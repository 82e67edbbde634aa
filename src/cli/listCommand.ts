// rootmerge list, rootmerge owner

import { type Command, Option } from 'commander'
import type { Name } from '../sys/index.ts'
import { pathOf } from './arguments.ts'
import { exitCodes } from './exitCodes.ts'
import { withExamples } from './help.ts'
import { print, printEvent } from './output.ts'
import { collect, type RootFlags, rootCommand, rootOptions } from './rootOptions.ts'
import { write } from './write.ts'

/** What --format takes, beside the names alone. */
const formats = ['paths', 'mtree', 'contents', 'dpkg-list', 'dpkg-md5sums', 'pacman-files', 'pacman-mtree'] as const

type Format = (typeof formats)[number]

/** rootmerge list */
export function listCommand(): Command {
  const command = rootCommand('list')
    .description('List the packages of a root, or what one of them owns.')
    .argument('[name]', "a package's name")
    .addOption(
      new Option('--format <format>', "names, the record itself, or a file of Portage's, dpkg's or pacman's database")
        .choices(formats)
        .default('paths')
        .conflicts('archive'),
    )
    .option('--archive <file>', 'list, in mtree format, what an archive would bring instead; - is standard input')
    .action(async (name: Name | undefined, flags: RootFlags & { format: Format; archive?: Name }) => {
      if (flags.archive !== undefined) return printArchive(flags.archive, name)
      if (name === undefined) {
        if (command.getOptionValueSource('format') !== 'default')
          command.error('error: --format is of a package: name it')
        return printPackages(flags)
      }
      const { exportRecord, listEntries, readContents, readRecord } = await import('../merge/index.ts')
      const options = { ...rootOptions(flags), package: name }
      const { format } = flags
      if (format === 'mtree') return void write(await readRecord(options))
      if (format === 'contents') return void write(await readContents(options))
      if (format !== 'paths') return void write(await exportRecord({ ...options, format }))
      for (const entry of await listEntries(options)) {
        if (flags.json) printEvent('entry', entry)
        else print(`/${entry.name}`)
      }
    })
  return withExamples(
    command,
    { purpose: 'the packages of the running system', line: 'list' },
    { purpose: 'every name that a package owns', line: 'list hello-1.0' },
    { purpose: 'its record, for mtree and bsdtar', line: 'list hello-1.0 --format mtree' },
    { purpose: 'what a Debian package would bring', line: 'list --archive hello_2.10-3_amd64.deb' },
  )
}

async function printArchive(archive: Name, name: Name | undefined): Promise<void> {
  const { readArchive } = await import('../merge/index.ts')
  write(await readArchive({ image: pathOf(archive), ...(name === undefined ? {} : { package: name }) }))
}

async function printPackages(flags: RootFlags): Promise<void> {
  const { list } = await import('../merge/index.ts')
  for (const name of await list(rootOptions(flags))) {
    if (flags.json) printEvent('package', { package: name })
    else print(name)
  }
}

/** rootmerge owner */
export function ownerCommand(): Command {
  const command = rootCommand('owner')
    .description('Say which packages own names. Exits with 1 when nobody owns any of them.')
    .argument('<path...>', 'paths inside the root, or glob patterns', collect)
    .action(async (paths: Name[], flags: RootFlags) => {
      const { owner } = await import('../merge/index.ts')
      const found = await owner({ ...rootOptions(flags), names: paths.map(pathOf) })
      for (const { name, packages } of found) {
        if (flags.json) printEvent('owner', { name, packages })
        else print(`/${name}: ${packages.length > 0 ? packages.join(', ') : 'nobody'}`)
      }
      if (found.every(({ packages }) => packages.length === 0)) process.exitCode = exitCodes.refused
    })
  return withExamples(
    command,
    { purpose: 'whose is this file', line: 'owner /usr/bin/hello' },
    { purpose: 'every owned name of a pattern', line: "owner '/usr/share/man/**/hello*'" },
  )
}
