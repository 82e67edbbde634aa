// rootmerge merge, rootmerge unmerge

import { writeFileSync } from 'node:fs'
import { type Command, Option } from 'commander'
import {
  type KeptName,
  type LeftOver,
  type MergeProgress,
  type MergeReport,
  merge,
  readContents,
  unmerge,
} from '../merge/index.ts'
import type { Name } from '../sys/index.ts'
import { pathOf, textOf } from './arguments.ts'
import { formatBytes, type OutputOptions, print, printEvent, say } from './output.ts'
import { collect, numberOf, type RootFlags, rootCommand, rootOptions } from './rootOptions.ts'
import { cancellable } from './signals.ts'

interface MergeFlags extends RootFlags {
  readonly package?: Name
  readonly replaces?: readonly Name[]
  readonly include?: readonly Name[]
  readonly exclude?: readonly Name[]
  readonly collisionIgnore?: readonly Name[]
  readonly changed?: Name
  readonly contents?: Name
  readonly shareIdentical?: boolean
  readonly durability?: 'transaction' | 'none'
  readonly digest?: 'sha256' | 'none'
  readonly metadata?: 'require' | 'best-effort'
  readonly stripComponents?: number
  readonly dryRun?: boolean
}

const durability = new Option('--durability <kind>', 'transaction survives power cuts, none only kills')
  .choices(['transaction', 'none'])
  .default('transaction')

/** rootmerge merge */
export function mergeCommand(): Command {
  return rootCommand('merge')
    .description('Install an image (a directory tree or a tar archive) as a package.')
    .argument('<image...>', 'the images; IMAGE=NAME names the package too. Several are one transaction')
    .option('--package <name>', "the package's name, of a single image (default: the image's base name)")
    .option('--replaces <name>', 'a package that this one replaces; may be given several times', collect)
    .option('--include <glob>', 'merge only these entries; may be given several times', collect)
    .option('--exclude <glob>', 'leave these entries out; may be given several times', collect)
    .option('--collision-ignore <glob>', 'take these names over whoever owns them; may be given several times', collect)
    .option('--changed <file>', 'write every changed name to a file, each ended by a NUL')
    .option('--contents <file>', "write the record in Portage's CONTENTS format too; refuses names that it cannot have")
    .option('--share-identical', 'own identical objects together with other packages')
    .addOption(durability)
    .addOption(
      new Option('--digest <kind>', 'digest payloads for verify').choices(['sha256', 'none']).default('sha256'),
    )
    .addOption(
      new Option('--metadata <policy>', 'what to do when an owner or attribute cannot be kept')
        .choices(['require', 'best-effort'])
        .default('require'),
    )
    .addOption(new Option('--strip-components <n>', "take components off an archive's names").argParser(numberOf))
    .option('--dry-run', 'print what would be done and write nothing')
    .addHelpText('after', '\nExample:\n  rootmerge merge ./image --package hello-1.0 --root /srv/root')
    .action(async (given: readonly Name[], flags: MergeFlags, command: Command) => {
      const images = imagesAndNames(given, flags, command)
      const report = await cancellable((signal) =>
        merge({
          ...mergeOptions(flags),
          images: images.map(([path, name]) => ({ image: pathOf(path), package: name })),
          signal,
          onProgress: progressPrinter(flags),
        }),
      )
      writeChanged(report, flags.changed)
      if (flags.contents !== undefined && flags.dryRun !== true) {
        const contents = await readContents({ ...rootOptions(flags), package: images[0]?.[1] ?? '' })
        writeFileSync(pathOf(flags.contents), contents)
      }
      printMerge(report, flags)
    })
}

function mergeOptions(flags: MergeFlags) {
  const { replaces, shareIdentical, durability, digest, metadata, stripComponents, dryRun } = flags
  const texts = (values: readonly Name[] | undefined) => values?.map(textOf)
  const listChanged = flags.changed !== undefined
  const globs = {
    include: texts(flags.include),
    exclude: texts(flags.exclude),
    collisionIgnore: texts(flags.collisionIgnore),
  }
  const given = {
    ...globs,
    listChanged,
    ...(flags.contents === undefined ? {} : { contents: true }),
    replaces,
    shareIdentical,
    durability,
    digest,
    metadata,
    stripComponents,
    dryRun,
  }
  return { ...rootOptions(flags), ...defined(given) }
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> }

/** Without the options that were not given. */
function defined<T extends object>(options: T): Defined<T> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Defined<T>
}

/** What is said of one package only goes with one image only. */
function imagesAndNames(given: readonly Name[], flags: MergeFlags, command: Command): [Name, Name][] {
  const single = flags.package !== undefined ? '--package' : flags.contents !== undefined ? '--contents' : undefined
  if (given.length > 1 && single !== undefined) command.error(`error: ${single} is for a single image`)
  return given.map((image) => imageAndName(image, flags.package))
}

/** `IMAGE=NAME`, or the name by its own option, or what the image's file is called. */
function imageAndName(image: Name, given: Name | undefined): [Name, Name] {
  if (given !== undefined) return [image, given]
  const equals = image.lastIndexOf('=')
  if (equals > image.lastIndexOf('/')) return [image.slice(0, equals), image.slice(equals + 1)]
  const base = image.replace(/\/+$/, '').split('/').at(-1) ?? ''
  return [image, base.replace(/\.(tar|tgz|tar\.gz)$/, '')]
}

/** Tells phases: as events, or (verbose) as lines. */
function progressPrinter(flags: OutputOptions): (progress: MergeProgress) => void {
  let phase = ''
  return (progress) => {
    if (flags.json) printEvent('progress', progress)
    else if (flags.verbose && progress.phase !== phase) say(`${progress.phase} …`)
    phase = progress.phase
  }
}

function writeChanged({ changed }: { changed?: Uint8Array }, file: Name | undefined): void {
  if (file !== undefined && changed !== undefined) writeFileSync(pathOf(file), changed)
}

function printMerge({ changed: _, ...report }: MergeReport, flags: MergeFlags): void {
  if (flags.json) return printEvent('merge', report)
  if (flags.quiet) return
  const verb = flags.dryRun ? 'would be merged' : 'merged'
  for (const { package: name, entries, counts } of report.packages) {
    const fates = Object.entries(counts).map(([what, count]) => `${words[what] ?? what} ${count}`)
    print(`${name} ${verb}: ${entries} entries (${fates.join(', ')})`)
  }
  const removed = (counts: MergeReport['counts']) => counts.remove ?? 0
  const replaced = removed(report.counts) - report.packages.reduce((sum, { counts }) => sum + removed(counts), 0)
  if (replaced > 0) print(`  ${replaced} names of replaced packages ${flags.dryRun ? 'would go' : 'removed'}`)
  for (const [method, bytes] of Object.entries(report.bytesByMethod)) print(`  ${formatBytes(bytes)} by ${method}`)
  if (report.holes > 0) print(`  ${formatBytes(report.holes)} of holes kept`)
  if (report.recovered !== undefined && report.recovered.action !== 'nothing') {
    print(`  an earlier transaction was recovered first: ${report.recovered.action}`)
  }
  printStayed(report)
}

const words: Readonly<Record<string, string>> = {
  place: 'placed',
  replace: 'replaced',
  adopt: 'adopted',
  refresh: 'refreshed',
  newDirectory: 'new directories',
  keepDirectory: 'directories kept',
  changeDirectory: 'directories changed',
  remove: 'removed',
  twin: 'shared',
}

function printStayed({ kept, leftOvers }: { kept: readonly KeptName[]; leftOvers: readonly LeftOver[] }): void {
  for (const { name, reason } of kept) print(`  kept ${name}: ${reason}`)
  for (const { name, reason } of leftOvers) print(`  left over ${name}: ${reason}`)
}

interface UnmergeFlags extends RootFlags {
  readonly changed?: Name
  readonly durability?: 'transaction' | 'none'
  readonly dryRun?: boolean
}

/** rootmerge unmerge */
export function unmergeCommand(): Command {
  return rootCommand('unmerge')
    .description('Remove packages; files that were edited since stay, and are listed.')
    .argument('<name...>', "the packages' names")
    .addOption(durability)
    .option('--changed <file>', 'write every removed name to a file, each ended by a NUL')
    .option('--dry-run', 'print what would be done and write nothing')
    .addHelpText('after', '\nExample:\n  rootmerge unmerge hello-1.0 --root /srv/root')
    .action(async (packages: Name[], flags: UnmergeFlags) => {
      const { durability, dryRun } = flags
      const options = {
        ...rootOptions(flags),
        ...defined({ durability, dryRun, listChanged: flags.changed !== undefined }),
      }
      const onProgress = progressPrinter(flags)
      const report = await cancellable((signal) => unmerge({ ...options, packages, signal, onProgress }))
      writeChanged(report, flags.changed)
      const { changed: _, ...told } = report
      if (flags.json) return printEvent('unmerge', told)
      if (flags.quiet) return
      const verb = flags.dryRun ? 'would be unmerged' : 'unmerged'
      print(`${report.packages.join(', ')} ${verb}: ${report.removed} names ${flags.dryRun ? 'would go' : 'removed'}`)
      printStayed(report)
    })
}
