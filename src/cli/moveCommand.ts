// rootmerge move

import { Command, Option } from 'commander'
import type { Durability, MoveFileOptions, MoveReport } from '../movefile/index.ts'
import type { Name } from '../sys/index.ts'
import { pathOf } from './arguments.ts'
import { exitCodeOf } from './exitCodes.ts'
import { withExamples } from './help.ts'
import { counted } from './measures.ts'
import { formatBytes, print, printError, printEvent, say } from './output.ts'
import { watched } from './watched.ts'

interface MoveFlags {
  readonly replace: boolean
  readonly metadata?: 'require' | 'best-effort'
  readonly durability?: Durability
  readonly inodeFlags?: boolean
  readonly selinux?: 'preserve' | 'default'
  readonly excludeXattr?: readonly string[]
  readonly imagePrefix?: Name
  readonly targetDirectory?: Name
  readonly verbose?: boolean
  readonly json?: boolean
}

/** rootmerge move */
export function moveCommand(): Command {
  const choices = (flags: string, description: string, values: readonly string[]) =>
    new Option(flags, description).choices(values)
  const command = new Command('move')
    .description(
      'Move any object, a tree too, with everything that belongs to it; the target is old or new, never less.',
    )
    .usage('[options] <source> <target>\n       rootmerge move [options] --target-directory <directory> <source...>')
    .argument(
      '<paths...>',
      'a source (a symlink is moved, not followed) and the target: the name itself, also where a directory is, replaced ' +
        'as rename(2) replaces it; with --target-directory all are sources',
    )
    .option('-t, --target-directory <directory>', 'move every source into it, each by itself')
    .option('--no-replace', 'refuse a target that is there')
    .addOption(choices('--metadata <how>', 'what cannot be kept is an error, or is said', ['require', 'best-effort']))
    .addOption(choices('--durability <what>', 'what it survives: a power cut, or a kill only', ['file', 'none']))
    .option('--inode-flags', 'keep inode flags too (nodatacow, append, immutable)')
    .addOption(choices('--selinux <label>', "the source's label, or the policy's", ['preserve', 'default']))
    .option('--exclude-xattr <patterns...>', "leave these attributes out, instead of Portage's list")
    .option('--image-prefix <directory>', 'take it off the targets of symlinks')
    .option('--verbose', 'say how it was done')
    .option('--json', 'print one event per line')
    .action(run)
  return withExamples(
    command,
    { purpose: 'a file, also to another file system', line: 'move ./hello /usr/bin/hello' },
    {
      purpose: 'a tree that may lose an owner or attribute on the way',
      line: 'move tree /mnt/tree --metadata best-effort',
    },
    { purpose: 'many into one directory', line: 'move --target-directory /usr/bin one two three' },
  )
}

async function run(words: readonly Name[], flags: MoveFlags, command: Command): Promise<void> {
  if (flags.targetDirectory !== undefined) return moveInto(words, flags.targetDirectory, flags)
  const [source, target, ...more] = words
  if (source === undefined || target === undefined || more.length > 0)
    return command.error('error: a source and a target are wanted, or --target-directory')
  const { moveFile } = await import('../movefile/index.ts')
  const { report } = await watched({ quiet: flags.json === true }, ({ signal, onProgress }) =>
    moveFile(pathOf(source), pathOf(target), {
      ...optionsOf(flags),
      signal,
      onProgress: (progress) => onProgress({ phase: 'move', ...progress }),
    }),
  )
  await tell(report, flags)
}

/** The exit code is that of the first source that stayed where it was; the others have moved. */
async function moveInto(sources: readonly Name[], directory: Name, flags: MoveFlags): Promise<void> {
  const { moveFiles } = await import('../movefile/index.ts')
  const { report: moved } = await watched({ quiet: flags.json === true }, ({ signal }) =>
    moveFiles(sources.map(pathOf), pathOf(directory), { ...optionsOf(flags), signal }),
  )
  for (const [number, result] of moved.entries()) {
    if (result.status === 'fulfilled') await tell(result.value, flags, sources[number])
    else {
      const exitCode = exitCodeOf(result.reason)
      printError(result.reason, { json: flags.json === true, exitCode })
      process.exitCode ??= exitCode
    }
  }
}

async function tell(report: MoveReport, flags: MoveFlags, source?: Name): Promise<void> {
  const [{ displayName }, { describeLoss }] = await Promise.all([
    import('../sys/index.ts'),
    import('../movefile/index.ts'),
  ])
  const name = source === undefined ? undefined : displayName(source)
  if (flags.json) return printEvent('moved', { ...(name !== undefined && { source: name }), ...report })
  for (const loss of report.lost) say(`rootmerge: not kept: ${describeLoss(loss)}`)
  if (flags.verbose) print(name === undefined ? describe(report) : `${name}: ${describe(report)}`)
}

function optionsOf(flags: MoveFlags): MoveFileOptions {
  const { metadata, durability, inodeFlags, selinux, excludeXattr, imagePrefix } = flags
  return {
    noReplace: !flags.replace,
    ...(metadata && { metadata }),
    ...(durability && { durability }),
    ...(inodeFlags && { inodeFlags }),
    ...(selinux && { selinux }),
    ...(excludeXattr && { excludeXattrs: excludeXattr }),
    ...(imagePrefix !== undefined && { imagePrefix: pathOf(imagePrefix) }),
  }
}

function describe({ method, copy }: MoveReport): string {
  if (copy === undefined) return method === 'rename' ? 'renamed' : 'linked'
  return `copied ${counted(copy.entries, 'object')}, ${formatBytes(copy.bytes)}`
}
