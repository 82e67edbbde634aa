// rootmerge verify

import { writeFileSync } from 'node:fs'
import { type Command, Option } from 'commander'
import type { Difference, VerifiedEntry } from '../merge/index.ts'
import type { Name } from '../sys/index.ts'
import { pathOf } from './arguments.ts'
import { exitCodes } from './exitCodes.ts'
import { withExamples, withNotes } from './help.ts'
import { counted } from './measures.ts'
import { print, printEvent } from './output.ts'
import { type Report, reportPage } from './report.ts'
import { numberOf, type RootFlags, rootCommand, rootOptions } from './rootOptions.ts'
import { watched } from './watched.ts'

/** One letter a column, as rpm -V has them: size, mode, digest, device, link, user, group, time, and X for attributes. */
const letters = 'SM5DLUGTX'

interface VerifyFlags extends RootFlags {
  readonly fast?: boolean
  readonly jobs?: number
  readonly report?: Name
}

/** rootmerge verify */
export function verifyCommand(): Command {
  const command = rootCommand('verify')
    .description('Compare what packages own with their records. Exits with 1 when something differs.')
    .argument('[name...]', "the packages' names (default: all)")
    .option('--fast', 'compare everything but the contents of files')
    .addOption(new Option('--jobs <n>', 'threads, 1 to 256 (default: as many as cores, at most 4)').argParser(numberOf))
    .option('--report <file>', 'write what differs as an HTML page, a tree with filters')
    .action(run)
  withNotes(
    command,
    `Columns are ${letters}: size mode digest device link user group time xattrs; a dot is equal. A c after them marks a ` +
      'configuration file.',
  )
  return withExamples(
    command,
    { purpose: 'is everything as it was installed', line: 'verify' },
    { purpose: 'one package, without reading its files', line: 'verify hello-1.0 --fast' },
    { purpose: 'names alone, for a script', line: 'verify --json | jq -r \'select(.event == "differs").name\'' },
  )
}

async function run(packages: Name[], flags: VerifyFlags): Promise<void> {
  const { differences, soleDifferences, verify } = await import('../merge/index.ts')
  const soleOf = ({ differences: found }: VerifiedEntry) => soleDifferences.find((sole) => found.includes(sole))
  const columns = (entry: VerifiedEntry) => {
    const { differences: found } = entry
    const sole = soleOf(entry)
    if (sole === 'missing') return 'missing ' // a column too narrow, as rpm has it
    if (sole !== undefined) return sole.padEnd(letters.length)
    return differences.map((difference, index) => (found.includes(difference) ? letters[index] : '.')).join('')
  }
  const jobs = flags.jobs === undefined ? {} : { jobs: flags.jobs }
  const options = { ...rootOptions(flags), packages, digests: flags.fast !== true, ...jobs }
  const { report: found, phases } = await watched(flags, (watching) => verify({ ...options, ...watching }))
  if (flags.report !== undefined) writeFileSync(pathOf(flags.report), reportPage(reportOf(found, soleOf)))
  for (const entry of found) {
    if (flags.json) printEvent('differs', entry)
    else if (!flags.quiet) print(`${columns(entry)}  ${entry.isConfig ? 'c' : ' '} ${entry.name} (${entry.package})`)
  }
  if (flags.json) printEvent('verify', { differing: found.length, phases })
  else if (!flags.quiet && found.length === 0) print('everything is as recorded')
  if (found.length > 0) process.exitCode = exitCodes.refused
}

function reportOf(found: readonly VerifiedEntry[], soleOf: (entry: VerifiedEntry) => Difference | undefined): Report {
  const rows = found.map((entry) => {
    const { name, package: owner, differences, isConfig } = entry
    const alone = soleOf(entry)
    const detail = [...(alone === undefined ? differences : []), ...(isConfig ? ['configuration'] : [])].join(', ')
    return { name, what: alone ?? 'differs', detail, package: owner }
  })
  const summary =
    found.length === 0 ? 'Everything is as recorded.' : `${counted(found.length, 'name')} differ from their records.`
  return { title: 'What differs', summary: [summary], rows }
}
