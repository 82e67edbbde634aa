// rootmerge merge

import { writeFileSync } from 'node:fs'
import { type Command, Option } from 'commander'
import type { MergeDurability, MergeReport, StyleName, Triggers } from '../merge/index.ts'
import type { Name } from '../sys/index.ts'
import { pathOf, textOf } from './arguments.ts'
import { checkWritable, durabilityOption, keepUndoOption, triggerOption, writeChanged } from './changeOptions.ts'
import { given } from './given.ts'
import { withExamples } from './help.ts'
import { counted } from './measures.ts'
import { printEvent } from './output.ts'
import { dryRunOption, planReportOption, printPlan, reportOfPlan } from './planOutput.ts'
import type { PhaseTimes } from './progress.ts'
import { reportPage } from './report.ts'
import { collect, numberOf, type RootFlags, rootCommand, rootOptions } from './rootOptions.ts'
import { describeBytes, describeCounts, describePhases, printDetail, printRemarks } from './summary.ts'
import { printRows } from './table.ts'
import { watched } from './watched.ts'
import { writeToFile } from './write.ts'

interface MergeFlags extends RootFlags {
  readonly package?: Name
  readonly replaces?: readonly Name[]
  readonly include?: readonly Name[]
  readonly exclude?: readonly Name[]
  readonly installMask?: readonly Name[]
  readonly protect?: readonly Name[]
  readonly protectMask?: readonly Name[]
  readonly style?: StyleName
  readonly configMemory?: boolean
  readonly collisionIgnore?: readonly Name[]
  readonly changed?: Name
  readonly contents?: Name
  readonly shareIdentical?: boolean
  readonly intoOtherRoots?: boolean
  readonly collisions?: 'refuse' | 'replace-unowned'
  readonly trigger?: Triggers
  readonly durability?: MergeDurability
  readonly keepUndo?: number
  readonly digest?: 'sha256' | 'none'
  readonly metadata?: 'require' | 'best-effort'
  readonly format?: Name
  readonly stripComponents?: number
  readonly integrity?: Name
  readonly manifest?: Name
  readonly devices?: boolean
  readonly setid?: boolean
  readonly concatenated?: boolean
  readonly dryRun?: boolean
  readonly report?: Name
  readonly move?: boolean
  readonly jobs?: number
}

/** As the library's styleNames, which would load the engine for --help. */
const styles: readonly StyleName[] = ['portage', 'dpkg', 'dpkg-confnew', 'rpm', 'rpm-replace', 'pacman', 'apk']

/** rootmerge merge */
export function mergeCommand(): Command {
  const command = rootCommand('merge')
    .description('Install an image (a directory tree or an archive) as a package.')
    .argument('<image...>', 'the images; IMAGE=NAME names the package too. Several are one transaction')
    .option('--package <name>', "the package's name, of a single image (default: the image's base name)")
    .option('--replaces <name>', 'a package that this one replaces; may be given several times', collect)
    .option('--move', 'take objects out of the image by rename where possible, and leave nothing of it')
    .option('--include <glob>', 'merge only these entries; may be given several times', collect)
    .option('--exclude <glob>', 'leave these entries out; may be given several times', collect)
    .option('--install-mask <pattern>', "leave names out by Portage's masks; may be given several times", collect)
    .option('--protect <path>', 'configuration: edits stay, now and later, updates go beside; several times', collect)
    .option('--protect-mask <path>', 'what is no configuration after all, nor any more; several times', collect)
    .addOption(
      new Option('--style <style>', 'whose names and outcomes (default: as before, or portage)').choices(styles),
    )
    .option('--no-config-memory', 'offer new versions of configuration files that were offered before, too')
    .option('--collision-ignore <glob>', 'take these names over whoever owns them; may be given several times', collect)
    .option('--changed <file>', 'write every changed name to a file, each ended by a NUL')
    .option('--contents <file>', "write the record in Portage's CONTENTS format too; refuses names that it cannot have")
    .option('--into-other-roots', 'place names in a directory that is a root of its own too')
    .option('--share-identical', 'own identical objects together with other packages')
    .addOption(
      new Option('--collisions <policy>', 'replace-unowned keeps what no package owns as a backup, instead of refusing')
        .choices(['refuse', 'replace-unowned'])
        .default('refuse'),
    )
    .addOption(triggerOption())
    .addOption(durabilityOption())
    .addOption(keepUndoOption())
    .addOption(
      new Option('--digest <kind>', 'digest payloads for verify').choices(['sha256', 'none']).default('sha256'),
    )
    .addOption(
      new Option('--metadata <policy>', 'what to do when an owner or attribute cannot be kept')
        .choices(['require', 'best-effort'])
        .default('require'),
    )
    .option(
      '--format <name>',
      "an archive's format (tar, deb, oci, oci-layer …), which is told by its content otherwise",
    )
    .addOption(new Option('--strip-components <n>', "take components off an archive's names").argParser(numberOf))
    .addOption(dryRunOption())
    .addOption(planReportOption())
    .option('--integrity <digest>', "what an archive's bytes digest to, as npm writes it: sha512-…")
    .option('--manifest <file>', 'digests that every file of an archive must have, as sha256sum writes them')
    .option('--concatenated', 'read on where another tar follows the end of the first')
    .option('--no-devices', 'refuse an archive with devices')
    .option('--no-setid', 'refuse an archive with set-id bits or capabilities')
    .addOption(new Option('--jobs <n>', 'threads, 1 to 256 (default: as many as cores, at most 4)').argParser(numberOf))
    .action(run)
  return withExamples(
    command,
    { purpose: 'a directory tree, into the running system', line: 'merge ./image --package hello-1.0' },
    { purpose: 'an archive, into another root', line: 'merge hello-1.0.tar.gz=hello-1.0 --root /srv/root' },
    { purpose: 'several packages as one transaction', line: 'merge hello.tar=hello-1.0 world.tar=world-2.0' },
    { purpose: 'see what would happen, and write nothing', line: 'merge ./image --package hello-1.0 --dry-run' },
    {
      purpose: 'in place of a package of another name',
      line: 'merge ./image --package hello-2.0 --replaces hello-1.0',
    },
    { purpose: 'a Debian package', line: 'merge hello_2.10-3_amd64.deb=hello' },
    { purpose: 'from a pipe', line: 'merge - --package hello-1.0 < hello-1.0.tar.zst' },
  )
}

async function run(words: readonly Name[], flags: MergeFlags, command: Command): Promise<void> {
  const images = imagesAndNames(words, flags, command)
  if (flags.report !== undefined && flags.dryRun !== true) command.error('error: --report is of a plan: add --dry-run')
  checkWritable(flags.changed, flags.contents, flags.report)
  const { merge, plan, readContents } = await import('../merge/index.ts')
  const options = {
    ...mergeOptions(flags),
    images: images.map(([path, name]) => ({ image: pathOf(path), package: name })),
  }
  if (flags.dryRun) {
    const { report: planned } = await watched(flags, (watching) => plan({ ...options, ...watching }))
    if (flags.report !== undefined) writeFileSync(pathOf(flags.report), reportPage(reportOfPlan(planned, 'merged')))
    return printPlan(planned, 'merged', flags)
  }
  const { report, phases } = await watched(flags, (watching) => merge({ ...options, ...watching }))
  writeChanged(report, flags.changed)
  if (flags.contents !== undefined) {
    const contents = await readContents({ ...rootOptions(flags), package: images[0]?.[1] ?? '' })
    writeToFile(pathOf(flags.contents), contents)
  }
  printMerge(report, phases, flags)
}

function mergeOptions(flags: MergeFlags) {
  const {
    replaces,
    shareIdentical,
    collisions,
    trigger: triggers,
    keepUndo,
    intoOtherRoots,
    durability,
    digest,
    metadata,
    stripComponents,
    concatenated,
  } = flags
  const texts = (values: readonly Name[] | undefined) => values?.map(textOf)
  const listChanged = flags.changed !== undefined
  const globs = {
    include: texts(flags.include),
    exclude: texts(flags.exclude),
    installMask: flags.installMask?.map(pathOf),
    protect: flags.protect?.map(pathOf),
    protectMask: flags.protectMask?.map(pathOf),
    style: flags.style,
    noConfigMemory: flags.configMemory === false ? true : undefined,
    collisionIgnore: texts(flags.collisionIgnore),
  }
  const options = {
    ...globs,
    listChanged,
    ...(flags.contents === undefined ? {} : { contents: true }),
    ...(flags.move === true ? { mode: 'move' as const } : {}),
    ...(flags.jobs === undefined ? {} : { jobs: flags.jobs }),
    replaces,
    shareIdentical,
    intoOtherRoots,
    collisions,
    triggers,
    durability,
    keepUndo,
    digest,
    metadata,
    stripComponents,
    concatenated,
    format: flags.format,
    integrity: flags.integrity,
    manifest: flags.manifest && pathOf(flags.manifest),
    noDevices: flags.devices === false ? true : undefined,
    noSetId: flags.setid === false ? true : undefined,
  }
  return { ...rootOptions(flags), ...given(options) }
}

/** What is said of one package only goes with one image only. */
function imagesAndNames(words: readonly Name[], flags: MergeFlags, command: Command): [Name, Name][] {
  const singles = ['package', 'contents', 'integrity', 'manifest'] as const
  const single = singles.find((name) => flags[name] !== undefined)
  if (words.length > 1 && single !== undefined) command.error(`error: --${single} is for a single image`)
  return words.map((image) => imageAndName(image, flags.package, command))
}

/** `IMAGE=NAME`, or the name by its own option, or what the image's file is called. */
function imageAndName(image: Name, given: Name | undefined, command: Command): [Name, Name] {
  if (given !== undefined) return [image, given]
  const equals = image.lastIndexOf('=')
  if (equals === 0) command.error(`error: '${textOf(image)}' names no image: write IMAGE=NAME`)
  if (equals > image.lastIndexOf('/')) return [image.slice(0, equals), image.slice(equals + 1)]
  const base = image.replace(/\/+$/, '').split('/').at(-1) ?? ''
  if (nameless.has(base)) {
    const text = textOf(image)
    const orBoth = text.startsWith('-') ? '' : `, or write ${text}=NAME` // that would be taken for an option
    command.error(`error: '${text}' names no package: add --package NAME${orBoth}`)
  }
  return [image, base.replace(/\.(tar|tgz|deb|tar\.(gz|xz|lzma|zst|bz2))$/, '')]
}

/** What an image may be called that says nothing: standard input, directories by where they are, nothing at all. */
const nameless: ReadonlySet<string> = new Set(['', '-', '.', '..'])

function printMerge({ changed: _, ...report }: MergeReport, phases: PhaseTimes, flags: MergeFlags): void {
  if (flags.json) return printEvent('merge', { ...report, phases })
  if (flags.quiet) return
  for (const { package: name, entries, counts } of report.packages) {
    printRows([[`${name} merged: ${counted(entries, 'entry', 'entries')} (${describeCounts(counts)})`]])
  }
  const removed = (counts: MergeReport['counts']) => counts.remove ?? 0
  const replaced = removed(report.counts) - report.packages.reduce((sum, { counts }) => sum + removed(counts), 0)
  if (replaced > 0) printDetail(`${replaced} names of replaced packages removed`)
  printDetail(describeBytes(report.bytesByMethod, report.holes))
  if (report.recovered !== undefined && report.recovered.action !== 'nothing') {
    printDetail(`an earlier transaction was recovered first: ${report.recovered.action}`)
  }
  printRemarks(report)
  printDetail(describePhases(phases))
}
