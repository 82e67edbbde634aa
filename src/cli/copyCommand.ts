// rootmerge copy

import { Command, InvalidArgumentError, Option } from 'commander'
import type { CopyFileOptions, CopyRange, CopyReport, Method } from '../filecopy/index.ts'
import type { Name } from '../sys/index.ts'
import { pathOf } from './arguments.ts'
import { withExamples } from './help.ts'
import { formatBytes, print, printEvent, say } from './output.ts'
import { watched } from './watched.ts'

/** In the order of the chain; a list here, so that --help does without the engine. */
const methods: readonly Method[] = ['reflink', 'copy_file_range', 'sendfile', 'read_write']

type Choice = 'auto' | 'always' | 'never'

interface CopyFlags {
  readonly archive?: boolean
  readonly preserve?: boolean
  readonly methods?: readonly Method[] | 'fastest'
  readonly reflink?: Choice
  readonly sparse?: Choice
  readonly onChange?: 'report' | 'fail' | 'ignore'
  readonly exclusive?: boolean
  readonly sourceOffset?: number
  readonly targetOffset?: number
  readonly length?: number
  readonly window?: number
  readonly debug?: boolean
  readonly json?: boolean
}

/** rootmerge copy */
export function copyCommand(): Command {
  const choices = (flags: string, description: string, values: readonly string[]) =>
    new Option(flags, description).choices(values)
  const bytes = (flags: string, description: string) => new Option(flags, description).argParser(bytesOf)
  const command = new Command('copy')
    .description('Copy the contents of a file: shared, or by the cheapest calls that work, with its holes.')
    .argument('<source>', 'a file, a pipe, a block device, or - for standard input')
    .argument('<target>', 'made if it is not there')
    .option('-a, --archive', 'copy a file or a tree with all its metadata; it appears at once or not at all')
    .option('--preserve', 'the same as --archive')
    .addOption(new Option('--methods <list>', `in this order: ${methods.join(',')}; or fastest`).argParser(methodsOf))
    .addOption(choices('--reflink <when>', 'share extents with the source', ['auto', 'always', 'never']))
    .addOption(choices('--sparse <when>', 'make holes', ['auto', 'always', 'never']))
    .addOption(choices('--on-change <what>', 'if the source changes meanwhile', ['report', 'fail', 'ignore']))
    .option('--exclusive', 'refuse a target that is there')
    .addOption(bytes('--source-offset <bytes>', 'where to start reading'))
    .addOption(bytes('--target-offset <bytes>', 'where to start writing; the target keeps everything else'))
    .addOption(bytes('--length <bytes>', 'how much at most'))
    .addOption(bytes('--window <bytes>', 'the end of what may be written'))
    .option('--debug', 'say which method copied what, and why others did not')
    .option('--json', 'print one event per line')
    .action(run)
  return withExamples(
    command,
    { purpose: 'a file, its holes kept, shared where that is possible', line: 'copy disk.img copy.img' },
    { purpose: 'which method moved what, and why others did not', line: 'copy disk.img /mnt/disk.img --debug' },
    { purpose: 'a tree with owners, times, attributes and links', line: 'copy -a tree /mnt/tree' },
    {
      purpose: 'into the second mebibyte of an image, and not further',
      line: 'copy boot.bin disk.img --target-offset 1M --window 2M',
    },
  )
}

async function run(source: Name, target: Name, flags: CopyFlags, command: Command): Promise<void> {
  if (flags.archive || flags.preserve) return archive(source, target, flags, command)
  const from = source === '-' ? 0 : pathOf(source)
  const { copyFile } = await import('../filecopy/index.ts')
  const { report } = await watched({ quiet: flags.json === true }, ({ signal, onProgress }) =>
    copyFile(from, pathOf(target), {
      ...optionsOf(flags),
      signal,
      onProgress: (bytes) => onProgress({ phase: 'copy', entries: 0, bytes }),
    }),
  )
  if (flags.json) printEvent('copied', report)
  if (flags.debug && !flags.json) for (const line of describe(report)) print(line)
  if (report.changed) say('rootmerge: the source changed while it was copied')
}

async function archive(source: Name, target: Name, flags: CopyFlags, command: Command): Promise<void> {
  if (rangeOf(flags) !== undefined || flags.onChange !== undefined) {
    command.error('error: --archive copies all of it as it is: it takes no range and no --on-change')
  }
  const options = { ...howOf(flags), noReplace: flags.exclusive === true }
  const { copyTree } = await import('../movefile/index.ts')
  const { report } = await watched({ quiet: flags.json === true }, ({ signal, onProgress }) =>
    copyTree(pathOf(source), pathOf(target), {
      ...options,
      signal,
      onProgress: (progress) => onProgress({ phase: 'copy', ...progress }),
    }),
  )
  if (flags.json) printEvent('copied', report)
  if (flags.debug && !flags.json && report.copy !== undefined) for (const line of describe(report.copy)) print(line)
}

/** The options that a copy of contents and one of a tree have in common. */
function howOf({ methods, reflink, sparse }: CopyFlags): Pick<CopyFileOptions, 'methods' | 'reflink' | 'sparse'> {
  return { ...(methods && { methods }), ...(reflink && { reflink }), ...(sparse && { sparse }) }
}

function optionsOf(flags: CopyFlags): CopyFileOptions {
  const range = rangeOf(flags)
  return {
    ...howOf(flags),
    ...(flags.onChange && { onChange: flags.onChange }),
    ...(flags.exclusive && { exclusive: true }),
    ...(range && { range }),
  }
}

/** Any of its options makes it a copy of a range. */
function rangeOf({ sourceOffset, targetOffset, length, window }: CopyFlags): CopyRange | undefined {
  const given = Object.entries({ sourceOffset, targetOffset, length, window }).filter(([, each]) => each !== undefined)
  return given.length === 0 ? undefined : Object.fromEntries(given)
}

function describe(report: Pick<CopyReport, 'bytes' | 'holes' | 'bytesByMethod'> & Partial<CopyReport>): string[] {
  const moved = Object.entries(report.bytesByMethod).map(([method, bytes]) => `${method}: ${formatBytes(bytes)}`)
  const declined = (report.declined ?? []).map(({ method, code }) => `${method} declined: ${code}`)
  const detection = report.detection === undefined ? '' : `, looked for by ${report.detection}`
  return [
    `copied ${formatBytes(report.bytes)}`,
    ...moved,
    ...declined,
    `holes: ${formatBytes(report.holes)}${detection}`,
  ]
}

function methodsOf(text: string): readonly Method[] | 'fastest' {
  if (text === 'fastest') return text
  const names = text.split(',')
  const unknown = names.find((name) => !methods.includes(name as Method))
  if (unknown !== undefined) throw new InvalidArgumentError(`There is no method ${unknown}.`)
  return names as Method[]
}

const units: Readonly<Record<string, number>> = { '': 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3, T: 1024 ** 4 }

/** An exact number of bytes, such as 512, 4K or 2G. */
function bytesOf(text: string): number {
  const [, digits = '', unit = ''] = /^(\d+)([KMGT]?)$/.exec(text) ?? []
  const bytes = Number(digits) * (units[unit] ?? Number.NaN)
  if (digits === '' || !Number.isSafeInteger(bytes)) throw new InvalidArgumentError('It is not a number of bytes.')
  return bytes
}
