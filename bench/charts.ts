// Makes of all that bench/results holds one page, bench/README.md, one chart a subject, bench/charts/*.svg, and the table in
// README.md.
//
//   node build/bench/charts.js

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chartOf } from './chart.ts'
import { benchFolder, type Measurement, measured, type ResultsFile, resultsFolder } from './results.ts'

/** Every results file, by subject. */
export function readResults(): ResultsFile[] {
  return readdirSync(resultsFolder)
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => JSON.parse(readFileSync(join(resultsFolder, name), 'utf8')) as ResultsFile)
}

/** The page: a section a subject, with its chart, its table, its machine and its command line. */
export function benchPage(all: readonly ResultsFile[]): string {
  const head =
    '# Measurements\n\nMade by `make bench` from `bench/results`. Ratios are against the contender in the same row that is named.\n'
  return `${head}\n${all.map(sectionOf).join('\n')}`
}

function sectionOf(file: ResultsFile): string {
  const { subject, question, unit, better, command, date, machine, kernel, node, versions, measurements } = file
  const contenders = [...new Set(measurements.map(({ contender }) => contender))]
  const rows = casesOf(measurements).map(([name, each]) => {
    const cells = contenders.map((contender) =>
      cellOf(
        each.find((one) => one.contender === contender),
        each,
      ),
    )
    return `| ${escaped(name)} | ${cells.map(escaped).join(' | ')} |`
  })
  return [
    `## ${question}`,
    '',
    `![${subject}](charts/${subject}.svg)`,
    '',
    `${unit}, ${better} is better. \`${command}\`, ${date}, Linux ${kernel}, Node ${node}, ${machine.processor}, ${machine.cores} cores, ${machine.memoryGiB} GiB, load ${machine.load}.`,
    ...Object.entries(versions).map(([contender, version]) => `${contender}: ${version.replace(/\.$/, '')}.`),
    '',
    `| | ${contenders.map(escaped).join(' | ')} |`,
    `|---|${contenders.map(() => '---').join('|')}|`,
    ...rows,
    '',
    ...notesOf(measurements),
    '',
  ].join('\n')
}

/** `tar | tar` is one cell. */
function escaped(cell: string): string {
  return cell.replaceAll('|', '\\|')
}

/** What a reader must know of each contender; with its case where that makes a difference. */
function notesOf(measurements: readonly Measurement[]): string[] {
  const noted = measurements.flatMap(({ contender, case: name, note }) => (note ? [{ contender, name, note }] : []))
  const notes = (wanted: string) => new Set(noted.flatMap(({ contender, note }) => (contender === wanted ? note : [])))
  const lines = noted.map(({ contender, name, note }) => {
    return notes(contender).size === 1 ? `- ${contender}: ${note}` : `- ${contender}, ${name}: ${note}`
  })
  return [...new Set(lines)]
}

/** Measurements by their case and file system, in the order in which they were made. */
export function casesOf(measurements: readonly Measurement[]): [string, Measurement[]][] {
  const cases = new Map<string, Measurement[]>()
  for (const measurement of measurements) {
    const name =
      measurement.fileSystem === undefined ? measurement.case : `${measurement.case}, ${measurement.fileSystem}`
    cases.set(name, [...(cases.get(name) ?? []), measurement])
  }
  return [...cases]
}

function cellOf(measurement: Measurement | undefined, row: readonly Measurement[]): string {
  if (measurement === undefined) return '-'
  const { value, baseline } = measurement
  const other = row.find(({ contender }) => contender === baseline)
  return other === undefined || other === measurement
    ? shown(value)
    : `${shown(value)} (${(value / other.value).toFixed(2)} of ${baseline})`
}

/** A value with as many digits as mean something. */
export function shown(value: number): string {
  return value >= 100 ? String(Math.round(value)) : value.toPrecision(3).replace(/\.?0+$/, '')
}

/** One case of rootmerge's beside one peer. */
interface Ratio {
  readonly name: string
  readonly ratio: number
}

/** For each subject and peer the middle, the best and the worst of rootmerge's ratios: the rows where it loses are among them. */
export function numbersTable(all: readonly ResultsFile[]): string {
  const rows = all.flatMap(({ question, measurements }) =>
    [...ratiosOf(measurements)].map(([peer, ratios]) => {
      const sorted = ratios.toSorted((one, other) => one.ratio - other.ratio)
      const [best, worst] = [sorted[0], sorted.at(-1)].map((one) => `${one?.ratio.toFixed(2)}: ${one?.name}`)
      const median = sorted[Math.floor(sorted.length / 2)]?.ratio.toFixed(2)
      return `| ${question} | ${[peer, median, best, worst].map((cell) => escaped(cell ?? '')).join(' | ')} |\n`
    }),
  )
  return `| | beside | median | best | worst |\n|---|---|---|---|---|\n${rows.join('')}`
}

function ratiosOf(measurements: readonly Measurement[]): Map<string, Ratio[]> {
  const ratios = new Map<string, Ratio[]>()
  for (const [name, each] of casesOf(measurements)) {
    for (const { baseline, contender, isOurs, value } of each) {
      const peer = each.find((other) => other.contender === baseline)
      if (peer === undefined || baseline === contender || !(isOurs || contender.startsWith('rootmerge'))) continue
      ratios.set(peer.contender, [...(ratios.get(peer.contender) ?? []), { name, ratio: value / peer.value }])
    }
  }
  return ratios
}

/** A page with its table made anew. */
export function withNumbers(page: string, all: readonly ResultsFile[]): string {
  return page.replace(/(<!-- table: numbers -->\n)[\s\S]*?(<!-- end -->)/, (_, begin, end) => {
    return `${begin}${numbersTable(all)}${end}`
  })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const all = readResults()
  mkdirSync(join(benchFolder, 'charts'), { recursive: true })
  writeFileSync(join(benchFolder, 'README.md'), benchPage(all))
  for (const file of all) writeFileSync(join(benchFolder, 'charts', `${file.subject}.svg`), chartOf(file))
  const page = fileURLToPath(new URL('../../README.md', import.meta.url))
  const filled = withNumbers(readFileSync(page, 'utf8'), all)
  if (measured(true, false)) writeFileSync(page, filled)
  process.stdout.write(`${all.length} subjects: a page, their charts, and the table of README.md\n`)
}
